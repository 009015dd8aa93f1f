//go:build linux

package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"rolecall/internal/creds"
	"rolecall/internal/privatefile"
	"rolecall/internal/usererr"
	"rolecall/test/faults"
)

// What stands in an entry's place and is not ours is never used, followed or
// waited for, and the answer comes all the same.
func TestStrangeEntries(t *testing.T) {
	good := newFile(t, t.TempDir())
	var u upstream
	update(t, good, all, u.fetch)
	sealed, err := os.ReadFile(good.path(good.c.Sealer.Name("dev"), entryExt))
	if err != nil {
		t.Fatal(err)
	}
	used, tried := 0, 0
	for what, put := range map[string]func(t *testing.T, path string) error{
		"link": func(t *testing.T, path string) error {
			target := filepath.Join(t.TempDir(), "target")
			return errors.Join(os.WriteFile(target, sealed, 0o600), os.Symlink(target, path))
		},
		"hard link": func(t *testing.T, path string) error {
			return errors.Join(os.WriteFile(path, sealed, 0o600), os.Link(path, path+".other"))
		},
		"FIFO":   func(t *testing.T, path string) error { return syscall.Mkfifo(path, 0o600) },
		"device": func(t *testing.T, path string) error { return os.Symlink("/dev/zero", path) },
		"too open": func(t *testing.T, path string) error {
			return errors.Join(os.WriteFile(path, sealed, 0o600), os.Chmod(path, 0o644))
		},
		"too large": func(t *testing.T, path string) error { return os.WriteFile(path, make([]byte, maxSealed+1), 0o600) },
		"foreign": func(t *testing.T, path string) error {
			if os.Geteuid() != 0 {
				t.Skip("only root can make files that belong to another user")
			}
			return errors.Join(os.WriteFile(path, sealed, 0o600), os.Chown(path, 65534, 65534))
		},
	} {
		t.Run(what, func(t *testing.T) {
			dir := t.TempDir()
			var said []string
			f := newFile(t, dir, func(c *FileConfig) { c.Warn = func(m string) { said = append(said, m) } })
			if err := put(t, f.path(f.c.Sealer.Name("dev"), entryExt)); err != nil {
				t.Fatal(err)
			}
			tried++
			if _, _, ok := f.Peek("dev"); ok {
				used++
			}
			if l, err := f.List(); err != nil || len(l) != 1 || l[0].Problem == "" {
				t.Errorf("%v, %v", l, err)
			}
			var u upstream
			if _, fetched := update(t, f, all, u.fetch); !fetched {
				used++
			}
			if _, fetched := update(t, f, all, u.fetch); fetched {
				t.Error("not healed") // what was in the place is replaced
			}
			if len(said) == 0 {
				t.Error("nobody was told")
			}
		})
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	var unsafe *privatefile.UnsafeError
	_, err = NewFile(FileConfig{Dir: dir, Sealer: newSealer(t, 1)})
	refused := errors.As(err, &unsafe) && unsafe.Hint() != ""
	faults.Record(t, 26, used == 0 && refused, "%d of %d used (link, hard link, FIFO, device, mode 0644, another's, too large), each told and replaced; a directory of mode 0777: refused %v, with the command that mends it; modes made under umask 0 are 0600 and 0700", used, tried, refused)
}

func TestStrangeLocks(t *testing.T) {
	victim := filepath.Join(t.TempDir(), "victim")
	for what, put := range map[string]func(path string) error{
		"link":      func(path string) error { return os.Symlink(victim, path) },
		"FIFO":      func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"directory": func(path string) error { return os.Mkdir(path, 0o700) },
	} {
		t.Run(what, func(t *testing.T) {
			f := newFile(t, t.TempDir())
			if err := put(f.path(f.c.Sealer.Name("dev"), lockExt)); err != nil {
				t.Fatal(err)
			}
			var u upstream
			began := time.Now()
			if _, fetched := update(t, f, all, u.fetch); !fetched || !faults.Within(time.Since(began), time.Second) {
				t.Errorf("fetched %v after %v", fetched, time.Since(began))
			}
		})
	}
	if _, err := os.Lstat(victim); err == nil {
		t.Error("a file was made at the end of a link")
	}
}

// As another user: root sees through modes.
func TestDirectoriesThatCannotBeWritten(t *testing.T) {
	if os.Getenv("STORE_TEST_PLACE") == "" {
		prefix := []string{}
		top := t.TempDir()
		if os.Geteuid() == 0 {
			prefix = []string{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"}
			for d := top; d != "/" && d != os.TempDir(); d = filepath.Dir(d) {
				if err := os.Chmod(d, 0o755); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Chown(top, 65534, 65534); err != nil {
				t.Fatal(err)
			}
		}
		theirs := copyOf(t, os.Args[0]) // its directory is ours, and may be read by all
		theirs = filepath.Dir(theirs)
		bin := copyOf(t, os.Args[0])
		out, err := run(append(prefix, bin, "-test.run=^TestDirectoriesThatCannotBeWritten$", "-test.v"), "STORE_TEST_PLACE="+top, "STORE_TEST_THEIRS="+theirs, "HOME="+top, "TMPDIR="+top)
		if err != nil || !strings.Contains(out, "as another user") {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	t.Logf("as another user: %d", os.Geteuid())
	place := os.Getenv("STORE_TEST_PLACE")
	if os.Geteuid() == 65534 { // another user's store
		if _, err := NewFile(FileConfig{Dir: os.Getenv("STORE_TEST_THEIRS"), Sealer: newSealer(t, 1)}); err == nil {
			t.Error("a directory of another user was taken")
		}
	}
	dir := filepath.Join(place, "store")
	var said []string
	f := newFile(t, dir, func(c *FileConfig) { c.Warn = func(m string) { said = append(said, m) } })
	var u upstream
	update(t, f, all, u.fetch)
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	if _, fetched := update(t, f, all, u.fetch); fetched {
		t.Error("a read-only directory was not read")
	}
	for range 100 {
		if _, _, err := f.Update(t.Context(), "other", all, u.fetch); err != nil {
			t.Error(err)
		}
	}
	if len(said) < 1 || len(said) > 2 {
		t.Errorf("said %q", said)
	}
	if _, err := NewFile(FileConfig{Dir: filepath.Join(dir, "below"), Sealer: newSealer(t, 1)}); err == nil {
		t.Error("a directory was made in a read-only one")
	}
}

// A file system that is full: everything goes on from memory.
func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	if err := syscallMount(dir); err != nil {
		t.Skipf("no small file system can be mounted here: %v", err)
	}
	t.Cleanup(func() { _ = syscallUnmount(dir) })
	var said []string
	f := newFile(t, filepath.Join(dir, "store"), func(c *FileConfig) { c.Warn = func(m string) { said = append(said, m) } })
	var u upstream
	first, _ := update(t, f, all, u.fetch)
	fill, err := os.Create(filepath.Join(dir, "fill"))
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = fill.Write(make([]byte, 512))
	}
	_ = fill.Close()
	failed := 0
	for range 100 {
		for _, key := range []string{"dev", "other"} {
			if _, _, err := f.Update(t.Context(), key, none, u.fetch); err != nil {
				failed++
			}
		}
	}
	if c, fetched := update(t, f, all, u.fetch); fetched || c.AccessKeyID != first.AccessKeyID {
		t.Errorf("the old entry is gone: %v", fetched)
	}
	if len(said) < 1 || len(said) > 2 || !strings.Contains(said[0], "no space") {
		t.Errorf("said %q", said)
	}
	if err := os.Remove(fill.Name()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.Update(t.Context(), "other", all, u.fetch); err != nil {
		t.Error(err)
	}
	if _, fetched, _ := f.Update(t.Context(), "other", all, u.fetch); fetched {
		t.Error("not kept once there is room again")
	}
	faults.Record(t, 24, failed == 0 && len(said) <= 2, "%d of 200 reads on a full file system failed, the old entry stayed, %d warnings; output to /dev/full is a failure that is said, and logs to it stop nothing (test/process)", failed, len(said))
}

func TestCanaryInWarnings(t *testing.T) {
	var said []string
	f := newFile(t, t.TempDir(), func(c *FileConfig) { c.Warn = func(m string) { said = append(said, m) } })
	name := f.path(f.c.Sealer.Name("dev"), entryExt)
	if err := os.WriteFile(name, []byte(canary), 0o600); err != nil {
		t.Fatal(err)
	}
	_, _, err := f.Update(t.Context(), "dev", all, func(context.Context) (creds.Credentials, error) {
		return creds.Credentials{}, &usererr.Error{Code: usererr.Unavailable, Msg: "no"}
	})
	if text := fmt.Sprint(said, err); strings.Contains(text, canary) {
		t.Error(text)
	}
}

// A credential that is none must neither hold the start, nor fill the memory,
// nor be taken where others can read it.
func TestStrangeCredentials(t *testing.T) {
	for name, tt := range map[string]struct {
		put  func(path string) error
		want string // in the error; "" for none
	}{
		"FIFO":               {func(p string) error { return syscall.Mkfifo(p, 0o600) }, "not a regular file"},
		"what never ends":    {func(p string) error { return os.Symlink("/dev/zero", p) }, "not a regular file"},
		"large":              {func(p string) error { return os.WriteFile(p, make([]byte, keyFileLimit+1), 0o600) }, "larger than"},
		"directory":          {func(p string) error { return os.Mkdir(p, 0o700) }, "is a directory"},
		"open to all":        {func(p string) error { return errors.Join(os.WriteFile(p, key(7), 0o600), os.Chmod(p, 0o644)) }, "may be read"},
		"as systemd puts it": {func(p string) error { return os.WriteFile(p, key(7), 0o400) }, ""},
		"link, as a mount's may": {func(p string) error {
			return errors.Join(os.WriteFile(p+".data", key(7), 0o400), os.Symlink(p+".data", p))
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := tt.put(filepath.Join(dir, CredentialName)); err != nil {
				t.Fatal(err)
			}
			_, err := OpenKey(KeyConfig{Dir: t.TempDir(), Getenv: env("CREDENTIALS_DIRECTORY", dir), Make: true})
			if (err == nil) != (tt.want == "") || err != nil && (!strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "systemd credential")) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}
