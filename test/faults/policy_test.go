package faults_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"rolecall/internal/creds"
	"rolecall/internal/fakeaws"
	"rolecall/internal/slot"
)

func TestRow01RefusedWhileHeld(t *testing.T) {
	t.Parallel()
	reads, failed, most := 0, 0, 0
	inBubbles(t, runs(8), func(l *lab) {
		u := l.slot("x", 3*time.Hour)
		time.Sleep(100 * time.Minute) // a refresh is due any moment, or over
		u.fails(down())
		for n := u.count(); u.count() == n; {
			time.Sleep(time.Second)
		}
		n := u.count() - 1
		for range 10_000 {
			_, _ = l.read("x")
			time.Sleep(60 * time.Millisecond)
		}
		reads, failed, most = reads+l.reads, failed+l.failed+l.expired, max(most, u.count()-n)
	})
	row(t, 1, failed == 0 && most <= 22, "%d of %d reads failed; at most %d attempts in 10 min over %d runs", failed, reads, most, runs(8))
}

func TestRow09OutageOfAnHour(t *testing.T) {
	t.Parallel()
	attempts := map[string]int{}
	var slowest time.Duration
	failed := 0
	inBubbles(t, runs(16), func(l *lab) {
		held, cold := l.slot("held", 3*time.Hour), l.slot("cold", time.Hour)
		cold.fails(down())
		time.Sleep(100 * time.Minute)
		held.fails(down())
		for n := held.count(); held.count() == n; {
			time.Sleep(time.Second)
		}
		n := held.count() - 1
		for range 3600 {
			_, _ = l.read("held")
			time.Sleep(time.Second)
		}
		failed += l.failed + l.expired
		attempts["held"] = max(attempts["held"], held.count()-n)
		held.fails(nil)
		slowest = max(slowest, untilGood(l, "held"))

		// A slot that never had anything goes through the same hour.
		l.Unload("cold")
		cold = l.slot("cold", time.Hour)
		cold.fails(down())
		time.Sleep(time.Hour)
		attempts["cold"] = max(attempts["cold"], cold.count())
		cold.fails(nil)
		slowest = max(slowest, untilGood(l, "cold"))
	})
	row(t, 9, failed == 0 && attempts["held"] <= 95 && attempts["cold"] <= 95 && slowest <= time.Minute,
		"at most %d attempts with a held set and %d without one over %d runs; 0 of 3,600 reads failed in each; recovered after %v at the latest",
		attempts["held"], attempts["cold"], runs(16), slowest.Round(100*time.Millisecond))
}

