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
	denied  denials
}

// remembered is one key's credentials.
type remembered struct {
	turn chan struct{} // has room for one: whoever put something in may fetch
	kept creds.Credentials
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
	if m.denied.told(key, err, time.Now()) {
		e.kept = creds.Credentials{}
	}
	if err == nil && keepable(c, time.Now()) {
		e.kept = c
	}
	return c, true, err
}

func (m *Memory) entry(key string) *remembered {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.entries == nil {
		m.entries = map[string]*remembered{}
	}
	e := m.entries[key]
	if e == nil {
		e = &remembered{turn: make(chan struct{}, 1)}
		m.entries[key] = e
	}
	return e
}
