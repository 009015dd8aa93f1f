package fleet

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"rolecall/internal/creds"
)

// shared is a store in memory that agrees on who asks upstream as the one on
// Redis does: a lock that lapses, waiting with growing pauses, then alone.
type shared struct {
	mu    sync.Mutex
	kept  map[string]creds.Credentials
	locks map[string]lock
	turn  int
	ops   int
}

type lock struct {
	holder int
	until  time.Time
}

const (
	opTakes   = time.Millisecond
	lockHolds = 10 * time.Second
	lockWait  = 2 * time.Second
	pollFirst = 20 * time.Millisecond
	pollLast  = 200 * time.Millisecond
)

func newShared() *shared {
	return &shared{kept: map[string]creds.Credentials{}, locks: map[string]lock{}}
}

// op is one operation on the server.
func (s *shared) op(do func()) {
	<-time.After(opTakes) // the bubble's time, as all here
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ops++
	do()
}

func (s *shared) flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.kept)
	clear(s.locks)
}

func (s *shared) Update(ctx context.Context, key string, fresh func(creds.Credentials) bool,
	fetch func(context.Context) (creds.Credentials, error)) (c creds.Credentials, fetched bool, err error) {
	var found bool
	s.op(func() { c, found = s.kept[key] })
	if found && fresh(c) {
		return c, false, nil
	}
	var judged time.Time
	if found {
		judged = c.Expires
	}
	me, mine := 0, false
	s.op(func() { s.turn++; me = s.turn })
	deadline := time.Now().Add(lockWait)
	for pause := pollFirst; !mine && time.Now().Before(deadline); pause = min(pause*3/2, pollLast) {
		var other creds.Credentials
		s.op(func() {
			if other, found = s.kept[key]; found && !other.Expires.Equal(judged) {
				return
			}
			found = false
			if now := time.Now(); !s.locks[key].until.After(now) {
				s.locks[key], mine = lock{me, now.Add(lockHolds)}, true
			}
		})
		if found {
			if fresh(other) {
				return other, false, nil
			}
			judged = other.Expires
		}
		if !mine {
			<-time.After(min(time.Duration(float64(pause)*(0.5+rand.Float64())), time.Until(deadline)))
		}
	}
	c, err = fetch(ctx)
	s.op(func() {
		if old, ok := s.kept[key]; err == nil && (!ok || old.Expires.Equal(judged) || old.Expires.Before(c.Expires)) {
			s.kept[key] = c
		}
		if s.locks[key].holder == me {
			delete(s.locks, key)
		}
	})
	return c, true, err
}