// untilGood is how long it takes until the last attempt of a slot succeeded.
func untilGood(l *lab, name string) time.Duration {
	began := time.Now()
	for {
		v := l.Slot(name).Snapshot()
		if v.Failure == nil && v.Remaining > 0 || time.Since(began) > time.Hour {
			return time.Since(began)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// recoveredWithin is the worst time to the first success after upstream was
// down for some time up to ten seconds at a cold start.
func recoveredWithin(t *testing.T, n int) (worst time.Duration) {
	inBubbles(t, n, func(l *lab) {
		u := l.slot("x", time.Hour)
		u.fails(down())
		began := time.Now()
		for time.Since(began) < time.Duration(l.seed%10+1)*time.Second { // readers all the while
			_, _ = l.read("x")
			time.Sleep(100 * time.Millisecond)
		}
		u.fails(nil)
		back := time.Now()
		for {
			if _, err := l.read("x"); err == nil {
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
		worst = max(worst, time.Since(back))
	})
	return worst
}

func TestRow08RetryAfter(t *testing.T) {
	t.Parallel()
	g := newSources(t, fakeaws.Config{})
	kinds, calls := 0, 0
	var longest time.Duration
	for _, c := range []struct {
		source, match, code string
		status              int
	}{
		{"dev", "sts:AssumeRole", "Throttling", 400}, {"dev", "sts:AssumeRole", "ThrottlingException", 429}, {"dev", "sts:AssumeRole", "SlowDown", 503},
		{"dev", "sts:AssumeRole", "RequestLimitExceeded", 503}, {"dev", "sts:AssumeRole", "", 429}, {"dev", "sts:AssumeRole", "", 503},
		{"sso-dev", "sso:GetRoleCredentials", "TooManyRequestsException", 429}, {"container", "container:credentials", "", 429}, {"container", "container:credentials", "", 503},
		{"imds", "imds:token", "", 429}, {"imds", "imds:credentials", "", 429},
	} {
		for _, after := range []time.Duration{30 * time.Second, time.Hour} {
			g.aws.ClearFaults()
			g.aws.Script(fakeaws.Fault{Match: c.match, Status: c.status, Code: c.code, RetryAfter: after})
			before := g.aws.Calls(c.match)
			err := g.fails(c.source)
			if n := g.aws.Calls(c.match) - before; n != 1 {
				t.Errorf("%s, %d %s: asked %d times within one attempt", c.source, c.status, c.code, n)
			}
			kinds++
			synctest.Test(t, func(t *testing.T) {
				l := newLab(t, uint64(kinds))
				u := l.slot("x", time.Hour)
				_, _ = l.read("x")
				u.fails(err)
				n := u.count()
				for u.count() == n {
					time.Sleep(time.Second)
				}
				if left := l.Slot("x").Snapshot().Remaining; left < 20*time.Minute {
					t.Errorf("%v left", left)
				}
				asked := time.Now()
				n = u.count()
				for time.Since(asked) < min(after, 5*time.Minute)-time.Second {
					_, _ = l.read("x")
					time.Sleep(time.Second)
				}
				calls += u.count() - n
				for u.count() == n {
					time.Sleep(time.Second)
				}
				longest = max(longest, time.Since(asked))
				if l.failed+l.expired > 0 {
					t.Errorf("%s: %d reads failed", c.source, l.failed+l.expired)
				}
			})
		}
	}
	row(t, 8, calls == 0 && longest <= 302*time.Second, "%d calls within Retry-After over %d answers of STS, the portal, containers and IMDS; an hour is cut to %v", calls, kinds, longest.Truncate(10*time.Second))
}

func TestRow11ThirtySecondsOfLife(t *testing.T) {
	t.Parallel()
	calls := 0
	least := time.Hour
	failed := 0
	inBubbles(t, runs(8), func(l *lab) {
		u := l.slot("x", 30*time.Second)
		_, _ = l.read("x")
		for range 6000 {
			time.Sleep(100 * time.Millisecond)
			_, _ = l.read("x")
		}
		calls, least, failed = max(calls, u.count()), min(least, l.least), failed+l.failed+l.expired
	})
	row(t, 11, calls <= 61 && least > 0 && failed == 0, "%d calls in 10 min; least life served %v; %d of 6,000 reads failed", calls, least.Round(100*time.Millisecond), failed)
}

func TestRow16AccessDenied(t *testing.T) {
	t.Parallel()
	var dropped time.Duration
	most, explicit, early := 0, 0, 0
	inBubbles(t, runs(8), func(l *lab) {
		u := l.slot("x", 3*time.Hour)
		time.Sleep(80 * time.Minute)
		u.fails(denied())
		n := u.count()
		for u.count() == n {
			time.Sleep(time.Second)
		}
		var first time.Time
		u.set(func(u *upstream) { first = u.at[n] })
		for {
			if _, err := l.read("x"); err != nil {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
		took := time.Since(first)
		dropped = max(dropped, took)
		if took < time.Minute {
			early++
		}
		n = u.count()
		for range 3600 {
			_, _ = l.read("x")
			time.Sleep(time.Second)
		}
		most = max(most, u.count()-n)
		n = u.count()
		for range 5 {
			_ = l.Slot("x").Refresh(context.Background())
		}
		explicit = max(explicit, u.count()-n)
	})
	row(t, 16, early == 0 && dropped <= 2*time.Minute && most <= 12 && explicit <= 5, "dropped %v after the first denial; then %d calls in 1 h under a read a second; %d calls for 5 explicit refreshes", dropped.Round(time.Second), most, explicit)
}

// expiredBackoff is how soon a slot asks again after upstream handed out
// credentials that had ended, and how many of those it served.
func expiredBackoff(t *testing.T) (soonest time.Duration, served int) {
	soonest = time.Hour
	inBubbles(t, runs(8), func(l *lab) {
		u := l.slot("x", time.Hour)
		_, _ = l.read("x")
		u.set(func(u *upstream) {
			u.change = func(c *creds.Credentials) { c.Expires = c.ObservedAt.Add(-time.Minute) }
		})
		n := u.count()
		for u.count() < n+2 {
			_, _ = l.read("x")
			time.Sleep(time.Second)
		}
		u.set(func(u *upstream) { soonest = min(soonest, u.at[n+1].Sub(u.at[n])) })
		time.Sleep(time.Hour)
		if _, err := l.read("x"); err == nil {
			served++
		}
		served += l.expired
		if v := l.Slot("x").Snapshot(); v.State != slot.Expired && v.State != slot.Empty {
			t.Errorf("%v an hour later", v.State)
		}
	})
	return soonest, served
}
