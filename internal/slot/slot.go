package slot

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"rolecall/internal/creds"
	"rolecall/internal/usererr"
)

// Spec says what a slot holds credentials of.
type Spec struct {
	Source   string         // canonical text, e.g. "profile:dev"
	Profile  string         // name shown to people
	Region   string         // region of the profile, or ""
	Provider creds.Provider // nil: pushed, nobody to ask
	Key      string         // what changes the answer, for the Store
	Upstream string         // rate limit it shares; "" for none
	Timeout  time.Duration  // for one retrieval; zero: 10 s
	Rotates  time.Duration  // how often the source has a new set, however long each lives; zero: not known
}

const defaultTimeout = 10 * time.Second

// Slot holds the credentials of one Spec and keeps them fresh.
type Slot struct {
	table *Table
	name  string
	spec  Spec

	held atomic.Pointer[Held] // nil: empty
	read atomic.Int64         // last read, Boot clock in ns; kept for slots that lapse only
	ctx  context.Context      // ends when the slot is unloaded or the table stops
	stop context.CancelFunc

	mu     sync.Mutex // guards what follows; never held during I/O
	flight *flight    // under way, or nil
	next   Moment     // no attempt before it (by Boot), but for a person's wish
	spread Moment     // nor by the loop before it, after a start or a sleep
	last   *usererr.Error
	lastAt time.Time
	fails  int     // in a row
	denied *Moment // the first denial in a row
	looked Moment  // last look at last.Changed
	count  Counts
	who    creds.Credentials // whom the slot speaks for, keys stripped; outlives what is held
	ended  bool              // held ended and was dropped; for the state shown
}

// Counts are totals of a slot since it was made.
type Counts struct {
	Attempts  int `json:"attempts"`
	Refreshes int `json:"refreshes"` // attempts that brought a new set
	Failures  int `json:"failures"`
}

// flight is one retrieval that any number of readers wait for.
type flight struct {
	done chan struct{} // closed when held and err are set
	held *Held
	err  *usererr.Error
}

// Credentials is the slot's answer to a reader: what is held when that is
// good; otherwise the reader joins the retrieval under way for as long as the
// state of what is held allows. The error is a *usererr.Error.
func (s *Slot) Credentials(ctx context.Context) (*Held, error) {
	now := s.table.clock.Now()
	if s.spec.Provider != nil && s.table.lapses(s) {
		s.read.Store(int64(now.Boot))
	}
	h := s.held.Load()
	patience := coldPatience
	if h != nil {
		if patience = h.life.patience(now); patience == 0 {
			return h, nil
		}
	}
	return s.wait(ctx, patience)
}

// wait is the slow path of Credentials.
func (s *Slot) wait(ctx context.Context, patience time.Duration) (*Held, error) {
	f, refused := s.join(false)
	if f != nil {
		timer := time.NewTimer(patience)
		defer timer.Stop()
		select {
		case <-f.done:
			if f.held != nil {
				return f.held, nil
			}
			refused = f.err
		case <-timer.C:
			refused = &usererr.Error{Code: usererr.Unavailable, RetryAfter: attemptSpacing,
				Msg: "the source has not answered yet; the request to it goes on"}
		case <-ctx.Done():
			refused = usererr.From(ctx.Err())
		}
	}
	// A set that is about to end beats none; one that has ended is none.
	if h := s.held.Load(); h != nil && h.life.remaining(s.table.clock.Now()) > 0 {
		return h, nil
	}
	return nil, refused
}

// join returns the retrieval under way, starting one if that is allowed now:
// not before the time that the last attempt set, unless forced by a person.
// Otherwise it says why not.
func (s *Slot) join(force bool) (*flight, *usererr.Error) {
	now := s.table.clock.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flight != nil {
		return s.flight, nil
	}
	if s.spec.Provider == nil {
		return nil, &usererr.Error{Code: usererr.NotConfigured,
			Msg: "the uploaded credentials have ended", Hint: "upload new ones, or load a source: rolecall load SOURCE"}
	}
	if wait := s.next.Boot - now.Boot; wait > 0 && !force {
		e := usererr.Error{Code: usererr.Unavailable, Msg: "the next attempt is not due yet"}
		if s.last != nil {
			e = *s.last
		}
		e.RetryAfter = wait
		return nil, &e
	}
	if s.ctx.Err() != nil {
		return nil, &usererr.Error{Code: usererr.Unavailable, Msg: "rolecall is stopping, or the slot was unloaded"}
	}
	f := &flight{done: make(chan struct{})}
	if !s.table.launch(func() { s.fly(f) }) {
		return nil, &usererr.Error{Code: usererr.Unavailable, Msg: "rolecall is stopping"}
	}
	s.flight = f
	s.count.Attempts++
	return f, nil
}

