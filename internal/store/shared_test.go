package store

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"rolecall/internal/creds"
	"rolecall/internal/privatefile"
	"rolecall/internal/usererr"
)

// machine is one of a fleet: a directory of its own, and the fleet's key.
func machine(t testing.TB, dir, url string, change ...func(*SharedConfig)) *Shared {
	t.Helper()
	file := filepath.Join(t.TempDir(), "given")
	if err := os.WriteFile(file, key(7), 0o600); err != nil {
		t.Fatal(err)
	}
	c := SharedConfig{Key: KeyConfig{Dir: dir, Getenv: env("ROLECALL_STORE_KEY_FILE", file), Make: true, Warn: func(string) {}}, Fleet: RedisConfig{URL: url}}
	for _, f := range change {
		f(&c)
	}
	s, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	if s.Fleet != nil {
		s.Fleet.patience = 10 * time.Second // a busy machine
	}
	t.Cleanup(s.Close)
	return s
}

func TestMachinesShare(t *testing.T) {
	server := miniredis.RunT(t)
	url := "redis://" + server.Addr()
	one, other := t.TempDir(), t.TempDir()
	var u upstream
	first, fetched := update(t, machine(t, one, url), all, u.fetch)
	if !fetched {
		t.Error("empty stores knew")
	}
	if c, fetched := update(t, machine(t, other, url), all, u.fetch); fetched || c.AccessKeyID != first.AccessKeyID {
		t.Errorf("another machine: %v, fetched %v", c, fetched)
	}
	server.Close()
	for _, dir := range []string{one, other} {
		if c, fetched := update(t, machine(t, dir, url), all, u.fetch); fetched || c.AccessKeyID != first.AccessKeyID {
			t.Errorf("a machine whose server is gone: %v, fetched %v", c, fetched)
		}
	}
	if u.calls.Load() != 1 {
		t.Errorf("%d calls", u.calls.Load())
	}
	leaks(t, one)
	leaks(t, other)
}

// Processes of one machine ask once also while the server refuses.
func TestMachineWithoutItsServer(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = ln.Close()
	dir := t.TempDir()
	var u upstream
	var wg sync.WaitGroup
	for range 20 {
		s := machine(t, dir, "redis://"+ln.Addr().String())
		wg.Go(func() { update(t, s, all, u.fetch) })
	}
	wg.Wait()
	if u.calls.Load() != 1 {
		t.Errorf("%d calls", u.calls.Load())
	}
}

// A process that has just started refuses an older entry that was put back on
// the server, since its machine has seen a later one.
func TestNewProcessRefusesWhatIsOlder(t *testing.T) {
	server := miniredis.RunT(t)
	url, dir := "redis://"+server.Addr(), t.TempDir()
	s := machine(t, dir, url)
	var u upstream
	update(t, s, all, u.fetch)
	name := entryKey(s.File.c.Sealer.Name("dev"))
	old, err := server.Get(name)
	if err != nil {
		t.Fatal(err)
	}
	update(t, s, none, u.fetch)
	if err := server.Set(name, old); err != nil {
		t.Fatal(err)
	}
	now := func(c creds.Credentials) bool { return c.AccessKeyID == sample(1).AccessKeyID } // what is kept here is not wanted
	if c, fetched := update(t, machine(t, dir, url), now, u.fetch); !fetched || c.AccessKeyID == sample(1).AccessKeyID {
		t.Errorf("got %v, fetched %v", c, fetched)
	}
	if err := server.Set(name, old); err != nil {
		t.Fatal(err)
	}
	if c, fetched := update(t, machine(t, t.TempDir(), url), now, u.fetch); fetched || c.AccessKeyID != sample(1).AccessKeyID {
		t.Errorf("a machine that has seen nothing: got %v, fetched %v", c, fetched)
	}
}

func TestForgetIsThisMachines(t *testing.T) {
	server := miniredis.RunT(t)
	url := "redis://" + server.Addr()
	s := machine(t, t.TempDir(), url)
	var u upstream
	update(t, s, all, u.fetch)
	s.Forget("dev")
	if _, _, ok := s.Peek("dev"); ok {
		t.Error("still kept here")
	}
	if _, fetched := update(t, s, all, u.fetch); fetched {
		t.Error("gone from the fleet too")
	}
	list, err := s.List(t.Context())
	if err != nil || len(list) != 2 || list[0].Where != "file" || list[1].Where != "redis" || list[1].Source != "profile:dev" {
		t.Errorf("%+v %v", list, err)
	}
	if n, err := s.Clear(t.Context(), "profile:dev"); n != 2 || err != nil {
		t.Errorf("cleared %d, %v", n, err)
	}
}

