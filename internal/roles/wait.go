package roles

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// pause is how long to wait before the next look, when a wait has gone on for
// elapsed: a quarter of that, at least first and at most 10 s (but never less
// than first), so that short waits end soon and long ones ask little.
func pause(elapsed, first time.Duration) time.Duration {
	return max(first, min(elapsed/4, 10*time.Second))
}

// errNotYet is the end of a wait that took longer than its limit.
var errNotYet = errors.New("not yet")

// look is one look at AWS. state says what is seen, for people.
type look func(ctx context.Context) (done bool, state string, err error)

// until looks again and again until it is done, fails, or limit has passed;
// then the error is errNotYet. It looks once more at the end of the limit.
func until(ctx context.Context, limit, first time.Duration, see look, tell func(state string, elapsed time.Duration)) error {
	began := time.Now()
	for {
		done, state, err := see(ctx)
		if done || err != nil {
			return err
		}
		elapsed := time.Since(began)
		if elapsed >= limit {
			return fmt.Errorf("%w: %s", errNotYet, state)
		}
		tell(state, elapsed)
		t := time.NewTimer(min(pause(elapsed, first), limit-elapsed))
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		}
	}
}
