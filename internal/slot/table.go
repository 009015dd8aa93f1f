// Package slot is the heart of rolecall: named places that hold credentials and
// keep them fresh. It decides when to refresh (pure functions of the moment),
// lets one retrieval at a time serve all who wait, and keeps the last good set
// through failures. It knows neither where credentials come from nor who asks.
package slot

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"rolecall/internal/creds"
	"rolecall/internal/usererr"
)

// Default is the name of the default slot.
const Default = ""

const (
	longestTick = 15 * time.Second // the loop looks at the clocks at least this often
	pokeLull    = 5 * time.Millisecond
	sleptAtAll  = longestTick / 2 // more than this beyond the tick was a sleep
	spreadStart = 2 * time.Second // refreshes at a start are spread over this much
	spreadSleep = 5 * time.Second // and after a sleep over this much
	mostDerived = 1000            // slots made by URL
)

// Config of a Table. The zero Config works.
type Config struct {
	Clock   Clock                                            // nil: SystemClock
	Store   Store                                            // nil: nothing outlives the table or is shared
	Prepare func(c creds.Credentials, expires time.Time) any // made once per set, kept in Held.Prepared; nil: nothing
	Random  func() float64                                   // uniform in [0, 1); nil: math/rand
	Observe func(Event)                                      // told of every retrieval's end; nil: nobody. Must not block
}

// Event is the end of a retrieval.
type Event struct {
	Slot    string
	Spec    Spec
	Held    *Held          // what the slot holds because of it; nil when it failed
	Err     *usererr.Error // nil when it succeeded
	InARow  int            // failures in a row, this one included
	Took    time.Duration
	Fetched bool // upstream was asked; false: the store knew
}

// Table holds the slots of one daemon. Run is its owner: it must be running for
// slots to be refreshed, and it waits for retrievals under way when it ends.
type Table struct {
	clock   Clock
	store   Store
	prepare func(creds.Credentials, time.Time) any
	random  func() float64
	observe func(Event)
	limits  limiter

	named   *index // loaded, configured and pushed slots
	derived *index // made by URL; lapse when unused

	ctx    context.Context // of all retrievals
	stop   context.CancelFunc
	wake   chan struct{} // has room for one
	looked atomic.Int64  // when Run last looked, Boot clock in ns

	mu      sync.Mutex // guards closing and adding to flights
	closing bool
	flights sync.WaitGroup
}

// New returns an empty table.
func New(c Config) *Table {
	t := &Table{clock: c.Clock, store: c.Store, prepare: c.Prepare, random: c.Random, observe: c.Observe,
		named: newIndex(), derived: newIndex(), wake: make(chan struct{}, 1)}
	if t.clock == nil {
		t.clock = SystemClock()
	}
	if t.store == nil {
		t.store = unshared{}
	}
	if t.prepare == nil {
		t.prepare = func(creds.Credentials, time.Time) any { return nil }
	}
	if t.random == nil {
		t.random = rand.Float64
	}
	if t.observe == nil {
		t.observe = func(Event) {}
	}
	t.ctx, t.stop = context.WithCancel(context.Background())
	return t
}

// Run refreshes slots ahead of their end until ctx ends. It wakes at least
// every 15 s and judges by the clocks anew each time, so that sleep and clock
// steps need no handling of their own. Its error is ctx's.
func (t *Table) Run(ctx context.Context) error {
	defer t.close()
	timer := time.NewTimer(0)
	defer timer.Stop()
	before, looked := t.clock.Now(), time.Now()
	for poked := false; ; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.wake:
			if !poked { // one look for all that happens in the next moment
				poked = true
				timer.Reset(pokeLull)
			}
			continue
		case <-timer.C:
			poked = false
		}
		now := t.clock.Now()
		t.looked.Store(int64(now.Boot))
		if sleptFor(before, now, time.Since(looked)) > sleptAtAll {
			t.spread(now, spreadSleep)
		}
		before, looked = now, time.Now()
		next := longestTick
		for _, x := range []*index{t.named, t.derived} {
			for name, s := range x.all() {
				if x == t.derived && t.lapsed(s, now) {
					t.remove(x, name, s)
					continue
				}
				next = min(next, s.tick(now))
			}
		}
		timer.Reset(max(next, time.Millisecond))
	}
}

// Alive says whether Run has looked at the slots lately; for watchdogs.
func (t *Table) Alive() bool {
	return t.clock.Now().Boot-time.Duration(t.looked.Load()) < 3*longestTick
}

// Context ends with the table.
func (t *Table) Context() context.Context { return t.ctx }

func (t *Table) close() {
	t.mu.Lock()
	t.closing = true
	t.mu.Unlock()
	t.stop()
	t.flights.Wait()
}

// launch runs f as a retrieval that Run's end waits for.
func (t *Table) launch(f func()) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closing {
		return false
	}
	t.flights.Go(f)
	return true
}

