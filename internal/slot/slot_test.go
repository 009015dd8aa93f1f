package slot

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"rolecall/internal/creds"
	"rolecall/internal/usererr"
)

// bench is a table in fake time with clocks that can be set apart.
type bench struct {
	*Table
	t          *testing.T
	wall, boot atomic.Int64 // offsets to the bubble's time
	start      time.Time
	events     []Event
	mu         sync.Mutex
}

func newBench(t *testing.T, change ...func(*Config)) *bench {
	b := &bench{t: t, start: time.Now()}
	c := Config{
		Clock: ClockFunc(func() Moment {
			now := time.Now().Round(0)
			return Moment{Wall: now.Add(time.Duration(b.wall.Load())), Boot: now.Sub(b.start.Round(0)) + time.Hour + time.Duration(b.boot.Load())}
		}),
		Observe: func(e Event) { b.mu.Lock(); b.events = append(b.events, e); b.mu.Unlock() },
	}
	for _, f := range change {
		f(&c)
	}
	b.Table = New(c)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = b.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return b
}

// upstream counts calls and does what the test scripts.
type upstream struct {
	clock    func() time.Time // upstream's own; nil: time.Now
	lifetime time.Duration
	delay    time.Duration
	mu       sync.Mutex
	fail     error
	calls    int
	cut      int // calls that were cancelled
	change   func(*creds.Credentials)
}

func (u *upstream) Retrieve(ctx context.Context) (creds.Credentials, error) {
	u.mu.Lock()
	u.calls++
	n, fail, change, lifetime, delay := u.calls, u.fail, u.change, u.lifetime, u.delay
	u.mu.Unlock()
	if delay > 0 {
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			u.mu.Lock()
			u.cut++
			u.mu.Unlock()
			return creds.Credentials{}, ctx.Err()
		}
	}
	if fail != nil {
		return creds.Credentials{}, fail
	}
	now := time.Now().Round(0)
	if u.clock != nil {
		now = u.clock()
	}
	c := creds.Credentials{AccessKeyID: fmt.Sprintf("ASIAFAKE%08d", n), SecretAccessKey: creds.NewSecret("s"), SessionToken: creds.NewSecret("t"),
		AccountID: "123456789012", Expires: now.Add(lifetime), ObservedAt: now, Source: "fake"}
	if lifetime == 0 {
		c.Expires, c.ObservedAt = time.Time{}, time.Time{}
	}
	if change != nil {
		change(&c)
	}
	return c, nil
}

func (u *upstream) set(f func()) { u.mu.Lock(); defer u.mu.Unlock(); f() }

func (u *upstream) count() int { u.mu.Lock(); defer u.mu.Unlock(); return u.calls }

func spec(u *upstream) Spec { return Spec{Source: "fake", Provider: u, Key: "fake"} }

func unavailable() error { return &usererr.Error{Code: usererr.Unavailable, Msg: "down"} }

func (b *bench) mustRead(name string) *Held {
	b.t.Helper()
	h, err := b.Slot(name).Credentials(context.Background())
	if err != nil {
		b.t.Fatalf("read at %v: %v", time.Since(b.start), err)
	}
	if left := h.life.remaining(b.clock.Now()); left <= 0 {
		b.t.Fatalf("served expired credentials, %v left", left)
	}
	return h
}

func TestColdHerdSharesOneCall(t *testing.T) {
	for _, delay := range []time.Duration{100 * time.Millisecond, 900 * time.Millisecond, 3 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			u := &upstream{lifetime: time.Hour, delay: delay}
			b := newBench(t)
			b.Configure("x", spec(u))
			var wg sync.WaitGroup
			var failed atomic.Int32
			for range 1000 {
				wg.Go(func() {
					if _, err := b.Slot("x").Credentials(context.Background()); err != nil {
						failed.Add(1)
					}
				})
			}
			wg.Wait()
			if u.count() != 1 || failed.Load() != 0 {
				t.Errorf("upstream %v: %d calls, %d failed", delay, u.count(), failed.Load())
			}
			if waited := time.Since(b.start); waited > delay+time.Second {
				t.Errorf("upstream %v: waited %v", delay, waited)
			}
		})
	}
}

func TestClientsLeaveButCallGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &upstream{lifetime: time.Hour, delay: time.Second}
		b := newBench(t)
		b.Configure("x", spec(u))
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
				defer cancel()
				if _, err := b.Slot("x").Credentials(ctx); err == nil {
					t.Error("an answer before upstream gave one")
				}
			})
		}
		wg.Wait()
		time.Sleep(time.Second)
		before := time.Now()
		b.mustRead("x")
		if u.count() != 1 || u.cut != 0 || time.Since(before) > 5*time.Millisecond {
			t.Errorf("%d calls, %d cancelled, next read took %v", u.count(), u.cut, time.Since(before))
		}
	})
}

func TestSlowerThanPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &upstream{lifetime: time.Hour, delay: 8 * time.Second}
		b := newBench(t)
		b.Configure("x", spec(u))
		_, err := b.Slot("x").Credentials(context.Background())
		if e := usererr.From(err); e == nil || e.Code != usererr.Unavailable || e.RetryAfter <= 0 || time.Since(b.start) != coldPatience {
			t.Fatalf("after %v: %#v", time.Since(b.start), err)
		}
		time.Sleep(4 * time.Second)
		b.mustRead("x")
		if u.count() != 1 {
			t.Errorf("%d calls", u.count())
		}
	})
}

func TestRefreshAheadNeverServesLittleLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &upstream{lifetime: time.Hour}
		b := newBench(t)
		b.Configure("x", spec(u))
		least := time.Hour
		for range 7 * 24 * 60 {
			time.Sleep(time.Minute)
			h := b.mustRead("x")
			least = min(least, time.Until(h.Expires))
		}
		if least < 25*time.Minute {
			t.Errorf("least life served %v", least)
		}
		if n := u.count(); n < 7*24*60/34 || n > 7*24*60/26 {
			t.Errorf("%d refreshes in a week", n)
		}
	})
}

func TestOutageKeepsTheHeldSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &upstream{lifetime: 3 * time.Hour}
		b := newBench(t)
		b.Configure("x", spec(u))
		b.mustRead("x")
		time.Sleep(100 * time.Minute) // due by then
		u.set(func() { u.fail = unavailable() })
		calls := u.count()
		for range 10000 {
			time.Sleep(360 * time.Millisecond)
			b.mustRead("x")
		}
		if n := u.count() - calls; n > 95 {
			t.Errorf("%d attempts in an hour's outage", n)
		}
		u.set(func() { u.fail = nil })
		time.Sleep(time.Minute)
		if v := b.Slot("x").Snapshot(); v.Failure != nil || v.State != Valid {
			t.Errorf("a minute after the outage: %v %+v", v.State, v.Failure)
		}
	})
}

func TestColdOutageRecoversSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &upstream{lifetime: time.Hour, fail: unavailable()}
		b := newBench(t)
		b.Configure("x", spec(u))
		time.Sleep(9900 * time.Millisecond)
		_, err := b.Slot("x").Credentials(context.Background())
		if e := usererr.From(err); e == nil || e.Code != usererr.Unavailable || e.RetryAfter <= 0 {
			t.Fatalf("cold outage answered %#v", err)
		}
		u.set(func() { u.fail = nil })
		time.Sleep(2 * time.Second)
		b.mustRead("x")
		if n := u.count(); n > 15 {
			t.Errorf("%d attempts in 12 s", n)
		}
	})
}

func TestHostileAnswersNeverReplaceAGoodSet(t *testing.T) {
	for name, change := range map[string]func(*creds.Credentials){
		"no key":        func(c *creds.Credentials) { c.AccessKeyID = "" },
		"no secret":     func(c *creds.Credentials) { c.SecretAccessKey = creds.Secret{} },
		"no token":      func(c *creds.Credentials) { c.SessionToken = creds.Secret{} },
		"newline":       func(c *creds.Credentials) { c.AccessKeyID = "AKIA\nX" },
		"expired":       func(c *creds.Credentials) { c.Expires = c.ObservedAt.Add(-time.Minute) },
		"earlier":       func(c *creds.Credentials) { c.Expires = c.ObservedAt.Add(time.Minute) },
		"other account": func(c *creds.Credentials) { c.AccountID = "999999999999" },
		"other role":    func(c *creds.Credentials) { c.RoleARN = "arn:aws:iam::123456789012:role/other" },
		"huge":          func(c *creds.Credentials) { c.SessionToken = creds.NewSecret(string(make([]byte, 1<<20))) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u := &upstream{lifetime: time.Hour, change: func(c *creds.Credentials) { c.RoleARN = "arn:aws:iam::123456789012:role/dev" }}
				b := newBench(t)
				b.Configure("x", spec(u))
				first := b.mustRead("x")
				u.set(func() { u.change = change })
				time.Sleep(50 * time.Minute)
				if got := b.mustRead("x"); got != first {
					t.Errorf("replaced by %v", got.Credentials)
				}
				if u.count() < 2 {
					t.Error("no refresh was tried")
				}
				time.Sleep(time.Hour)
				// a short life is better than none; all else is not
				if h, err := b.Slot("x").Credentials(context.Background()); err == nil && name != "earlier" {
					t.Errorf("served %v after the end", h.Credentials)
				}
			})
		})
	}
}

func TestSecondDenialDropsTheSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &upstream{lifetime: 3 * time.Hour}
		b := newBench(t)
		b.Configure("x", spec(u))
		b.mustRead("x")
		u.set(func() { u.fail = &usererr.Error{Code: usererr.AccessDenied, Msg: "no"} })
		for u.count() < 2 {
			time.Sleep(time.Second)
		}
		b.mustRead("x") // one denial may be IAM that has not spread
		time.Sleep(120 * time.Second)
		if _, err := b.Slot("x").Credentials(context.Background()); usererr.From(err).Code != usererr.AccessDenied {
			t.Errorf("two minutes after the first denial: %v", err)
		}
		n := u.count()
		time.Sleep(time.Hour)
		if more := u.count() - n; more > 13 {
			t.Errorf("%d attempts in an hour of denial", more)
		}
	})
}

func TestThrottledHonoursRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &upstream{lifetime: time.Hour, fail: &usererr.Error{Code: usererr.Throttled, Msg: "slow", RetryAfter: 30 * time.Second}}
		b := newBench(t)
		b.Configure("x", spec(u))
		time.Sleep(time.Second)
		for range 28 {
			time.Sleep(time.Second)
			_, err := b.Slot("x").Credentials(context.Background())
			if e := usererr.From(err); e.Code != usererr.Throttled || e.RetryAfter <= 0 {
				t.Fatal(err)
			}
		}
		if u.count() != 1 {
			t.Errorf("%d calls within Retry-After", u.count())
		}
	})
}

func TestLoginNeededHealsOnceTheFileChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var signedIn atomic.Bool
		u := &upstream{lifetime: time.Hour, fail: &usererr.Error{Code: usererr.LoginRequired, Msg: "signed out", Hint: "aws sso login", Changed: signedIn.Load}}
		b := newBench(t)
		b.Configure("x", spec(u))
		time.Sleep(10 * time.Minute)
		if n := u.count(); n > 5 {
			t.Errorf("%d attempts while nobody signed in", n)
		}
		if v := b.Slot("x").Snapshot(); v.Failure == nil || v.Failure.Code != usererr.LoginRequired || v.Failure.Hint == "" {
			t.Errorf("status %+v", v.Failure)
		}
		u.set(func() { u.fail = nil })
		signedIn.Store(true)
		time.Sleep(1100 * time.Millisecond)
		if b.Slot("x").held.Load() == nil {
			t.Error("not healed a second after the sign-in")
		}
	})
}

// A refresh that was asked for ahead of time, and failed, is made up for as soon
// as somebody has signed in, and says when the next one is.
func TestLoginNeededAheadOfTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var signedIn atomic.Bool
		u := &upstream{lifetime: time.Hour}
		b := newBench(t)
		b.Configure("x", spec(u))
		b.mustRead("x")
		u.set(func() {
			u.fail = &usererr.Error{Code: usererr.LoginRequired, Msg: "signed out", Changed: signedIn.Load}
		})
		if err := b.Slot("x").Refresh(context.Background()); err == nil {
			t.Fatal("refreshed")
		}
		time.Sleep(5 * time.Minute)
		v := b.Slot("x").Snapshot()
		if n := u.count(); n > 2 || v.Failure == nil || !v.Failure.NextTry.Equal(v.RefreshAt) || time.Until(v.RefreshAt) < 10*time.Minute {
			t.Errorf("%d attempts, %+v, refresh at %v", n, v.Failure, v.RefreshAt)
		}
		u.set(func() { u.fail = nil })
		signedIn.Store(true)
		time.Sleep(1100 * time.Millisecond)
		if v := b.Slot("x").Snapshot(); v.Failure != nil || u.count() != 3 {
			t.Errorf("%d attempts, %+v", u.count(), v.Failure)
		}
	})
}

