package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rolecall/internal/creds"
	"rolecall/internal/usererr"
)

const canary = "CANARYstore"

// key is a store key for tests: all bytes are b.
func key(b byte) []byte { return bytes.Repeat([]byte{b}, KeySize) }

func newSealer(t testing.TB, b byte) *Sealer {
	t.Helper()
	s, err := NewSealer(key(b))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newFile(t testing.TB, dir string, change ...func(*FileConfig)) *File {
	t.Helper()
	c := FileConfig{Dir: dir, Sealer: newSealer(t, 1)}
	for _, f := range change {
		f(&c)
	}
	f, err := NewFile(c)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// sample credentials that end in an hour; n tells sets apart.
func sample(n int) creds.Credentials {
	now := time.Now().UTC().Truncate(time.Second)
	return creds.Credentials{AccessKeyID: fmt.Sprintf("ASIACANARYKEY%07d", n), SecretAccessKey: creds.NewSecret(canary + "secret"), SessionToken: creds.NewSecret(canary + "token"),
		Expires: now.Add(time.Hour + time.Duration(n)*time.Second), ObservedAt: now, AccountID: "123456789012", RoleARN: "arn:aws:iam::123456789012:role/dev", RoleName: "dev", Source: "profile:dev"}
}

func all(creds.Credentials) bool  { return true }
func none(creds.Credentials) bool { return false }

// upstream counts.
type upstream struct{ calls atomic.Int64 }

func (u *upstream) fetch(context.Context) (creds.Credentials, error) {
	return sample(int(u.calls.Add(1))), nil
}

func update(t testing.TB, s interface {
	Update(context.Context, string, func(creds.Credentials) bool, Fetch) (creds.Credentials, bool, error)
}, fresh func(creds.Credentials) bool, fetch Fetch) (creds.Credentials, bool) {
	t.Helper()
	c, fetched, err := s.Update(t.Context(), "dev", fresh, fetch)
	if err != nil {
		t.Fatal(err)
	}
	return c, fetched
}

func TestUpdate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "store")
	for name, s := range map[string]interface {
		Update(context.Context, string, func(creds.Credentials) bool, Fetch) (creds.Credentials, bool, error)
	}{"file": newFile(t, dir), "memory": &Memory{}} {
		t.Run(name, func(t *testing.T) {
			var u upstream
			first, fetched := update(t, s, all, u.fetch)
			if !fetched {
				t.Error("an empty store knew")
			}
			again, fetched := update(t, s, all, u.fetch)
			if fetched || again.String() != first.String() || again.AccessKeyID != first.AccessKeyID || again.SecretAccessKey.Reveal() != canary+"secret" || !again.Expires.Equal(first.Expires) {
				t.Errorf("got %v, fetched %v", again, fetched)
			}
			if c, fetched := update(t, s, none, u.fetch); !fetched || c.AccessKeyID == first.AccessKeyID {
				t.Error("what is not fresh was answered")
			}
			bad := &usererr.Error{Code: usererr.LoginRequired, Msg: "no"}
			if _, fetched, err := s.Update(t.Context(), "dev", none, func(context.Context) (creds.Credentials, error) { return creds.Credentials{}, bad }); err != bad || !fetched {
				t.Errorf("%v, fetched %v", err, fetched)
			}
			if c, fetched := update(t, s, all, u.fetch); fetched || c.AccessKeyID != sample(2).AccessKeyID {
				t.Errorf("after a failure: %v, fetched %v", c.AccessKeyID, fetched)
			}
			if u.calls.Load() != 2 {
				t.Errorf("%d calls", u.calls.Load())
			}
		})
	}
	// Another process, later.
	var u upstream
	if c, fetched := update(t, newFile(t, dir), all, u.fetch); fetched || c.RoleName != "dev" || c.AccountID != "123456789012" || c.Source != "profile:dev" {
		t.Errorf("after a restart: %v, fetched %v", c, fetched)
	}
	leaks(t, dir)
}

// leaks looks for what must not be readable in the store.
func leaks(t *testing.T, dir string) {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Error("the store is empty")
	}
	for _, f := range files {
		text, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range []string{canary, "ASIACANARY", "dev", "123456789012", "profile"} {
			if strings.Contains(f.Name()+string(text), s) {
				t.Errorf("%q is readable in %s", s, f.Name())
			}
		}
	}
}

