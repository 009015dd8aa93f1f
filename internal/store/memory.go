package store

import (
	"context"
	"sync"
	"time"

	"rolecall/internal/creds"
)

// Memory is a store of one process, which ends with it. The zero Memory is
// empty and ready for use.
type Memory struct {
	mu      sync.Mutex // guards entries; never held during a fetch
	entries map[string]*remembered
	swept   int // how many entries there were after the last sweep
	denied  denials
}

// remembered is one key's credentials.
type remembered struct {
	turn chan struct{} // has room for one: whoever put something in may fetch
	kept creds.Credentials
	used bool // a fetch has ended; one that is about to begin is not swept away
}

// Update is as slot.Store wants it: at most one fetch per key at a time.
func (m *Memory) Update(ctx context.Context, key string, fresh func(creds.Credentials) bool, fetch Fetch) (creds.Credentials, bool, error) {
	e := m.entry(key)
	select {
	case e.turn <- struct{}{}:
		defer func() { <-e.turn }()
	case <-ctx.Done():
		c, err := fetch(ctx) // its error says what a deadline means
		return c, true, err
	}
	if now := time.Now(); keepable(e.kept, now) && fresh(e.kept) {
		return e.kept, false, nil
	}
	c, err := fetch(ctx)
	e.used = true
	if m.denied.told(key, err, time.Now()) {
		e.kept = creds.Credentials{}
	}
	if err == nil && keepable(c, time.Now()) {
		e.kept = c
	}
	return c, true, err
}

// Forget drops what is kept under key.
func (m *Memory) Forget(key string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.entries, key)
}

const sweepAt = 64

// sweepDue says whether to look through n things of which swept were left the
// last time: whenever they have doubled.
func sweepDue(n, swept int) bool { return n >= max(sweepAt, 2*swept) }

// sweepLocked drops entries that nobody uses and that hold nothing good: keys
// that were asked for once must not stay for ever.
func (m *Memory) sweepLocked() {
	if !sweepDue(len(m.entries), m.swept) {
		return
	}
	now := time.Now()
	for key, e := range m.entries {
		select {
		case e.turn <- struct{}{}:
			if e.used && !keepable(e.kept, now) {
				delete(m.entries, key)
			}
			<-e.turn
		default: // a fetch is under way
		}
	}
	m.swept = len(m.entries)
}

func (m *Memory) entry(key string) *remembered {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.entries == nil {
		m.entries = map[string]*remembered{}
	}
	e := m.entries[key]
	if e == nil {
		m.sweepLocked()
		e = &remembered{turn: make(chan struct{}, 1)}
		m.entries[key] = e
	}
	return e
}
