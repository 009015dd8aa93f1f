package faults_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"rolecall/internal/creds"
	"rolecall/internal/slot"
	"rolecall/internal/usererr"
	"rolecall/test/faults"
)

// lab is a table of slots in fake time, whose clocks can be stepped and put to
// sleep, and whose randomness is the seed's.
type lab struct {
	*slot.Table
	t     *testing.T
	seed  uint64
	start time.Time
	step  atomic.Int64 // the wall clock is wrong by this much
	slept atomic.Int64 // how long the machine has slept, which fake time does not count

	reads, failed, expired int
	least                  time.Duration // true life left of what was served
}

// busy is held by whoever keeps a processor busy, which fake time does: those
// who measure real time meanwhile need the other one.
var busy sync.Mutex

// inBubbles runs f in n bubbles of fake time, each with another seed.
func inBubbles(t *testing.T, n int, f func(l *lab)) {
	t.Helper()
	busy.Lock()
	defer busy.Unlock()
	for seed := range n {
		synctest.Test(t, func(t *testing.T) { f(newLab(t, uint64(seed))) })
	}
}

func newLab(t *testing.T, seed uint64) *lab {
	l := &lab{t: t, seed: seed, start: time.Now().Round(0), least: 1 << 62}
	l.Table = slot.New(slot.Config{Clock: slot.ClockFunc(l.now), Random: seeded(seed)})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = l.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return l
}

func seeded(seed uint64) func() float64 {
	var mu sync.Mutex
	r := rand.New(rand.NewPCG(seed, 58))
	return func() float64 { mu.Lock(); defer mu.Unlock(); return r.Float64() }
}

func (l *lab) now() slot.Moment {
	t := l.trueTime()
	return slot.Moment{Wall: t.Add(time.Duration(l.step.Load())), Boot: t.Sub(l.start) + time.Hour}
}

// trueTime is the world's, and upstream's.
func (l *lab) trueTime() time.Time {
	return time.Now().Round(0).Add(time.Duration(l.slept.Load()))
}

// sleep closes the lid for d.
func (l *lab) sleep(d time.Duration) { l.slept.Add(int64(d)) }

// read asks a slot as a client does, and judges the answer by true time.
func (l *lab) read(name string) (*slot.Held, error) {
	l.reads++
	h, err := l.Slot(name).Credentials(context.Background())
	if err != nil {
		l.failed++
		return nil, err
	}
	left := h.Expires.Sub(l.trueTime())
	l.least = min(l.least, left)
	if left <= 0 {
		l.expired++
	}
	return h, nil
}

// upstream is a source that does what the test scripts.
type upstream struct {
	lab *lab

	mu       sync.Mutex
	calls    int
	at       []time.Time // of the calls
	lifetime time.Duration
	delay    time.Duration
	fail     error
	change   func(*creds.Credentials)
}

// slot makes a slot of an upstream of its own.
func (l *lab) slot(name string, lifetime time.Duration) *upstream {
	u := &upstream{lab: l, lifetime: lifetime}
	l.Configure(name, slot.Spec{Source: name, Key: name, Provider: u})
	return u
}

func (u *upstream) Retrieve(ctx context.Context) (creds.Credentials, error) {
	u.mu.Lock()
	u.calls++
	u.at = append(u.at, time.Now())
	n, lifetime, delay, fail, change := u.calls, u.lifetime, u.delay, u.fail, u.change
	u.mu.Unlock()
	if delay > 0 {
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return creds.Credentials{}, ctx.Err()
		}
	}
	if fail != nil {
		return creds.Credentials{}, fail
	}
	now := u.lab.trueTime()
	c := creds.Credentials{AccessKeyID: fmt.Sprintf("ASIAFAULTS%06d", n), SecretAccessKey: creds.NewSecret("s"), SessionToken: creds.NewSecret("t"),
		AccountID: "123456789012", Expires: now.Add(lifetime), ObservedAt: now}
	if change != nil {
		change(&c)
	}
	return c, nil
}

func (u *upstream) set(f func(u *upstream)) { u.mu.Lock(); defer u.mu.Unlock(); f(u) }

func (u *upstream) fails(err error) { u.set(func(u *upstream) { u.fail = err }) }

func (u *upstream) count() int { u.mu.Lock(); defer u.mu.Unlock(); return u.calls }

func down() error { return &usererr.Error{Code: usererr.Unavailable, Msg: "down"} }

func denied() error { return &usererr.Error{Code: usererr.AccessDenied, Msg: "denied"} }

// many is n, or a tenth of it with -short.
func many(n int) int {
	if testing.Short() {
		return max(1, n/10)
	}
	return n
}

// runs is how often fake time is gone through, each time with another seed; the
// race detector makes that several times slower.
func runs(n int) int {
	if faults.RaceDetector {
		return max(2, many(n)/4)
	}
	return many(n)
}