// fly asks upstream, under its own deadline and nobody else's.
func (s *Slot) fly(f *flight) {
	began := time.Now()
	old := s.held.Load()
	c, fetched, err := s.retrieve(old)
	now := s.table.clock.Now()
	var h *Held
	if err == nil {
		h, err = s.table.accept(c, fetched, s.spec.Rotates, s.identity(), old, now)
	}
	e, inARow := s.land(f, h, err, now)
	close(f.done)
	s.table.poke()
	if s.ctx.Err() != nil {
		return // unloaded meanwhile: nobody's news
	}
	s.table.observe(Event{Slot: s.name, Spec: s.spec, Held: f.held, Err: e, InARow: inARow, Took: time.Since(began), Fetched: fetched || err != nil})
}

func (s *Slot) retrieve(old *Held) (c creds.Credentials, fetched bool, err error) {
	defer func() {
		if r := recover(); r != nil {
			// The value of a panic may hold anything; the stack holds no arguments worth hiding.
			err = &usererr.Error{Code: usererr.Internal, Msg: "the source failed with a panic",
				Err: fmt.Errorf("panic of type %T\n%s", r, debug.Stack())}
		}
	}()
	return s.table.store.Update(s.ctx, s.spec.Key, s.fresh(old), func(ctx context.Context) (creds.Credentials, error) {
		// Only who really asks upstream takes a place there, and its time begins then.
		release, err := s.table.limits.acquire(ctx, s.spec.Upstream, s.priority(old))
		if err != nil {
			return creds.Credentials{}, err
		}
		defer release()
		timeout := s.spec.Timeout
		if timeout <= 0 {
			timeout = defaultTimeout
		}
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		return s.spec.Provider.Retrieve(ctx)
	})
}

func (s *Slot) priority(old *Held) priority {
	if old == nil {
		return cold
	}
	switch left := old.life.remaining(s.table.clock.Now()); {
	case left <= 0:
		return cold
	case left < soonLeft:
		return soon
	}
	return ahead
}

// fresh approves of kept credentials that spare a call upstream: good for a
// while, and when something is held already, later than that and not due.
func (s *Slot) fresh(old *Held) func(creds.Credentials) bool {
	return func(c creds.Credentials) bool {
		now := s.table.clock.Now()
		if c.Check() != nil || !c.CanExpire() {
			return false
		}
		l := newLife(c.Expires, c.ObservedAt, false, s.spec.Rotates, now, 1)
		if old == nil {
			return l.patience(now) == 0
		}
		return l.state(now) == Valid && l.remaining(now) > old.life.remaining(now)
	}
}

// land records how a retrieval ended and when the next may begin.
func (s *Slot) land(f *flight, h *Held, err error, now Moment) (failed *usererr.Error, inARow int) {
	random := s.table.random()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flight = nil
	s.lastAt = now.Wall
	old := s.held.Load()
	switch {
	case s.ctx.Err() != nil: // unloaded meanwhile: nothing may come back
		f.err = &usererr.Error{Code: usererr.Unavailable, Msg: "the slot was unloaded"}
		return f.err, s.fails
	case err == nil:
		s.swapLocked(h)
		s.count.Refreshes++
		s.last, s.fails, s.denied = nil, 0, nil
		s.next = later(now, spacing(h.life.total))
		f.held = h
		return nil, 0
	case err == errUnchanged && old != nil:
		s.last, s.fails, s.denied = nil, 0, nil
		s.next = later(now, unchangedWait(old.life.remaining(now)))
		f.held = old
		return nil, 0
	}
	e := usererr.From(err)
	s.last, f.err = e, e
	s.fails++
	s.count.Failures++
	if old != nil && old.static && !e.Code.NeedsPerson() && old.life.state(now) != Valid {
		old = s.table.prolong(old, now)
		s.swapLocked(old)
	}
	s.denyLocked(e, now)
	left := time.Duration(0)
	if old = s.held.Load(); old != nil {
		left = old.life.remaining(now)
	}
	s.next = later(now, backoff(failure{e.Code, s.fails, left, e.RetryAfter}, random))
	s.looked = now
	return e, s.fails
}

// denyLocked drops what is held on the second denial in a row that comes a
// minute or more after the first: upstream took the role away. One denial may
// be IAM that has not spread yet.
func (s *Slot) denyLocked(e *usererr.Error, now Moment) {
	if e.Code != usererr.AccessDenied {
		s.denied = nil
		return
	}
	if s.denied == nil {
		s.denied = &now
		return
	}
	if now.Boot-s.denied.Boot >= personFirst {
		s.held.Store(nil)
	}
}

func (s *Slot) identity() creds.Credentials {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.who
}

func (s *Slot) swapLocked(h *Held) {
	s.held.Store(h)
	s.who = h.Credentials
	s.who.SecretAccessKey, s.who.SessionToken = creds.Secret{}, creds.Secret{}
	s.ended = false
}

func later(now Moment, d time.Duration) Moment {
	return Moment{Wall: now.Wall.Add(d), Boot: now.Boot + d}
}