func TestOneFetchForManyWaiters(t *testing.T) {
	for name, s := range map[string]interface {
		Update(context.Context, string, func(creds.Credentials) bool, Fetch) (creds.Credentials, bool, error)
	}{"file": newFile(t, t.TempDir()), "memory": &Memory{}} {
		t.Run(name, func(t *testing.T) {
			var u upstream
			var wg sync.WaitGroup
			release := make(chan struct{})
			var began sync.Once
			for range 50 {
				wg.Go(func() {
					c, _ := update(t, s, all, func(ctx context.Context) (creds.Credentials, error) {
						began.Do(func() { time.AfterFunc(100*time.Millisecond, func() { close(release) }) })
						<-release
						return u.fetch(ctx)
					})
					if c.AccessKeyID != sample(1).AccessKeyID {
						t.Errorf("got %s", c.AccessKeyID)
					}
				})
			}
			wg.Wait()
			if n := u.calls.Load(); n != 1 {
				t.Errorf("%d calls", n)
			}
		})
	}
}

// A source that takes longer than a process that hangs is waited for is still
// asked once.
func TestSlowSourceIsAskedOnce(t *testing.T) {
	dir := t.TempDir()
	var u upstream
	var wg sync.WaitGroup
	for range 10 {
		f := newFile(t, dir, func(c *FileConfig) { c.Wait = 200 * time.Millisecond })
		wg.Go(func() {
			update(t, f, all, func(ctx context.Context) (creds.Credentials, error) {
				<-time.After(time.Second)
				return u.fetch(ctx)
			})
		})
	}
	wg.Wait()
	if n := u.calls.Load(); n != 1 {
		t.Errorf("%d calls", n)
	}
}

// A role that was taken away does not come back from the store.
func TestSecondDenialDropsWhatIsKept(t *testing.T) {
	now := time.Now()
	f := newFile(t, t.TempDir(), func(c *FileConfig) { c.Now = func() time.Time { return now } })
	var u upstream
	update(t, f, all, u.fetch)
	fail := func(code usererr.Code) {
		t.Helper()
		e := &usererr.Error{Code: code, Msg: "no"}
		if _, _, err := f.Update(t.Context(), "dev", none, func(context.Context) (creds.Credentials, error) { return creds.Credentials{}, e }); err != e {
			t.Error(err)
		}
	}
	kept := func(want bool) {
		t.Helper()
		if _, _, ok := f.Peek("dev"); ok != want {
			t.Errorf("kept: %v, want %v", ok, want)
		}
	}
	for _, code := range []usererr.Code{usererr.AccessDenied, usererr.Unavailable, usererr.AccessDenied, usererr.AccessDenied} {
		fail(code)
		kept(true)
		now = now.Add(10 * time.Second)
	}
	now = now.Add(time.Minute)
	fail(usererr.LoginRequired)
	fail(usererr.AccessDenied)
	kept(true)
	now = now.Add(time.Minute)
	fail(usererr.AccessDenied)
	kept(false)
}

// What another process was given between two denials makes them no row.
func TestDenialsWithAnAnswerBetween(t *testing.T) {
	dir, now := t.TempDir(), time.Now().Add(-10*time.Minute)
	f := newFile(t, dir, func(c *FileConfig) { c.Now = func() time.Time { return now } })
	deny := func() {
		t.Helper()
		if _, _, err := f.Update(t.Context(), "dev", none, fails(usererr.AccessDenied)); err == nil {
			t.Error("not denied")
		}
	}
	deny()
	now = time.Now()
	var u upstream
	update(t, newFile(t, dir), all, u.fetch)
	if _, fetched := update(t, f, all, u.fetch); fetched {
		t.Fatal("what the other process was given is not taken")
	}
	deny()
	if _, _, ok := f.Peek("dev"); !ok {
		t.Error("dropped at the first denial since")
	}
	now = now.Add(time.Minute)
	update(t, f, all, u.fetch) // kept before the denial: it says nothing
	deny()
	if _, _, ok := f.Peek("dev"); ok {
		t.Error("kept after the second denial")
	}
}

