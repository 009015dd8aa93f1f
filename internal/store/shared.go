package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"rolecall/internal/creds"
)

// SharedConfig says where a machine and its fleet keep credentials.
type SharedConfig struct {
	Key   KeyConfig   // its Dir is that of the files, its Warn is told of all trouble
	Fleet RedisConfig // URL, PasswordFile, SentinelPasswordFile and CAFile; no URL: this machine only
}

// Shared is an open store: the files that all processes of this user share and,
// where there is one, behind them the server that all machines of a fleet
// share. Who asks takes turns with the processes of the machine first, so that
// one of them talks to the server, and a machine whose server is gone still
// asks upstream once. At least one of File and Fleet is there. It is safe for
// concurrent use.
type Shared struct {
	File  *File  // nil: the directory cannot be used
	Fleet *Redis // nil: there is none, or its settings are faulty
	Key   Key

	FileErr, FleetErr error // why there is none although there should be
}

// Open opens the files, and the server where one is named; it asks neither for
// anything yet. The error says why there is nothing to keep credentials in:
// fs.ErrNotExist where c.Key.Make is off and there is no key, or no directory, so far. Close it in
// the end.
func Open(c SharedConfig) (*Shared, error) {
	key, err := OpenKey(c.Key)
	if err != nil {
		return nil, err
	}
	sealer, err := NewSealer(key.Bytes)
	if err != nil {
		return nil, err
	}
	s := &Shared{Key: key}
	if _, err := os.Stat(c.Key.Dir); err != nil && !c.Key.Make {
		s.FileErr = err // who only looks leaves everything as it is
	} else if s.File, s.FileErr = NewFile(FileConfig{Dir: c.Key.Dir, Sealer: sealer, Warn: c.Key.Warn}); s.File != nil && c.Key.Make {
		s.File.sweep(time.Now())
	}
	if c.Fleet.URL != "" {
		c.Fleet.Sealer, c.Fleet.Warn = sealer, c.Key.Warn
		s.Fleet, s.FleetErr = NewRedis(c.Fleet)
	}
	if s.File == nil && s.Fleet == nil {
		switch {
		case s.FleetErr == nil:
			return nil, s.FileErr
		case !c.Key.Make && errors.Is(s.FileErr, fs.ErrNotExist): // which is no fault
			return nil, s.FleetErr
		}
		return nil, fmt.Errorf("%w; and %w", s.FileErr, s.FleetErr)
	}
	return s, nil
}

// Close ends the connections.
func (s *Shared) Close() {
	if s.Fleet != nil {
		_ = s.Fleet.Close() // what it held is of no use any more
	}
}

// KeyID names the store key without telling it.
func (s *Shared) KeyID() string {
	if s.File != nil {
		return s.File.c.Sealer.KeyID()
	}
	return s.Fleet.sealer.KeyID()
}

// Update is slot.Store's: what is kept under key if fresh approves of it, on
// this machine or in the fleet, else what fetch returns.
func (s *Shared) Update(ctx context.Context, key string, fresh func(creds.Credentials) bool, fetch Fetch) (creds.Credentials, bool, error) {
	switch {
	case s.Fleet == nil:
		return s.File.Update(ctx, key, fresh, fetch)
	case s.File == nil:
		return s.Fleet.Update(ctx, key, fresh, fetch)
	}
	var asked bool
	c, _, err := s.File.Update(ctx, key, fresh, func(ctx context.Context) (c creds.Credentials, err error) {
		s.recall(key)
		c, asked, err = s.Fleet.Update(ctx, key, fresh, fetch)
		return c, err
	})
	return c, asked, err
}

// recall lets the server's side know what this machine has seen before: an
// older entry put back there, and what was denied, are refused by a process
// that has just started too.
func (s *Shared) recall(key string) {
	name := s.File.c.Sealer.Name(key)
	if e, err := s.File.read(name); err == nil {
		s.Fleet.seen(name, e.c.Expires)
	}
	if _, dropped, _ := s.File.Failed(key); dropped {
		s.Fleet.denied.lose(name, s.Fleet.now())
	}
}

// Peek is what this machine has kept under key, and how long it is still good.
// It waits for nobody, and a miss of any kind is !ok.
func (s *Shared) Peek(key string) (c creds.Credentials, left time.Duration, ok bool) {
	if s.File == nil {
		return c, 0, false
	}
	return s.File.Peek(key)
}

// Denied says that upstream has denied what belongs under key for so long that
// nothing kept may stand in for it.
func (s *Shared) Denied(key string) bool {
	if s.File == nil {
		return s.Fleet.denied.lasting(s.Fleet.sealer.Name(key))
	}
	_, dropped, _ := s.File.Failed(key)
	return dropped
}

// Forget removes what this machine has kept under key. What the fleet has is
// others' too, and stays.
func (s *Shared) Forget(key string) {
	if s.File != nil {
		s.File.Forget(key)
	}
}

// List is all entries, those of this machine first; with an error, those that
// could be seen.
func (s *Shared) List(ctx context.Context) ([]Entry, error) {
	var all []Entry
	if s.File != nil {
		own, err := s.File.List()
		if err != nil {
			return nil, err
		}
		all = own
	}
	if s.Fleet != nil {
		theirs, err := s.Fleet.List(ctx)
		return append(all, theirs...), err
	}
	return all, nil
}

// Clear removes the entries of the source, or with "" all of this store key, on
// this machine and in the fleet. It says how many those were.
func (s *Shared) Clear(ctx context.Context, source string) (removed int, err error) {
	if s.File != nil {
		if removed, err = s.File.Clear(source); err != nil {
			return removed, err
		}
	}
	if s.Fleet != nil {
		n, err := s.Fleet.Clear(ctx, source)
		return removed + n, err
	}
	return removed, nil
}

// Redacted is the URL of a server as it may be shown: without what stands
// before an @, where a password may have been written in spite of everything.
func Redacted(url string) string {
	scheme, rest, ok := strings.Cut(url, "://")
	if !ok {
		return url
	}
	return scheme + "://" + rest[strings.LastIndexByte(rest, '@')+1:]
}
