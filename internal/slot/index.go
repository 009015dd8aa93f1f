package slot

import (
	"hash/maphash"
	"iter"
	"maps"
	"sync"
	"sync/atomic"
)

const shards = 64

// index finds slots by name. Reading takes no lock: each shard is an immutable
// map that a writer replaces. Shards keep the copying short with many slots.
type index struct {
	seed   maphash.Seed
	mu     sync.Mutex // serializes writers
	shards [shards]atomic.Pointer[map[string]*Slot]
}

func newIndex() *index { return &index{seed: maphash.MakeSeed()} }

func (x *index) shard(name string) *atomic.Pointer[map[string]*Slot] {
	return &x.shards[maphash.String(x.seed, name)%shards]
}

func (x *index) get(name string) *Slot {
	m := x.shard(name).Load()
	if m == nil {
		return nil
	}
	return (*m)[name]
}

// swap puts s (nil: nothing) in the place of name if want holds of what is
// there, and returns what was there.
func (x *index) swap(name string, s *Slot, want func(old *Slot) bool) (old *Slot, done bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	at := x.shard(name)
	var m map[string]*Slot
	if p := at.Load(); p != nil {
		m = *p
	}
	old = m[name]
	if want != nil && !want(old) {
		return old, false
	}
	m = maps.Clone(m)
	if m == nil {
		m = map[string]*Slot{}
	}
	if s == nil {
		delete(m, name)
	} else {
		m[name] = s
	}
	at.Store(&m)
	return old, true
}

func (x *index) all() iter.Seq2[string, *Slot] {
	return func(yield func(string, *Slot) bool) {
		for i := range x.shards {
			m := x.shards[i].Load()
			if m == nil {
				continue
			}
			for name, s := range *m {
				if !yield(name, s) {
					return
				}
			}
		}
	}
}

func (x *index) len() int {
	n := 0
	for i := range x.shards {
		if m := x.shards[i].Load(); m != nil {
			n += len(*m)
		}
	}
	return n
}
