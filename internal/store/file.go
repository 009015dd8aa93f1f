package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"rolecall/internal/creds"
	"rolecall/internal/privatefile"
)

// FileConfig sets a File up.
type FileConfig struct {
	Dir    string               // made where it is missing, see privatefile.EnsureDir
	Sealer *Sealer              // of the store key
	Wait   time.Duration        // for another process that fetches the same and gives no sign of life; zero: 5 s
	Warn   func(message string) // told of what keeps the store from working, each at most once a minute; nil: nobody
	Now    func() time.Time     // nil: time.Now
}

// File is a store in a directory, shared by all processes of one user that have
// its key. Whatever happens to its files, Update answers: an entry that cannot
// be used is a miss, and what cannot be written is not kept. It is safe for
// concurrent use.
type File struct {
	c      FileConfig
	denied denials
	warner *warner
}

// The files of an entry, after its name.
const (
	entryExt = ".cred"
	lockExt  = ".lock"
	linkExt  = ".link"
	badExt   = ".bad"
	failExt  = ".fail"
)

const (
	lockWait = 5 * time.Second
	lockPoll = 4 * time.Millisecond  // at first
	lockLull = 40 * time.Millisecond // and at last: many who wait must leave the machine to the one who works
)

// NewFile makes the directory where it is missing. The error says why nothing
// can be kept in it, with a hint where it is unsafe.
func NewFile(c FileConfig) (*File, error) {
	if c.Wait <= 0 {
		c.Wait = lockWait
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if err := privatefile.EnsureDir(c.Dir); err != nil {
		return nil, err
	}
	return &File{c: c, warner: newWarner(c.Warn, c.Now)}, nil
}

// Update answers with what is kept under key when fresh approves of it.
// Otherwise it waits its turn among all processes that share the directory,
// looks again, and calls fetch. Whoever has the turn shows that it is alive;
// once that has not been seen for Wait, fetch is called without a turn. The
// error is fetch's, or that of another process's that failed meanwhile.
func (f *File) Update(ctx context.Context, key string, fresh func(creds.Credentials) bool, fetch Fetch) (creds.Credentials, bool, error) {
	name, began := f.c.Sealer.Name(key), f.c.Now()
	if c, ok := f.fresh(name, fresh); ok {
		return c, false, nil
	}
	unlock, c, ok := f.turn(ctx, name, fresh)
	defer unlock()
	if ok {
		return c, false, nil
	}
	if n, failed := f.failed(name); failed && n.shared() && n.At.After(began) {
		return creds.Credentials{}, false, n.err()
	}
	defer f.beat(name)()
	c, err := fetch(ctx)
	if f.note(ctx, name, err) {
		_ = os.Remove(f.path(name, entryExt)) // gone already: fine
	}
	if err != nil {
		return c, true, err
	}
	f.keep(name, c)
	return c, true, nil
}

// Peek is what is kept under key, and how long it is still good. It takes no
// lock, and a miss of any kind is !ok.
func (f *File) Peek(key string) (c creds.Credentials, left time.Duration, ok bool) {
	e, err := f.read(f.c.Sealer.Name(key))
	return e.c, e.left, err == nil
}

// Forget removes what is kept under key.
func (f *File) Forget(key string) {
	name := f.c.Sealer.Name(key)
	for _, ext := range []string{entryExt, failExt} {
		_ = os.Remove(f.path(name, ext)) // gone already: fine
	}
}

// Busy says whether some process is fetching what belongs under key just now.
func (f *File) Busy(key string) bool {
	l := privatefile.NewLock(f.path(f.c.Sealer.Name(key), lockExt))
	got, err := l.TryLock()
	if got {
		_ = l.Unlock() // closing the file gives it back all the same
	}
	return err == nil && !got
}

// kept is an entry as it was read.
type kept struct {
	c      creds.Credentials
	stored time.Time
	left   time.Duration // more than 0
}

var errEnded = errors.New("ended")

func (f *File) fresh(name string, fresh func(creds.Credentials) bool) (creds.Credentials, bool) {
	e, err := f.read(name)
	if err != nil || !fresh(e.c) {
		return creds.Credentials{}, false
	}
	f.denied.given(name, e.stored)
	return e.c, true
}

// read opens the entry. What is no entry of ours is set aside.
func (f *File) read(name string) (kept, error) {
	path := f.path(name, entryExt)
	sealed, err := privatefile.Read(path, maxSealed)
	if errors.Is(err, fs.ErrNotExist) {
		return kept{}, err
	}
	if err != nil {
		f.warn("a kept entry is not used: %v", err)
		return kept{}, err
	}
	c, err := f.c.Sealer.Open(name, sealed)
	if err != nil {
		f.setAside(name, sealed)
		return kept{}, err
	}
	info, err := os.Lstat(path) // another process may have replaced it by a newer one: then age is younger, and Expires bounds it
	if err != nil {
		return kept{}, err
	}
	e := kept{c: c, stored: info.ModTime()}
	if e.left = Remaining(c, e.stored, f.c.Now()); !c.CanExpire() || e.left <= 0 {
		return kept{}, errEnded
	}
	return e, nil
}

// turn waits for the lock of the entry, or for another process to have written
// what is fresh, whichever is first. The lock is the kernel's: a holder that
// dies gives it back.
func (f *File) turn(ctx context.Context, name string, fresh func(creds.Credentials) bool) (unlock func(), c creds.Credentials, ok bool) {
	none := func() {}
	l := privatefile.NewLock(f.path(name, lockExt))
	deadline := time.NewTimer(f.c.Wait)
	defer deadline.Stop()
	pause := lockPoll
	poll := time.NewTimer(pause)
	defer poll.Stop()
	path := f.path(name, entryExt)
	seen, heard := stamp(path), stamp(f.path(name, lockExt))
	for {
		got, err := l.TryLock()
		if err != nil {
			f.warn("credentials are fetched without asking other processes, for the store cannot be locked: %v", err)
			return none, c, false
		}
		if got {
			unlock = func() { _ = l.Unlock() } // closing the file gives it back all the same
			c, ok = f.fresh(name, fresh)
			return unlock, c, ok
		}
		if now := stamp(path); now != seen {
			seen = now
			if c, ok = f.fresh(name, fresh); ok {
				return none, c, true
			}
		}
		if now := stamp(f.path(name, lockExt)); now != heard {
			heard = now
			deadline.Reset(f.c.Wait)
		}
		select {
		case <-poll.C:
			pause = min(pause*3/2, lockLull)
			poll.Reset(pause/2 + rand.N(pause/2))
		case <-deadline.C:
			f.warn("another process that fetches credentials has given no sign of life for %v and is not waited for any longer", f.c.Wait)
			return none, c, false
		case <-ctx.Done():
			return none, c, false
		}
	}
}

// beat shows those who wait for the lock that its holder is alive, until the
// function that it returns is called: a source may take longer than anybody
// waits for a process that hangs.
func (f *File) beat(name string) (stop func()) {
	ended, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		t := time.NewTicker(f.c.Wait / 5)
		defer t.Stop()
		for {
			select {
			case now := <-t.C:
				_ = os.Chtimes(f.path(name, lockExt), now, now) // without it they wait less
			case <-ended:
				return
			}
		}
	}()
	return func() { close(ended); <-done }
}

// stamp changes when the file is replaced.
func stamp(path string) (t time.Time) {
	if info, err := os.Lstat(path); err == nil {
		t = info.ModTime()
	}
	return t
}

// keep writes the entry, unless one that ends later is there: a process that
// slept over its fetch must not bring old credentials back.
func (f *File) keep(name string, c creds.Credentials) {
	now := f.c.Now()
	if !keepable(c, now) {
		return
	}
	defer f.sweep(now)
	if c.ObservedAt.IsZero() {
		c.ObservedAt = now.UTC().Round(0) // tells readers the lifetime
	}
	if e, err := f.read(name); err == nil && e.c.Expires.After(c.Expires) && e.c.SameIdentity(c) {
		return
	}
	sealed, err := f.c.Sealer.Seal(name, c)
	if err == nil {
		err = privatefile.Write(f.path(name, entryExt), sealed)
	}
	if err != nil {
		f.warn("credentials are not kept for a restart or for other processes: %v", err)
	}
}

func (f *File) path(name, ext string) string { return filepath.Join(f.c.Dir, name+ext) }

// warn tells each kind of message at most once a minute.
func (f *File) warn(format string, args ...any) { f.warner.tell(format, fmt.Sprintf(format, args...)) }
