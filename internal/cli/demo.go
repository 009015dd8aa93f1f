package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
)

type demoOptions struct {
	once    bool
	clients int
}

func (a *app) demoCommand() *cobra.Command {
	var o demoOptions
	c := &cobra.Command{
		Use:   "demo",
		Short: "Show all of it against a built-in fake AWS; no account needed",
		Long: `Start a fake AWS and a daemon on free ports of this machine, let a few hundred clients
ask, and check what is promised: one call to AWS for each slot, a refresh ahead of the
end, and an outage of AWS that no client notices. It takes about 25 seconds, uses a
temporary directory that is removed at the end, and exits with 1 when a promise was broken.

Then it stays up and prints what to type in another terminal, until Ctrl-C.`,
		Example: `  rolecall demo
  rolecall demo --once --clients 1000`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if o.clients < 1 || o.clients > 2000 {
				return wrongUsage("--clients is a number from 1 to 2000", "rolecall demo --clients 300")
			}
			return a.demo(c.Context(), o)
		},
	}
	c.Flags().BoolVar(&o.once, "once", false, "exit when all has been shown")
	c.Flags().IntVar(&o.clients, "clients", 300, "let `N` clients ask at once")
	return c
}

// show prints the demo's story and keeps its verdict.
type show struct {
	out    io.Writer
	broken int
}

func (s *show) step(format string, args ...any) { fmt.Fprintf(s.out, "\n"+format+"\n", args...) }
func (s *show) tell(format string, args ...any) { fmt.Fprintf(s.out, "  "+format+"\n", args...) }

// check tells something that was promised, and whether it is so.
func (s *show) check(ok bool, format string, args ...any) {
	verdict := "ok"
	if !ok {
		verdict = "NOT AS PROMISED"
		s.broken++
	}
	fmt.Fprintf(s.out, "  %-66s %s\n", fmt.Sprintf(format, args...), verdict)
}

func (a *app) demo(ctx context.Context, o demoOptions) error {
	s := &show{out: a.stdout}
	fmt.Fprintln(s.out, "rolecall demo: a fake AWS, a daemon and its clients, all in this process; nothing leaves this machine")
	w, err := a.startDemo(ctx)
	if err != nil {
		return err
	}
	defer w.close()
	err = errors.Join(s.run(ctx, w, o.clients), w.daemonError())
	switch {
	case err != nil:
		return err
	case s.broken > 0:
		w.keepLog = true
		return failed(fmt.Sprintf("%d of the promises above were broken", s.broken), "the daemon's log is kept: "+w.log)
	}
	s.step("All as promised.")
	if o.once {
		return nil
	}
	if err := a.demoInvitation(w); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		fmt.Fprintln(s.out, "\nrolecall: demo ended")
		return nil
	case err := <-w.ended:
		w.ended <- nil
		return err
	}
}

// run tells the story; its error is what kept it from going on.
func (s *show) run(ctx context.Context, w *demoWorld, clients int) error {
	s.step("1. A fake AWS at %s and the daemon at %s", w.aws.URL(), w.url)
	s.tell("slots: the default one from profile dev, and staging and prod; keys live for %s", demoLife)

	s.step("2. %d clients ask for all slots at once, %d times", clients, demoRounds)
	crowd := newCrowd(w, clients)
	burst := crowd.burst(ctx, demoRounds)
	s.tell("%s answers in %s, median %s, 99 of 100 within %s", count(uint64(burst.answers)), rounded(burst.took), rounded(burst.median), rounded(burst.p99))
	s.tell("one client alone: median %s", rounded(crowd.alone(ctx)))
	s.check(burst.failures == 0, "failures: %d", burst.failures)
	for _, slot := range demoSlots {
		calls := w.calls(slot)
		s.check(calls == 1, "calls to AWS for %s: %d", slotWords(slot.name), calls)
	}
	background := crowd.keepAsking(ctx)
	defer background.stop()

	s.step("3. The clients go on asking while the keys near their end")
	if err := s.refreshSeen(ctx, background); err != nil {
		return err
	}

	s.step("4. AWS fails: from now on it answers 503 to everything")
	if err := s.outage(ctx, w, background); err != nil {
		return err
	}

	s.step("5. AWS is back")
	return s.recovery(ctx, w, background)
}

func (s *show) refreshSeen(ctx context.Context, b *background) error {
	began := time.Now()
	if err := b.waitForNewKeys(ctx, demoLife); err != nil {
		s.check(false, "no new keys within %s", demoLife)
		return ctx.Err()
	}
	for _, slot := range demoSlots {
		c := b.change(slot.name)
		s.check(c.left > 0, "%s: key %s became %s, %s before its end", slotWords(slot.name), c.from, c.to, rounded(c.left))
	}
	s.tell("seen %s after the clients began", rounded(time.Since(began)))
	return nil
}

func (s *show) outage(ctx context.Context, w *demoWorld, b *background) error {
	before := b.counts()
	w.fail()
	failures, err := w.waitForFailures(ctx, demoLife)
	if err != nil {
		return err
	}
	if err := pause(ctx, 2*time.Second); err != nil {
		return err
	}
	during := b.counts().minus(before)
	s.check(failures > 0, "refreshes that failed in every slot: %d or more", failures)
	s.check(during.answers > 0 && during.failures == 0, "answers meanwhile: %s, failures: %d", count(uint64(during.answers)), during.failures)
	return nil
}

func (s *show) recovery(ctx context.Context, w *demoWorld, b *background) error {
	before, began := b.counts(), time.Now()
	b.forgetKeys()
	w.heal()
	if err := b.waitForNewKeys(ctx, demoLife); err != nil {
		s.check(false, "no new keys within %s", demoLife)
		return ctx.Err()
	}
	during := b.counts().minus(before)
	s.check(true, "all slots have new keys, %s later, good for an hour", rounded(time.Since(began)))
	s.check(during.failures == 0, "answers meanwhile: %s, failures: %d", count(uint64(during.answers)), during.failures)
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// rounded is a duration with as many digits as are worth reading.
func rounded(d time.Duration) time.Duration {
	switch {
	case d > time.Second:
		return d.Round(100 * time.Millisecond)
	case d > time.Millisecond:
		return d.Round(10 * time.Microsecond)
	}
	return d.Round(time.Microsecond)
}
