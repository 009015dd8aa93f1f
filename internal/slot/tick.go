package slot

import (
	"rolecall/internal/usererr"
	"time"
)

// tick is the loop's look at a slot: it starts a refresh that is due, drops
// what has ended, and answers with the time until it wants to be looked at
// again.
func (s *Slot) tick(now Moment) time.Duration {
	h := s.held.Load()
	if h != nil && h.life.remaining(now) <= 0 {
		s.drop(h)
		h = nil
	}
	if s.spec.Provider == nil {
		if h == nil {
			return longestTick
		}
		return h.life.remaining(now)
	}
	due := time.Duration(0)
	if h != nil {
		due = max(0, h.life.remaining(now)-h.life.refreshBelow)
	}
	s.mu.Lock()
	flying, last := s.flight != nil, s.last
	wait := max(due, s.next.Boot-now.Boot, s.spread.Boot-now.Boot)
	s.mu.Unlock()
	if flying {
		return longestTick // its landing pokes the loop
	}
	if wait <= 0 {
		s.join(false)
		return longestTick
	}
	if last != nil && last.Changed != nil { // also when somebody asked ahead of time
		if s.causeGone(last, now) {
			s.join(true)
			return longestTick
		}
		wait = min(wait, loginRecheck)
	}
	return wait
}

// causeGone looks, at most once a second, whether what made the last attempt
// fail has changed, e.g. whether somebody has signed in.
func (s *Slot) causeGone(last *usererr.Error, now Moment) bool {
	s.mu.Lock()
	if now.Boot-s.looked.Boot < loginRecheck {
		s.mu.Unlock()
		return false
	}
	s.looked = now
	s.mu.Unlock()
	return last.Changed()
}

// drop lets go of a set that has ended, so that it does not linger in memory.
func (s *Slot) drop(h *Held) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held.CompareAndSwap(h, nil) {
		s.ended = true
	}
}

// delayed keeps the loop (not readers) from an attempt for d.
func (s *Slot) delayed(now Moment, d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spread = later(now, d)
}