func TestClockSteps(t *testing.T) {
	trueTime := func() time.Time { return time.Now().Round(0) } // upstream's clock is right
	for _, step := range []time.Duration{time.Hour, -time.Hour, 30 * time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			u := &upstream{lifetime: time.Hour, clock: trueTime}
			b := newBench(t)
			b.Configure("x", spec(u))
			b.mustRead("x")
			time.Sleep(time.Minute)
			n := u.count()
			b.wall.Store(int64(step))
			for range 600 {
				time.Sleep(time.Second)
				b.mustRead("x")
			}
			if more := u.count() - n; more > 2 {
				t.Errorf("step %v: %d calls in ten minutes", step, more)
			}
			u.set(func() { u.fail = unavailable() })
			for range 2 * 3600 {
				time.Sleep(time.Second)
				if h, err := b.Slot("x").Credentials(context.Background()); err == nil && !h.Expires.After(time.Now()) {
					t.Fatalf("step %v: served %v past the true end", step, time.Since(h.Expires))
				}
			}
		})
	}
}

func TestSleep(t *testing.T) {
	sleep := func(b *bench, d time.Duration) { b.wall.Add(int64(d)); b.boot.Add(int64(d)) }
	t.Run("8 h", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t)
			u := &upstream{lifetime: time.Hour, clock: func() time.Time { return b.clock.Now().Wall }}
			b.Configure("x", spec(u))
			b.mustRead("x")
			time.Sleep(time.Minute)
			n := u.count()
			sleep(b, 8*time.Hour)
			b.mustRead("x")
			time.Sleep(30 * time.Second)
			if more := u.count() - n; more != 1 {
				t.Errorf("%d calls after the sleep", more)
			}
		})
	})
	t.Run("8 h, nobody asks", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t)
			u := &upstream{lifetime: time.Hour, clock: func() time.Time { return b.clock.Now().Wall }}
			b.Configure("x", spec(u))
			b.mustRead("x")
			sleep(b, 8*time.Hour)
			time.Sleep(longestTick + spreadSleep)
			if v := b.Slot("x").Snapshot(); v.State != Valid {
				t.Errorf("state %v after the sleep was noticed", v.State)
			}
		})
	})
	t.Run("5 min with half an hour left", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t)
			u := &upstream{lifetime: 58 * time.Minute, clock: func() time.Time { return b.clock.Now().Wall }}
			b.Configure("x", spec(u))
			b.mustRead("x")
			time.Sleep(10 * time.Minute)
			sleep(b, 5*time.Minute)
			time.Sleep(time.Minute)
			if u.count() != 1 {
				t.Errorf("%d calls", u.count())
			}
		})
	})
}

func TestShortLivesAreServedWithoutAHotLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &upstream{lifetime: 30 * time.Second}
		b := newBench(t)
		b.Configure("x", spec(u))
		for range 600 {
			time.Sleep(time.Second)
			b.mustRead("x")
		}
		if u.count() > 61 {
			t.Errorf("%d calls in ten minutes", u.count())
		}
	})
}

func TestStaticKeysGetAnExpiryAndOutliveOutages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &upstream{}
		b := newBench(t)
		b.Configure("x", spec(u))
		if left := time.Until(b.mustRead("x").Expires); left != StaticTold {
			t.Errorf("told %v", left)
		}
		u.set(func() { u.fail = unavailable() })
		for range 300 {
			time.Sleep(time.Minute)
			if left := time.Until(b.mustRead("x").Expires); left < 20*time.Minute {
				t.Fatalf("told %v", left)
			}
		}
		u.set(func() { u.fail = &usererr.Error{Code: usererr.NotConfigured, Msg: "gone"} })
		time.Sleep(2 * time.Hour)
		if _, err := b.Slot("x").Credentials(context.Background()); err == nil {
			t.Error("served two hours after the keys were taken out of the configuration")
		}
	})
}

func TestUnchangedAnswerIsNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end := time.Now().Add(6 * time.Hour)
		u := &upstream{lifetime: 6 * time.Hour, change: func(c *creds.Credentials) { c.Expires = end }}
		b := newBench(t)
		b.Configure("x", spec(u))
		time.Sleep(5*time.Hour + 50*time.Minute)
		if v := b.Slot("x").Snapshot(); v.Failure != nil || v.State == Expired {
			t.Errorf("%v %+v", v.State, v.Failure)
		}
		if n := u.count(); n < 3 || n > 40 {
			t.Errorf("%d calls", n)
		}
		u.set(func() { u.change = nil })
		time.Sleep(10 * time.Minute)
		if v := b.Slot("x").Snapshot(); v.State != Valid {
			t.Errorf("%v after upstream rotated", v.State)
		}
	})
}

func TestLoadKeepsWhatIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		good, bad := &upstream{lifetime: time.Hour}, &upstream{fail: unavailable()}
		b := newBench(t)
		if _, _, err := b.Load(context.Background(), "x", spec(good)); err != nil {
			t.Fatal(err)
		}
		if _, kept, err := b.Load(context.Background(), "x", spec(bad)); err == nil || kept {
			t.Fatalf("kept %v, %v", kept, err)
		}
		b.mustRead("x")
		if _, kept, err := b.Load(context.Background(), "y", spec(bad)); err == nil || !kept {
			t.Fatalf("kept %v, %v", kept, err)
		}
		bad.set(func() { bad.fail, bad.lifetime = nil, time.Hour })
		time.Sleep(3 * time.Second)
		b.mustRead("y")
		none := &upstream{fail: &usererr.Error{Code: usererr.NotConfigured, Msg: "no such profile"}}
		if _, kept, err := b.Load(context.Background(), "z", spec(none)); err == nil || kept || b.Slot("z") != nil {
			t.Fatalf("kept %v, %v", kept, err)
		}
	})
}

func TestUnloadCancelsAndForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &upstream{lifetime: time.Hour, delay: 5 * time.Second}
		b := newBench(t)
		b.Configure("x", spec(u))
		s := b.Slot("x")
		time.Sleep(time.Second)
		if !b.Unload("x") || b.Unload("x") || b.Slot("x") != nil {
			t.Error("unload")
		}
		synctest.Wait()
		if u.cut != 1 || s.held.Load() != nil {
			t.Errorf("%d cancelled, holds %v", u.cut, s.held.Load())
		}
	})
}

func TestPushed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		c := creds.Credentials{AccessKeyID: "ASIAPUSHED000001", SecretAccessKey: creds.NewSecret("s"), SessionToken: creds.NewSecret("t"), Expires: time.Now().Add(10 * time.Minute)}
		if err := b.Push("x", Spec{Profile: "up"}, c); err != nil {
			t.Fatal(err)
		}
		b.mustRead("x")
		time.Sleep(11 * time.Minute)
		if _, err := b.Slot("x").Credentials(context.Background()); err == nil {
			t.Error("served an ended upload")
		}
		if v := b.Slot("x").Snapshot(); v.State != Expired || !v.Pushed {
			t.Errorf("%+v", v)
		}
		if err := b.Push("x", Spec{}, c); err == nil {
			t.Error("took an ended upload")
		}
	})
}

func TestDerivedLapsesWhenUnused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &upstream{lifetime: time.Hour}
		b := newBench(t)
		get := func() (*Slot, error) { return b.Derived("source:fake", func() (Spec, error) { return spec(u), nil }) }
		for range 10 {
			s, err := get()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Credentials(context.Background()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(50 * time.Minute)
		}
		time.Sleep(15 * time.Minute)
		n := u.count()
		time.Sleep(24 * time.Hour)
		if u.count() != n || b.derived.len() != 0 {
			t.Errorf("%d calls after it lapsed, %d left", u.count()-n, b.derived.len())
		}
		if _, err := b.Derived("bad", func() (Spec, error) { return Spec{}, errors.New("no") }); err == nil {
			t.Error("made a slot of an error")
		}
	})
}

func TestPanickingSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.Configure("x", Spec{Source: "p", Provider: creds.ProviderFunc(func(context.Context) (creds.Credentials, error) { panic("CANARY") })})
		_, err := b.Slot("x").Credentials(context.Background())
		if e := usererr.From(err); e == nil || e.Code != usererr.Internal {
			t.Errorf("%v", err)
		}
	})
}
