package slot

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"rolecall/internal/creds"
	"rolecall/internal/usererr"
	"rolecall/test/figure"
)

func TestFigureOutageHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &upstream{lifetime: 3 * time.Hour}
		b := newBench(t)
		b.Configure("x", spec(u))
		b.mustRead("x")
		held := b.Slot("x").held.Load()
		for held.life.remaining(b.clock.Now()) > held.life.refreshBelow+time.Second {
			time.Sleep(time.Second)
		}
		u.set(func() { u.fail = unavailable() })
		before, failed := u.count(), 0
		for range 3600 {
			time.Sleep(time.Second)
			if _, err := b.Slot("x").Credentials(t.Context()); err != nil {
				failed++
			}
		}
		attempts := u.count() - before
		figure.Note(t, "1 h of upstream outage with 3 h credentials (fake time): failed reads, attempts", "0, ≤ 95",
			fmt.Sprintf("%d, %d", failed, attempts), failed > 0 || attempts > 95 || attempts < 10)
	})
}

func TestFigureSoak24h(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const slots = 50
		rnd := rand.New(rand.NewPCG(1, 2))
		b := newBench(t)
		all := make([]*upstream, slots)
		for i := range all {
			all[i] = &upstream{lifetime: time.Hour, clock: func() time.Time { return time.Now().Round(0) }}
			b.Configure(fmt.Sprint(i), spec(all[i]))
		}
		expired, reads, least := 0, 0, time.Hour
		var spared [slots]int // until that minute
		for minute := range 24 * 60 {
			// Faults of every kind, each for up to a minute and a half and not
			// two in a row: with the longest pause behind it, that is what
			// the two minutes between 27 and 25 are for.
			struck := rnd.IntN(slots)
			for minute < spared[struck] {
				struck = rnd.IntN(slots)
			}
			spared[struck] = minute + 10
			u := all[struck]
			fault := []func(){
				func() { u.fail = unavailable() },
				func() { u.fail = &usererr.Error{Code: usererr.Throttled, RetryAfter: 20 * time.Second} },
				func() { u.change = func(c *creds.Credentials) { c.AccessKeyID = "" } },
				func() { u.change = func(c *creds.Credentials) { c.Expires = c.ObservedAt.Add(-time.Second) } },
				func() { u.delay = 9 * time.Second },
				func() { u.delay = 30 * time.Second },
			}[rnd.IntN(6)]
			u.set(fault)
			lasts := time.Duration(30+rnd.IntN(60)) * time.Second
			go func() {
				time.Sleep(lasts)
				u.set(func() { u.fail, u.change, u.delay = nil, nil, 0 })
			}()
			if minute%180 == 90 { // the wall clock is set, and set right again
				b.wall.Store(int64(time.Duration(rnd.IntN(7200)-3600) * time.Second))
			} else if minute%180 == 120 {
				b.wall.Store(0)
			}
			for range 6 {
				time.Sleep(10 * time.Second)
				for i := range all {
					reads++
					h, err := b.Slot(fmt.Sprint(i)).Credentials(t.Context())
					if err != nil {
						if minute > 3 {
							t.Fatalf("minute %d, slot %d: %v", minute, i, err)
						}
						continue
					}
					left := time.Until(h.Expires)
					if left <= 0 {
						expired++
					}
					least = min(least, left)
				}
			}
		}
		time.Sleep(3 * time.Minute) // the faults' goroutines end
		figure.Note(t, fmt.Sprintf("24 h soak with faults on (fake time), 50 slots, %d reads: expired served, least life served from 1 h credentials", reads), "0, ≥ 25 min",
			fmt.Sprintf("%d, %v", expired, least.Round(time.Second)), expired > 0 || least < 25*time.Minute)
	})
}
