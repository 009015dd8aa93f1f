package slot

import (
	"rolecall/internal/usererr"
	"strings"
	"time"
)

// Derived is the slot of a source that a client named by URL, made on its first
// use. It lapses once it was not read for an hour or a lifetime, whichever is
// longer. make is called when there is none yet; its error is returned.
func (t *Table) Derived(name string, make func() (Spec, error)) (*Slot, error) {
	if s := t.derived.get(name); s != nil {
		return s, nil
	}
	spec, err := make()
	if err != nil {
		return nil, err
	}
	if t.derived.len() >= mostDerived {
		return nil, &usererr.Error{Code: usererr.Throttled, RetryAfter: time.Minute,
			Msg: "too many sources are in use by URL", Hint: "load the sources that are used as named slots"}
	}
	s := t.newSlot(name, spec)
	s.read.Store(int64(t.clock.Now().Boot))
	if old, done := t.derived.swap(name, s, func(old *Slot) bool { return old == nil }); !done {
		s.end()
		return old, nil
	}
	t.poke()
	return s, nil
}

// DropDerived removes the slots made by URL whose names begin with prefix.
func (t *Table) DropDerived(prefix string) {
	for name, s := range t.derived.all() {
		if strings.HasPrefix(name, prefix) {
			t.remove(t.derived, name, s)
		}
	}
}

// DerivedSlots calls yield with every slot made by URL.
func (t *Table) DerivedSlots(yield func(name string, s *Slot) bool) { t.derived.all()(yield) }

func (t *Table) lapses(s *Slot) bool { return s.read.Load() != 0 }

func (t *Table) lapsed(s *Slot, now Moment) bool {
	unused := now.Boot - time.Duration(s.read.Load())
	life := time.Hour
	if h := s.held.Load(); h != nil {
		life = max(life, h.life.total)
	}
	return unused > life
}