func TestBusy(t *testing.T) {
	f := newFile(t, t.TempDir())
	if f.Busy("dev") {
		t.Error("nobody is there")
	}
	var u upstream
	update(t, f, all, func(ctx context.Context) (creds.Credentials, error) {
		if !f.Busy("dev") || f.Busy("other") {
			t.Error("the fetch under way is not seen")
		}
		return u.fetch(ctx)
	})
	if f.Busy("dev") {
		t.Error("it has ended")
	}
}

func TestStaticKeysAreNotKept(t *testing.T) {
	dir := t.TempDir()
	f := newFile(t, dir)
	static := func(context.Context) (creds.Credentials, error) {
		c := sample(1)
		c.Expires, c.SessionToken = time.Time{}, creds.Secret{}
		return c, nil
	}
	for range 2 {
		if _, fetched := update(t, f, all, static); !fetched {
			t.Error("static keys were kept")
		}
	}
	if l, err := f.List(); err != nil || len(l) != 0 {
		t.Errorf("%v, %v", l, err)
	}
}

func TestLaterExpiryWins(t *testing.T) {
	f := newFile(t, t.TempDir())
	give := func(n int) Fetch {
		return func(context.Context) (creds.Credentials, error) { return sample(n), nil }
	}
	update(t, f, none, give(50))
	if c, _ := update(t, f, none, give(20)); c.AccessKeyID != sample(20).AccessKeyID {
		t.Error("the answer is not what was fetched")
	}
	var u upstream
	if c, fetched := update(t, f, all, u.fetch); fetched || c.AccessKeyID != sample(50).AccessKeyID {
		t.Errorf("kept: %s", c.AccessKeyID)
	}
}

