package store

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"time"

	"rolecall/internal/privatefile"
	"rolecall/internal/usererr"
)

// failure is how the last fetch of an entry ended, if it failed: a note beside
// the entry, by which those who waited for that fetch need not repeat it, and
// by which a second denial is known as such by a process that has just started.
// It is sealed, as its text may hold names.
type failure struct {
	At     time.Time    `json:"at"`
	Denied time.Time    `json:"denied,omitzero"` // the first of the denials in a row
	Code   usererr.Code `json:"code"`
	Msg    string       `json:"msg"`
	Hint   string       `json:"hint,omitempty"`

	RetryAfter time.Duration `json:"retry_after,omitempty"` // from At on
}

func (n failure) err() error {
	return &usererr.Error{Code: n.Code, Msg: n.Msg, Hint: n.Hint, RetryAfter: n.RetryAfter}
}

// shared says whether the failure is upstream's, and so everybody's. What a
// person mends on this machine, by signing in or correcting a file, each looks at
// for itself: it is there at once, and what to watch for it is not in a note.
func (n failure) shared() bool {
	return n.Code != usererr.LoginRequired && n.Code != usererr.NotConfigured
}

// dropped says whether upstream has denied it for so long that what is kept goes.
func (n failure) dropped() bool { return !n.Denied.IsZero() && n.At.Sub(n.Denied) >= grace }

// Failed says how the last fetch of what belongs under key failed and how long
// ago, or nil when it did not. dropped says that upstream has denied it for so
// long that nothing kept elsewhere may stand in for it.
func (f *File) Failed(key string) (ago time.Duration, dropped bool, err error) {
	n, ok := f.failed(f.c.Sealer.Name(key))
	if !ok {
		return 0, false, nil
	}
	return f.c.Now().Sub(n.At), n.dropped(), n.err()
}

func (f *File) failed(name string) (n failure, ok bool) {
	sealed, err := privatefile.Read(f.path(name, failExt), maxSealed)
	if err != nil {
		return n, false
	}
	text, err := f.c.Sealer.openNote(name, sealed)
	if err != nil || json.Unmarshal(text, &n) != nil {
		return failure{}, false
	}
	return n, !n.At.After(f.c.Now()) // a clock that was set back has forgotten it
}

// note takes the end of a fetch and says whether to drop what is kept.
func (f *File) note(ctx context.Context, name string, err error) (drop bool) {
	now := f.c.Now()
	drop = f.denied.told(name, err, now) // where nothing can be written, this process at least remembers
	path := f.path(name, failExt)
	var e *usererr.Error
	switch {
	case err == nil:
		_ = os.Remove(path) // there is none, as a rule
		return false
	case ctx.Err() != nil || !errors.As(err, &e):
		return drop // whoever asked has gone, or we have failed: that says nothing of upstream
	}
	n := failure{At: now.UTC().Round(0), Code: e.Code, Msg: e.Msg, Hint: e.Hint, RetryAfter: e.RetryAfter}
	before, ok := f.failed(name)
	switch {
	case e.Code != usererr.AccessDenied:
		if ok && before.dropped() {
			n.Denied = before.Denied // an outage gives nothing back that was taken away
		}
	case ok && !before.Denied.IsZero():
		n.Denied = before.Denied
		drop = drop || now.Sub(n.Denied) >= grace
	default:
		n.Denied = n.At
	}
	if text, err := json.Marshal(n); err == nil {
		_ = privatefile.Write(path, f.c.Sealer.sealNote(name, text)) // without it others ask for themselves
	}
	return drop
}

// sealNote and openNote are Seal and Open for what is no entry.
func (s *Sealer) sealNote(name string, text []byte) []byte {
	return s.aead.Seal(nil, nil, text, []byte("note\x00"+name))
}

func (s *Sealer) openNote(name string, sealed []byte) ([]byte, error) {
	return s.aead.Open(nil, nil, sealed, []byte("note\x00"+name))
}
