package demo

import (
	"context"
	"fmt"
	"io"
	"time"
)

// story tells what happens and counts the promises that were broken.
type story struct {
	out    io.Writer
	broken int
}

func (t *story) step(format string, args ...any) { fmt.Fprintf(t.out, "\n"+format+"\n", args...) }
func (t *story) tell(format string, args ...any) { fmt.Fprintf(t.out, "  "+format+"\n", args...) }

// check tells something that was promised, and whether it is so.
func (t *story) check(ok bool, format string, args ...any) {
	verdict := "ok"
	if !ok {
		verdict = "NOT AS PROMISED"
		t.broken++
	}
	fmt.Fprintf(t.out, "  %-66s %s\n", fmt.Sprintf(format, args...), verdict)
}

// burstRounds is how often each client asks for every slot in the burst.
const burstRounds = 10

// run tells the story; its error is what kept it from going on.
func (t *story) run(ctx context.Context, w *world, clients int) error {
	t.step("1. A fake AWS at %s and the daemon at %s", w.aws.URL(), w.url)
	t.tell("slots: the default one from profile dev, and staging and prod; keys live for %s", keyLife)

	t.step("2. %d clients ask for all slots at once, %d times", clients, burstRounds)
	c := newCrowd(w.url, w.token, clients)
	burst := c.burst(ctx, burstRounds)
	t.tell("%s answers in %s, median %s, 99 of 100 within %s", grouped(burst.answers), rounded(burst.took), rounded(burst.median), rounded(burst.p99))
	t.tell("one client alone: median %s", rounded(c.alone(ctx)))
	t.check(burst.failures == 0, "failures: %d", burst.failures)
	for _, s := range slots {
		calls := w.calls(s)
		t.check(calls == 1, "calls to AWS for %s: %d", s, calls)
	}
	b := c.keepAsking(ctx)
	defer b.stop()

	t.step("3. The clients go on asking while the keys near their end")
	if err := t.refresh(ctx, b); err != nil {
		return err
	}

	t.step("4. AWS fails: from now on it answers 503 to everything")
	if err := t.outage(ctx, w, b); err != nil {
		return err
	}

	t.step("5. AWS is back")
	return t.recovery(ctx, w, b)
}

func (t *story) refresh(ctx context.Context, b *background) error {
	began := time.Now()
	if err := b.waitForNewKeys(ctx, keyLife); err != nil {
		t.check(false, "no new keys within %s", keyLife)
		return ctx.Err()
	}
	for _, s := range slots {
		c := b.change(s)
		t.check(c.left > 0, "%s: key %s became %s, %s before its end", s, c.from, c.to, rounded(c.left))
	}
	t.tell("seen %s after the clients began", rounded(time.Since(began)))
	return nil
}

func (t *story) outage(ctx context.Context, w *world, b *background) error {
	before := b.counts()
	w.fail()
	failures, err := w.waitForFailures(ctx, keyLife)
	if err != nil {
		return err
	}
	if err := pause(ctx, 2*time.Second); err != nil {
		return err
	}
	during := b.counts().minus(before)
	t.check(failures > 0, "refreshes that failed in every slot: %d or more", failures)
	t.check(during.answers > 0 && during.failures == 0, "answers meanwhile: %s, failures: %d", grouped(during.answers), during.failures)
	return nil
}

func (t *story) recovery(ctx context.Context, w *world, b *background) error {
	before, began := b.counts(), time.Now()
	b.forgetChanges()
	w.heal()
	if err := b.waitForNewKeys(ctx, keyLife); err != nil {
		t.check(false, "no new keys within %s", keyLife)
		return ctx.Err()
	}
	during := b.counts().minus(before)
	t.check(true, "all slots have new keys, %s later, good for an hour", rounded(time.Since(began)))
	t.check(during.failures == 0, "answers meanwhile: %s, failures: %d", grouped(during.answers), during.failures)
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

// grouped is a number of answers with its thousands set apart.
func grouped(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", grouped(n/1000), n%1000)
}