func TestLinks(t *testing.T) {
	dir := t.TempDir()
	f := newFile(t, dir)
	var u upstream
	update(t, f, all, u.fetch)
	if _, _, ok := f.PeekLink("alias"); ok {
		t.Error("a link that nobody made")
	}
	f.Link("alias", "dev")
	if c, left, ok := f.PeekLink("alias"); !ok || c.RoleName != "dev" || left < 59*time.Minute {
		t.Errorf("%v, %v, %v", c, left, ok)
	}
	// Leading another's link here, or changing the target, is seen.
	text, err := os.ReadFile(f.path(f.c.Sealer.Name("alias"), linkExt))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(f.path(f.c.Sealer.Name("other"), linkExt), text, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, ok := f.PeekLink("other"); ok {
		t.Error("a link under another name was followed")
	}
	for i := range text {
		changed := bytes.Clone(text)
		changed[i] ^= 1
		if err := os.WriteFile(f.path(f.c.Sealer.Name("alias"), linkExt), changed, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, ok := f.PeekLink("alias"); ok && string(changed[:len(changed)-1]) != string(text[:len(text)-1]) {
			t.Errorf("accepted with byte %d changed", i)
		}
	}
	leaks(t, dir)
}

func TestListAndClear(t *testing.T) {
	dir := t.TempDir()
	f := newFile(t, dir)
	for i, source := range []string{"profile:b", "profile:a", "imds"} {
		_, _, err := f.Update(t.Context(), source, all, func(context.Context) (creds.Credentials, error) {
			c := sample(i)
			c.Source = source
			return c, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, stranger := range []string{"notes.txt", "notes" + entryExt} { // neither shown nor removed
		if err := os.WriteFile(filepath.Join(dir, stranger), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	other := newFile(t, dir, func(c *FileConfig) { c.Sealer = newSealer(t, 2) })
	l, err := other.List()
	if err != nil || len(l) != 3 || l[0].Problem != ErrOtherKey.Error() || l[0].Source != "" {
		t.Errorf("with another key: %+v, %v", l, err)
	}
	l, err = f.List()
	if err != nil || len(l) != 3 || l[0].Source != "imds" || l[2].Source != "profile:b" || l[2].Problem != "" || !strings.HasPrefix(l[2].AccessKeyID, "…") {
		t.Errorf("%+v, %v", l, err)
	}
	if n, err := f.Clear("profile:a"); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if n, err := f.Clear(""); n != 2 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 2 || files[0].Name() != "notes"+entryExt || files[1].Name() != "notes.txt" {
		t.Errorf("left: %v, %v", files, err)
	}
	if n, err := Wipe(filepath.Join(dir, "none")); n != 0 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}

func TestClock(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)
	c := creds.Credentials{Expires: now.Add(time.Hour), ObservedAt: now}
	for _, tt := range []struct {
		name        string
		stored, now time.Duration
		left        time.Duration
	}{
		{"at once", 0, 0, time.Hour},
		{"later", 0, 20 * time.Minute, 40 * time.Minute},
		{"ended", 0, 61 * time.Minute, -time.Minute},
		{"the clock is an hour behind, always", -time.Hour, -40 * time.Minute, 40 * time.Minute},
		{"an hour behind, and ended", -time.Hour, time.Minute, -time.Minute},
		{"an hour ahead: the wall says ended", time.Hour, 70 * time.Minute, -10 * time.Minute},
		{"set back by an hour since", 0, -time.Hour, 0},
		{"set back by a little", 0, -10 * time.Second, time.Hour + 10*time.Second},
	} {
		if got := Remaining(c, now.Add(tt.stored), now.Add(tt.now)); got != tt.left {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.left)
		}
	}
	// The same with a file: ended by its age, good by the wall clock.
	f := newFile(t, t.TempDir())
	var u upstream
	update(t, f, all, u.fetch)
	path := f.path(f.c.Sealer.Name("dev"), entryExt)
	for _, age := range []time.Duration{-2 * time.Hour, 2 * time.Hour} {
		at := time.Now().Add(age)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
		if _, _, ok := f.Peek("dev"); ok {
			t.Errorf("an entry written %v from now was used", age)
		}
		if _, fetched := update(t, f, all, u.fetch); !fetched {
			t.Errorf("an entry written %v from now was used", age)
		}
	}
}

// What nobody can want any more goes with the next write, and at the next start.
func TestSweep(t *testing.T) {
	for what, sweep := range map[string]func(t *testing.T, dir string){
		"write": func(t *testing.T, dir string) {
			var u upstream
			update(t, newFile(t, dir), all, u.fetch)
		},
		"start": func(t *testing.T, dir string) { openIn(t, dir, true) },
	} {
		dir := t.TempDir()
		name := newSealer(t, 1).Name("old")
		old, recent := time.Now().Add(-2*sweepAfter), time.Now().Add(-leftOverAfter/2)
		gone := []string{name + entryExt, name + lockExt, name + linkExt, name + failExt, "." + name + entryExt + ".tmp-1", ".key.tmp-1", ".salt.tmp-1"}
		stays := []string{name + badExt, "strange" + entryExt, ".strange.tmp-1", ".key.x", "key.tmp-1"}
		young := []string{".key.tmp-2", "." + name + entryExt + ".tmp-2"}
		for at, files := range map[time.Time][]string{old: append(gone, stays...), recent: young} {
			for _, file := range files {
				path := filepath.Join(dir, file)
				if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Chtimes(path, at, at)); err != nil {
					t.Fatal(err)
				}
			}
		}
		openIn(t, dir, false) // to look changes nothing
		for _, file := range gone {
			if _, err := os.Lstat(filepath.Join(dir, file)); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
		sweep(t, dir)
		for i, file := range append(gone, append(stays, young...)...) {
			if _, err := os.Lstat(filepath.Join(dir, file)); (err == nil) != (i >= len(gone)) {
				t.Errorf("%s: %s: %v", what, file, err)
			}
		}
		if _, err := Wipe(dir); err != nil {
			t.Error(err)
		}
		for _, file := range young {
			if _, err := os.Lstat(filepath.Join(dir, file)); err == nil {
				t.Errorf("%s was not wiped", file)
			}
		}
	}
}

// openIn opens the store in dir as one who keeps something there does, or as one
// who only looks.
func openIn(t *testing.T, dir string, keeps bool) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "given")
	if err := os.WriteFile(path, key(1), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Open(SharedConfig{Key: KeyConfig{Dir: dir, Getenv: env("ROLECALL_STORE_KEY_FILE", path), Make: keeps}})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
}
