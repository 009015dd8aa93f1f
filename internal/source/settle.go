package source

import (
	"context"
	"time"
)

const (
	settlesWithin = 500 * time.Millisecond
	settlePoll    = 10 * time.Millisecond
)

// settles looks at a file that another tool may be writing just now, without a
// lock and in place as the aws CLI does, until done or for half a second: its
// new content may be there in part, or not yet.
func settles(ctx context.Context, done func() bool) bool {
	deadline := time.NewTimer(settlesWithin)
	defer deadline.Stop()
	poll := time.NewTicker(settlePoll)
	defer poll.Stop()
	for !done() {
		select {
		case <-poll.C:
		case <-deadline.C:
			return done()
		case <-ctx.Done():
			return false
		}
	}
	return true
}