// poke makes the loop look now.
func (t *Table) poke() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// spread keeps the loop from starting all refreshes at once. Readers do not
// wait for it.
func (t *Table) spread(now Moment, over time.Duration) {
	for _, x := range []*index{t.named, t.derived} {
		for _, s := range x.all() {
			s.delayed(now, time.Duration(t.random()*float64(over)))
		}
	}
}

func (t *Table) newSlot(name string, spec Spec) *Slot {
	s := &Slot{table: t, name: name, spec: spec}
	s.ctx, s.stop = context.WithCancel(t.ctx)
	return s
}

func (t *Table) remove(x *index, name string, s *Slot) bool {
	_, done := x.swap(name, nil, func(old *Slot) bool { return old == s })
	if done {
		s.end()
	}
	return done
}

// end stops a slot that is no longer in the table: its retrieval is cancelled
// and what it held is let go of.
func (s *Slot) end() {
	s.stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held.Store(nil)
}

// Slot finds a loaded, configured or pushed slot; nil when there is none.
func (t *Table) Slot(name string) *Slot { return t.named.get(name) }

// Slots calls yield with every loaded, configured or pushed slot.
func (t *Table) Slots(yield func(name string, s *Slot) bool) { t.named.all()(yield) }

// Configure puts a slot in place without waiting for its credentials; the loop
// fetches them. A slot that has the same Source and Key already stays as it is.
// Many slots configured at a start are spread over up to two seconds.
func (t *Table) Configure(name string, spec Spec) {
	s := t.newSlot(name, spec)
	if n := t.named.len(); n > 2 {
		most := min(spreadStart, time.Duration(n)*20*time.Millisecond)
		s.delayed(t.clock.Now(), time.Duration(t.random()*float64(most)))
	}
	old, done := t.named.swap(name, s, func(old *Slot) bool {
		return old == nil || old.spec.Source != spec.Source || old.spec.Key != spec.Key
	})
	if done && old != nil {
		old.end()
	}
	if !done {
		s.end()
	}
	t.poke()
}

// Load retrieves credentials of spec and puts them in the slot. Fails it, then
// a slot that is there stays untouched; where there is none, a failure that
// may pass (no sign-in, no network) still leaves a slot that goes on trying.
// kept says whether that is so.
func (t *Table) Load(ctx context.Context, name string, spec Spec) (s *Slot, kept bool, err error) {
	s = t.newSlot(name, spec)
	f, refused := s.join(true)
	if f != nil {
		select {
		case <-f.done:
			refused = f.err
		case <-ctx.Done():
			refused = usererr.From(ctx.Err())
		}
	}
	if refused == nil {
		if old, _ := t.named.swap(name, s, nil); old != nil {
			old.end()
		}
		t.poke()
		return s, true, nil
	}
	// A failure that names nothing to watch for a sign-in needs a person each time.
	mayPass := refused.Code == usererr.Unavailable || refused.Code == usererr.Throttled || refused.Code == usererr.LoginRequired && refused.Changed != nil
	if mayPass {
		_, kept = t.named.swap(name, s, func(old *Slot) bool { return old == nil || !old.holds() })
	}
	if !kept {
		s.end()
	}
	t.poke()
	return s, kept, refused
}

// holds says whether a slot is worth keeping over one that failed to load.
func (s *Slot) holds() bool {
	h := s.held.Load()
	return h != nil && h.life.remaining(s.table.clock.Now()) > 0
}

// Push puts credentials in a slot that nobody refreshes. spec.Provider is
// ignored. The error says what makes them unusable.
func (t *Table) Push(name string, spec Spec, c creds.Credentials) error {
	spec.Provider = nil
	s := t.newSlot(name, spec)
	h, err := t.accept(c, false, 0, creds.Credentials{}, nil, t.clock.Now())
	if err != nil {
		s.end()
		return err
	}
	s.mu.Lock()
	s.swapLocked(h)
	s.mu.Unlock()
	if old, _ := t.named.swap(name, s, nil); old != nil {
		old.end()
	}
	t.poke()
	return nil
}

// Unload empties a slot; false when there was none.
func (t *Table) Unload(name string) bool {
	s := t.named.get(name)
	return s != nil && t.remove(t.named, name, s)
}

// UnloadIf empties a slot that is still s; false when it is another by now.
func (t *Table) UnloadIf(name string, s *Slot) bool { return t.remove(t.named, name, s) }

// Refresh asks upstream now, whatever the schedule says.
func (s *Slot) Refresh(ctx context.Context) error {
	f, refused := s.join(true)
	if f == nil {
		return refused
	}
	select {
	case <-f.done:
		if f.err != nil {
			return f.err
		}
		return nil
	case <-ctx.Done():
		return usererr.From(ctx.Err())
	}
}