func TestOneOfBothIsEnough(t *testing.T) {
	server := miniredis.RunT(t)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var u upstream
	s := machine(t, filepath.Join(file, "store"), "redis://"+server.Addr())
	if s.File != nil || s.FileErr == nil {
		t.Fatal("a directory below a file was opened")
	}
	update(t, s, all, u.fetch)
	if _, fetched := update(t, s, all, u.fetch); fetched || s.KeyID() == "" || s.Denied("dev") {
		t.Error("the server alone does not do")
	}
	s = machine(t, t.TempDir(), "redis://user:CANARYpassword@127.0.0.1:1")
	if s.Fleet != nil || s.FleetErr == nil || strings.Contains(s.FleetErr.Error(), "CANARY") {
		t.Errorf("%v", s.FleetErr)
	}
	update(t, s, all, u.fetch)
	if _, fetched := update(t, s, all, u.fetch); fetched {
		t.Error("the files alone do not do")
	}
	if _, err := Open(SharedConfig{Key: KeyConfig{Dir: t.TempDir(), Getenv: env()}}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a key: %v", err)
	}
}

func TestRedacted(t *testing.T) {
	for in, want := range map[string]string{
		"":                                "",
		"redis://h:1/0":                   "redis://h:1/0",
		"rediss://rolecall@h,i/m/0":       "rediss://h,i/m/0",
		"redis://u:pass/word@x@host:1":    "redis://host:1",
		"redis-sentinel://a:1,b:2/master": "redis-sentinel://a:1,b:2/master",
	} {
		if got := Redacted(in); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
}

func fails(code usererr.Code) Fetch {
	return func(context.Context) (creds.Credentials, error) {
		return creds.Credentials{}, &usererr.Error{Code: code, Msg: "profile dev says no", Hint: "try another", RetryAfter: time.Minute}
	}
}

// Fifty who wait for one that fails do not each try for themselves.
func TestFailureIsShared(t *testing.T) {
	dir := t.TempDir()
	var u upstream
	update(t, newFile(t, dir), all, u.fetch)
	started, let := make(chan struct{}), make(chan struct{})
	done := make(chan error)
	var calls atomic.Int64
	go func() {
		_, _, err := newFile(t, dir).Update(t.Context(), "dev", none, func(ctx context.Context) (creds.Credentials, error) {
			close(started)
			<-let
			return fails(usererr.Throttled)(ctx)
		})
		done <- err
	}()
	<-started
	var looking, wg sync.WaitGroup
	for range 50 {
		f := newFile(t, dir)
		looking.Add(1)
		looked := sync.OnceFunc(looking.Done)
		wg.Go(func() {
			_, fetched, err := f.Update(t.Context(), "dev", func(creds.Credentials) bool { looked(); return false }, func(ctx context.Context) (creds.Credentials, error) {
				calls.Add(1)
				return fails(usererr.Unavailable)(ctx)
			})
			e := usererr.From(err)
			if fetched || e == nil || e.Code != usererr.Throttled || e.Msg != "profile dev says no" || e.Hint != "try another" || e.RetryAfter != time.Minute {
				t.Errorf("fetched %v, %+v", fetched, e)
			}
		})
	}
	looking.Wait()
	close(let)
	if err := <-done; err == nil {
		t.Error("no failure")
	}
	wg.Wait()
	if n := calls.Load(); n > 0 {
		t.Errorf("%d further calls", n)
	}
	f := newFile(t, dir)
	if ago, dropped, err := f.Failed("dev"); err == nil || ago < 0 || ago > time.Minute || dropped {
		t.Errorf("%v %v %v", err, ago, dropped)
	}
	leaks(t, dir)
	files, _ := os.ReadDir(dir)
	for _, file := range files {
		if b, _ := os.ReadFile(filepath.Join(dir, file.Name())); strings.Contains(string(b), "profile dev") {
			t.Errorf("%s is readable", file.Name())
		}
	}
	update(t, f, none, u.fetch)
	if _, _, err := f.Failed("dev"); err != nil {
		t.Errorf("after a success: %v", err)
	}
}

// Each process is a new one: the second denial, a while later, is known as such
// from the first one's note.
func TestSecondDenialOfNewProcesses(t *testing.T) {
	server := miniredis.RunT(t)
	dir := t.TempDir()
	now := time.Now()
	process := func() *Shared {
		s := machine(t, dir, "redis://"+server.Addr(), func(c *SharedConfig) { c.Fleet.Now = func() time.Time { return now } })
		s.File.c.Now = func() time.Time { return now }
		return s
	}
	var u upstream
	update(t, process(), all, u.fetch)
	deny := func(code usererr.Code) bool {
		s := process()
		_, _, err := s.Update(t.Context(), "dev", none, fails(code))
		if err == nil {
			t.Fatal("no failure")
		}
		_, _, kept := s.Peek("dev")
		if kept == s.Denied("dev") {
			t.Errorf("kept %v, denied %v", kept, s.Denied("dev"))
		}
		return kept
	}
	if !deny(usererr.AccessDenied) {
		t.Fatal("dropped at the first denial")
	}
	now = now.Add(10 * time.Second)
	if !deny(usererr.AccessDenied) {
		t.Fatal("dropped at a second denial at once")
	}
	now = now.Add(10 * time.Second)
	if !deny(usererr.Unavailable) {
		t.Fatal("dropped for a failure")
	}
	now = now.Add(50 * time.Second)
	if !deny(usererr.AccessDenied) {
		t.Fatal("denials in a row begin anew after another failure")
	}
	now = now.Add(time.Minute)
	if deny(usererr.AccessDenied) {
		t.Fatal("kept after the second denial")
	}
	// The fleet's copy does not stand in for it.
	if _, fetched, err := process().Update(t.Context(), "dev", all, fails(usererr.AccessDenied)); !fetched || err == nil {
		t.Errorf("taken from the fleet: %v", err)
	}
	if c, fetched := update(t, process(), all, u.fetch); !fetched || c.AccessKeyID == "" {
		t.Error("no recovery")
	}
	if _, fetched := update(t, process(), all, u.fetch); fetched {
		t.Error("not kept after recovery")
	}
}

func TestCancelledFetchIsNoFailure(t *testing.T) {
	f := newFile(t, t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	_, _, _ = f.Update(ctx, "dev", all, func(ctx context.Context) (creds.Credentials, error) { cancel(); return fails(usererr.Unavailable)(ctx) })
	if _, _, err := f.Failed("dev"); err != nil {
		t.Errorf("noted: %v", err)
	}
	name := f.c.Sealer.Name("dev")
	for _, bad := range []string{"", "x", strings.Repeat("\x00", 100)} {
		if err := os.WriteFile(f.path(name, failExt), []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := f.Failed("dev"); err != nil {
			t.Errorf("%q was believed", bad)
		}
	}
}

// Who only looks makes nothing, also where the key comes from elsewhere.
func TestLookingMakesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "given")
	if err := os.WriteFile(path, key(1), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, getenv := range []func(string) string{env(), env("ROLECALL_STORE_KEY_FILE", path)} {
		c := SharedConfig{Key: KeyConfig{Dir: filepath.Join(t.TempDir(), "state", "store"), Getenv: getenv}}
		if _, err := Open(c); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%v", err)
		}
		if _, err := os.Stat(filepath.Dir(c.Key.Dir)); err == nil {
			t.Error("a directory was made")
		}
		c.Fleet.URL = "redis://127.0.0.1:1"
		if s, err := Open(c); getenv("ROLECALL_STORE_KEY_FILE") != "" && (err != nil || s.File != nil || s.Fleet == nil) {
			t.Errorf("without the server: %+v, %v", s, err)
		} else if err == nil {
			s.Close()
		}
		c.Fleet.URL = "redis://a,b"
		if _, err := Open(c); getenv("ROLECALL_STORE_KEY_FILE") != "" && (err == nil || errors.Is(err, fs.ErrNotExist)) {
			t.Errorf("a faulty URL: %v", err)
		}
	}
}

func TestKeyFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "key")
	c := KeyConfig{Dir: dir, Getenv: env("ROLECALL_STORE_KEY_FILE", path, "ROLECALL_STORE_PASSPHRASE_FILE", "/none")}
	// A file that is named and missing is a fault, and not a store without a key.
	for _, variable := range []string{"ROLECALL_STORE_KEY_FILE", "ROLECALL_STORE_PASSPHRASE_FILE"} {
		var unsafe *privatefile.UnsafeError
		if _, err := OpenKey(KeyConfig{Dir: dir, Getenv: env(variable, path), Make: true}); errors.Is(err, fs.ErrNotExist) || !errors.As(err, &unsafe) || !strings.Contains(unsafe.Fix, path) {
			t.Errorf("missing %s: %v", variable, err)
		}
	}
	for text, good := range map[string]bool{
		string(key(9)): true, "0909090909090909090909090909090909090909090909090909090909090909\n": true,
		"CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=\n": true, "short": false, "": false, strings.Repeat("9", 5000): false,
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		k, err := OpenKey(c)
		if (err == nil) != good || good && (k.Kind != KeyFromFile || string(k.Bytes) != string(key(9)) || k.Weakness() != "") {
			t.Errorf("%.10q: %+v %v", text, k.Kind, err)
		}
	}
	if runtime.GOOS == "windows" {
		return
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenKey(c); err == nil {
		t.Error("a key that others can read was taken")
	}
}
