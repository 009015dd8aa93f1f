package store

import (
	"sync"
	"time"
)

const warnLull = time.Minute

// warner passes warnings on, each kind at most once a minute.
type warner struct {
	to  func(string) // nil: nobody. Must not block
	now func() time.Time

	mu   sync.Mutex // guards last
	last map[string]time.Time
}

func newWarner(to func(string), now func() time.Time) *warner {
	return &warner{to: to, now: now, last: map[string]time.Time{}}
}

func (w *warner) tell(kind, text string) {
	if w.to == nil {
		return
	}
	now := w.now()
	w.mu.Lock()
	last, told := w.last[kind]
	quiet := told && now.Sub(last).Abs() < warnLull // a clock that was set back silences nobody
	if !quiet {
		w.last[kind] = now
	}
	w.mu.Unlock()
	if !quiet {
		w.to(text)
	}
}
