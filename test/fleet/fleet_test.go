// Package fleet simulates many daemons in fake time: how often they ask
// upstream, and how evenly.
package fleet

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"rolecall/internal/creds"
	"rolecall/internal/slot"
	"rolecall/test/faults"
	"rolecall/test/figure"
)

// upstream is AWS: it takes its time, and counts calls by the second.
type upstream struct {
	life time.Duration

	mu    sync.Mutex
	start time.Time
	calls []time.Duration // since start, in order
}

func (u *upstream) Retrieve(context.Context) (creds.Credentials, error) {
	u.mu.Lock()
	u.calls = append(u.calls, time.Since(u.start))
	n := len(u.calls)
	u.mu.Unlock()
	now := time.Now().Round(0).UTC()
	time.Sleep(100*time.Millisecond + time.Duration(n%200)*time.Millisecond)
	return creds.Credentials{AccessKeyID: fmt.Sprintf("ASIAFLEET%d", n), SecretAccessKey: creds.NewSecret("s"), SessionToken: creds.NewSecret("t"),
		AccountID: "123456789012", Source: "fake", Expires: now.Add(u.life), ObservedAt: now}, nil
}

// busiest is the most calls in any window of that length from a time on.
func (u *upstream) busiest(window, from time.Duration) (most int) {
	calls := u.calls[slices.IndexFunc(append(u.calls, 1<<62), func(d time.Duration) bool { return d >= from }):]
	for i, j := 0, 0; i < len(calls); i++ {
		for calls[i]-calls[j] >= window {
			j++
		}
		most = max(most, i-j+1)
	}
	return most
}

// run lets daemons with the same slots start within spread and live for d. Each
// slot is read every hour.
func run(t *testing.T, daemons, slots int, spread, d time.Duration, u *upstream, store slot.Store, seed uint64, during func(hour int)) (failed int) {
	u.start = time.Now()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var all sync.WaitGroup
	rnd := rand.New(rand.NewPCG(seed, 46))
	tables := make([]*slot.Table, daemons)
	for i := range tables {
		start := time.Now().Round(0)
		own := rand.New(rand.NewPCG(seed, uint64(i)))
		var mu sync.Mutex
		tables[i] = slot.New(slot.Config{Store: store,
			Random: func() float64 { mu.Lock(); defer mu.Unlock(); return own.Float64() },
			Clock: slot.ClockFunc(func() slot.Moment {
				now := time.Now().Round(0)
				return slot.Moment{Wall: now, Boot: now.Sub(start) + time.Hour}
			})})
		wait := time.Duration(rnd.Float64() * float64(spread))
		all.Go(func() {
			time.Sleep(wait)
			for k := range slots {
				// Twenty accounts, each with a rate limit of its own.
				tables[i].Configure(fmt.Sprint(k), slot.Spec{Source: fmt.Sprint("role ", k), Key: fmt.Sprint("role ", k), Provider: u, Upstream: fmt.Sprint("account ", k%20)})
			}
			_ = tables[i].Run(ctx)
		})
	}
	for hour := range int(d / time.Hour) {
		time.Sleep(time.Hour)
		if during != nil {
			during(hour + 1)
		}
		for _, table := range tables {
			for _, s := range table.Slots {
				h, err := s.Credentials(ctx)
				if err != nil || time.Until(h.Expires) < 25*time.Minute {
					failed++
				}
			}
		}
	}
	time.Sleep(d % time.Hour)
	cancel()
	all.Wait()
	return failed
}

// TestFigureFleet makes the table of docs/fleet.md. ROLECALL_FLEET=full makes
// all of it; without, a part that takes seconds.
func TestFigureFleet(t *testing.T) {
	sizes, hours := []int{10, 100}, 2
	switch {
	case os.Getenv("ROLECALL_FLEET") == "full":
		sizes, hours = []int{1, 10, 50, 100}, 24
	case faults.RaceDetector: // which makes it ten times slower; races show with few daemons too
		sizes, hours = []int{2, 10}, 1
	}
	const slots = 50
	table := "| daemons | shared store | upstream calls | calls/s, mean | busiest second, all start at once | busiest second, after an hour | store operations |\n|---|---|---|---|---|---|---|\n"
	var calls [2]int
	for _, daemons := range sizes {
		for i, with := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				u := &upstream{life: time.Hour}
				var store slot.Store
				s := newShared()
				if with {
					store = s
				}
				failed := run(t, daemons, slots, 0, time.Duration(hours)*time.Hour, u, store, 1, func(hour int) {
					if hour == hours/2 {
						s.flush()
					}
				})
				calls[i] = len(u.calls)
				table += fmt.Sprintf("| %d | %v | %d | %.2f | %d | %d | %d |\n", daemons, map[bool]string{false: "no", true: "yes"}[with], len(u.calls),
					float64(len(u.calls))/(float64(hours)*3600), u.busiest(time.Second, 0), u.busiest(time.Second, time.Hour), s.ops)
				if failed > 0 {
					t.Errorf("%d daemons, shared %v: %d reads failed or had less than 25 min", daemons, with, failed)
				}
			})
		}
	}
	t.Log("\n" + table)
	if sizes[1] < 100 {
		return
	}
	figure.Note(t, fmt.Sprintf("100 daemons × 50 profiles of 1 h, %d h of fake time, store emptied in the middle: upstream calls without and with the shared store", hours), "with it ≤ 1/50",
		fmt.Sprintf("%d, %d", calls[0], calls[1]), calls[1]*50 > calls[0])
}

// TestFigureSameExpiry: a hundred daemons that hold credentials of the same
// expiry, as after a start from a common store, do not refresh together.
func TestFigureSameExpiry(t *testing.T) {
	const daemons = 100
	fleets := 100
	if faults.RaceDetector {
		fleets = 3
	}
	life := time.Hour
	var shares []float64
	for seed := range uint64(fleets) {
		synctest.Test(t, func(t *testing.T) {
			u := &upstream{life: life}
			now := time.Now().Round(0).UTC()
			first := one{creds.Credentials{AccessKeyID: "ASIAFIRST", SecretAccessKey: creds.NewSecret("s"), SessionToken: creds.NewSecret("t"),
				AccountID: "123456789012", Source: "fake", Expires: now.Add(life), ObservedAt: now}}
			run(t, daemons, 1, 0, 35*time.Minute, u, first, seed, nil)
			refreshes := len(u.calls)
			if refreshes != daemons {
				t.Fatalf("%d refreshes of %d daemons", refreshes, daemons)
			}
			shares = append(shares, float64(u.busiest(life/100, 0))/float64(refreshes))
		})
	}
	slices.Sort(shares)
	if fleets < 100 {
		return
	}
	p99, median := shares[fleets*99/100-1], shares[fleets/2]
	figure.Note(t, fmt.Sprintf("%d daemons with one expiry, %d fleets: share of refreshes in the busiest 1 %% of the life, p50, p99, most", daemons, fleets), "p99 ≤ 22 %",
		fmt.Sprintf("%.0f %%, %.0f %%, %.0f %%", 100*median, 100*p99, 100*shares[fleets-1]), p99 > 0.22)
}

// one is a store that has a set for everybody, and takes nothing.
type one struct{ c creds.Credentials }

func (o one) Update(ctx context.Context, _ string, fresh func(creds.Credentials) bool,
	fetch func(context.Context) (creds.Credentials, error)) (creds.Credentials, bool, error) {
	if fresh(o.c) {
		return o.c, false, nil
	}
	c, err := fetch(ctx)
	return c, true, err
}
