package slot

import (
	"time"

	"rolecall/internal/creds"
	"rolecall/internal/usererr"
)

// Snapshot is what there is to tell of a slot; it holds no secret.
type Snapshot struct {
	Name       string
	Spec       Spec
	State      State
	Pushed     bool
	Static     bool // the credentials never end; Expires is what clients are told
	Identity   creds.Credentials
	Expires    time.Time
	Remaining  time.Duration
	RefreshAt  time.Time // zero: nothing to refresh
	Refreshing bool
	Skew       time.Duration // wall clock ahead of upstream's
	LastTry    time.Time
	Failure    *Failure // the last attempt's, until one succeeds
	Counts     Counts
}

// Failure is why the last attempt brought nothing.
type Failure struct {
	Code    usererr.Code
	Msg     string
	Hint    string
	MFA     string // the device whose code is asked for; "" for none
	At      time.Time
	NextTry time.Time
	InARow  int
}

// Snapshot describes the slot as of now. Identity has the keys stripped.
func (s *Slot) Snapshot() Snapshot {
	now := s.table.clock.Now()
	h := s.held.Load()
	s.mu.Lock()
	defer s.mu.Unlock()
	v := Snapshot{Name: s.name, Spec: s.spec, State: Empty, Pushed: s.spec.Provider == nil, Refreshing: s.flight != nil, Identity: s.who,
		LastTry: s.lastAt, Counts: s.count}
	if s.ended {
		v.State = Expired
	}
	if h != nil {
		v.State, v.Static = h.life.state(now), h.static
		v.Expires, v.Remaining = h.Expires, h.life.remaining(now)
		v.Skew = h.life.skew(now)
		if !v.Pushed {
			due := max(0, v.Remaining-h.life.refreshBelow, s.next.Boot-now.Boot)
			v.RefreshAt = now.Wall.Add(due)
		}
	}
	if e := s.last; e != nil {
		v.Failure = &Failure{Code: e.Code, Msg: e.Msg, Hint: e.Hint, MFA: e.MFA, At: s.lastAt, InARow: s.fails, NextTry: v.RefreshAt}
		if v.RefreshAt.IsZero() {
			v.Failure.NextTry = now.Wall.Add(max(0, s.next.Boot-now.Boot))
		}
	}
	return v
}
