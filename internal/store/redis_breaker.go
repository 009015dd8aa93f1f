package store

import (
	"sync"
	"time"
)

const (
	breakerFails = 3
	breakerOpen  = 5 * time.Second
)

// outcome of one operation.
type outcome int

const (
	succeeded outcome = iota
	failed
	unknown // whoever asked went away first
)

// breaker keeps a server that fails from being asked: after three failures in a
// row nobody asks for 5 s, then one does, and the others only if that went well.
// The zero breaker is closed.
type breaker struct {
	mu      sync.Mutex
	fails   int       // in a row
	until   time.Time // nobody asks before it
	probing bool      // one asks on behalf of all
}

// enter says whether the server may be asked now. If so, leave must follow.
func (b *breaker) enter(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fails < breakerFails {
		return true
	}
	if b.probing || now.Before(b.until) {
		return false
	}
	b.probing = true
	return true
}

// leave records how it went; reopened says that the server is back.
func (b *breaker) leave(now time.Time, o outcome) (reopened bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch probe := b.probing; {
	case o == succeeded:
		reopened = b.fails >= breakerFails
		b.fails, b.probing = 0, false
	case o == unknown:
		b.probing = false
	default:
		b.fails++
		if b.fails == breakerFails || probe {
			b.until = now.Add(breakerOpen)
		}
		b.probing = false
	}
	return reopened
}
