package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"rolecall/internal/control"
)

// waiting is how long a command waits for what it asks about to become good.
type waiting struct {
	wait bool
	most time.Duration
}

const lookAgain = 200 * time.Millisecond

func (w *waiting) flags(c *cobra.Command) {
	c.Flags().BoolVar(&w.wait, "wait", false, "wait until the exit code would be 0")
	c.Flags().DurationVar(&w.most, "timeout", time.Minute, "wait no longer than this `TIME`; 0 for ever")
}

func (w *waiting) check(c *cobra.Command) error {
	if c.Flags().Changed("timeout") && !w.wait || w.most < 0 {
		return wrongUsage("--timeout is a length of time such as 90s, and belongs to --wait", c.CommandPath()+" --wait --timeout 90s")
	}
	return nil
}

// until returns once good says so, or the time or ctx ends.
func (w *waiting) until(ctx context.Context, good func() bool) {
	if !w.wait {
		return
	}
	if w.most > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, w.most)
		defer cancel()
	}
	again := time.NewTicker(lookAgain)
	defer again.Stop()
	for !good() {
		select {
		case <-ctx.Done():
			return
		case <-again.C:
		}
	}
}

// good says whether all slots, or the one of that name, have credentials.
func good(slots []control.Slot, name string, one bool) bool {
	if !one {
		return len(slots) > 0 && healthCode(slots) == exitFine
	}
	s := findSlot(slots, name)
	return s != nil && healthCode([]control.Slot{*s}) == exitFine
}
