package faults_test

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"rolecall/internal/creds"
	"rolecall/internal/slot"
	"rolecall/test/faults"
)

func TestRow18ClockAhead(t *testing.T) {
	t.Parallel()
	most, failed := 0, 0
	inBubbles(t, runs(12), func(l *lab) {
		u := l.slot("x", time.Hour)
		_, _ = l.read("x")
		time.Sleep(time.Duration(int(l.Slot("x").Snapshot().Remaining)) / 70) // still far from due
		n := u.count()
		l.step.Store(int64(time.Hour))
		for range 6000 {
			_, _ = l.read("x")
			time.Sleep(100 * time.Millisecond)
		}
		most, failed = max(most, u.count()-n), failed+l.failed+l.expired
	})
	row(t, 18, most <= 2 && failed == 0, "%d calls in the next 10 min; %d of 6,000 reads failed", most, failed)
}

func TestRow19ClockBack(t *testing.T) {
	t.Parallel()
	past, reads := 0, 0
	inBubbles(t, runs(8), func(l *lab) {
		u := l.slot("x", time.Hour)
		_, _ = l.read("x")
		time.Sleep(time.Minute)
		l.step.Store(-int64(time.Hour))
		u.fails(down()) // so that what is held has to end
		for range 3 * 3600 {
			_, _ = l.read("x")
			time.Sleep(time.Second)
		}
		past, reads = past+l.expired, reads+l.reads
		if _, err := l.read("x"); err == nil {
			t.Error("still served three hours later")
		}
	})
	row(t, 19, past == 0, "%d of %d reads served past the true end, upstream being down all the while", past, reads)
}

func TestRow20SleepOfEightHours(t *testing.T) {
	t.Parallel()
	const slots = 50
	var noticed, fresh time.Duration
	expired, most, good := 0, 0, 0
	inBubbles(t, runs(20), func(l *lab) {
		var all []*upstream
		for i := range slots {
			all = append(all, l.slot(fmt.Sprint(i), time.Hour))
		}
		time.Sleep(5*time.Minute + time.Duration(l.seed)*700*time.Millisecond)
		before := make([]int, slots)
		for i, u := range all {
			before[i] = u.count()
		}
		l.sleep(8 * time.Hour)
		began := time.Now()
		for range 3 * int(l.seed%2) { // by turns nobody asks, or somebody who does not wait for the loop
			if _, err := l.read("0"); err == nil {
				good++
			}
		}
		for !l.Alive() { // it looks at the clocks again
			time.Sleep(10 * time.Millisecond)
		}
		noticed = max(noticed, time.Since(began))
		for i := range all {
			for l.Slot(fmt.Sprint(i)).Snapshot().State != slot.Valid {
				time.Sleep(10 * time.Millisecond)
			}
		}
		fresh = max(fresh, time.Since(began))
		time.Sleep(time.Minute)
		for i, u := range all {
			most = max(most, u.count()-before[i])
		}
		expired += l.expired
	})
	// The same with upstream gone: 503, and nothing that has ended.
	inBubbles(t, runs(20), func(l *lab) {
		u := l.slot("x", time.Hour)
		_, _ = l.read("x")
		u.fails(down())
		l.sleep(8 * time.Hour)
		for range 600 {
			_, _ = l.read("x")
			time.Sleep(100 * time.Millisecond)
		}
		expired += l.expired
	})
	row(t, 20, faults.Within(noticed, 15*time.Second) && expired == 0 && most == 1 && good == 3*(runs(20)/2),
		"noticed after %v at the latest, all of %d slots fresh after %v; reads at +0 s got a fresh set; %d ended sets served, also with upstream down; %d call per slot",
		noticed.Round(100*time.Millisecond), slots, fresh.Round(100*time.Millisecond), expired, most)
}

func TestRow21ShortSleep(t *testing.T) {
	t.Parallel()
	further, failed := 0, 0
	inBubbles(t, runs(40), func(l *lab) {
		u := l.slot("x", 58*time.Minute)
		_, _ = l.read("x")
		time.Sleep(20 * time.Minute)
		n := u.count()
		l.sleep(5 * time.Minute)
		if left := l.Slot("x").Snapshot().Remaining; left < 30*time.Minute {
			t.Errorf("%v left", left)
		}
		for range 50 {
			_, _ = l.read("x")
			time.Sleep(time.Second)
		}
		further, failed = further+u.count()-n, failed+l.failed+l.expired
	})
	row(t, 21, further == 0 && failed == 0, "%d further calls, %d failed reads over %d runs", further, failed, runs(40))
}

func TestRow46FleetWithOneExpiry(t *testing.T) {
	t.Parallel()
	busy.Lock()
	defer busy.Unlock()
	const daemons = 100
	worst := 0
	var shares []int
	fleets := runs(16)
	for fleet := range fleets {
		synctest.Test(t, func(t *testing.T) {
			first := time.Now().Round(0)
			var seen []chan time.Duration
			for d := range daemons {
				l := newLab(t, uint64(fleet*daemons+d))
				at := make(chan time.Duration, 8)
				seen = append(seen, at)
				l.Configure("x", slot.Spec{Source: "x", Key: "x", Provider: provider(func() creds.Credentials {
					now := time.Now().Round(0)
					if passed := now.Sub(first); passed > time.Minute {
						at <- passed
					}
					return creds.Credentials{AccessKeyID: "ASIAFLEET" + fmt.Sprint(now.Unix()), SecretAccessKey: creds.NewSecret("s"), SessionToken: creds.NewSecret("t"),
						Expires: now.Add(time.Hour), ObservedAt: now}
				})})
			}
			time.Sleep(50 * time.Minute)
			buckets := map[int]int{}
			for _, at := range seen {
				buckets[int(<-at/(36*time.Second))]++ // the second, as the first was at the start
			}
			busiest := 0
			for _, n := range buckets {
				busiest = max(busiest, n)
			}
			shares, worst = append(shares, busiest), max(worst, busiest)
		})
	}
	slices.SortFunc(shares, cmp.Compare[int])
	row(t, 46, worst <= 22, "busiest 1 %% holds %d %% in the median of %d fleets, %d %% in the worst", shares[len(shares)/2], fleets, worst)
}

func provider(f func() creds.Credentials) creds.Provider {
	return creds.ProviderFunc(func(context.Context) (creds.Credentials, error) { return f(), nil })
}
