//go:build !windows

package privatefile

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"rolecall/internal/shellword"
)

func TestModesWhateverTheUmask(t *testing.T) {
	// The umask belongs to the whole process, so a child tries each.
	if dir := os.Getenv("PRIVATEFILE_TEST_DIR"); dir != "" {
		for _, mask := range []int{0, 0o022, 0o277, 0o777} {
			syscall.Umask(mask)
			sub := filepath.Join(dir, "sub")
			path := filepath.Join(sub, "f")
			if err := EnsureDir(sub); err != nil {
				t.Fatalf("umask %o: %v", mask, err)
			}
			if err := Write(path, []byte("x")); err != nil {
				t.Fatalf("umask %o: %v", mask, err)
			}
			for p, want := range map[string]fs.FileMode{sub: 0o700, path: 0o600} {
				if info, err := os.Stat(p); err != nil || info.Mode().Perm() != want {
					t.Errorf("umask %o: %s has %v, want %v (%v)", mask, p, info.Mode().Perm(), want, err)
				}
			}
			if err := os.RemoveAll(sub); err != nil {
				t.Fatal(err)
			}
		}
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestModesWhateverTheUmask$")
	cmd.Env = append(os.Environ(), "PRIVATEFILE_TEST_DIR="+t.TempDir())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestReadRefusals(t *testing.T) {
	tests := []struct {
		name    string
		make    func(t *testing.T, path string)
		want    string
		trusted bool // ReadTrusted takes it
	}{
		{"readable by the group", func(t *testing.T, p string) { file(t, p, 0o640) }, "(mode 0640)", true},
		{"readable by others", func(t *testing.T, p string) { file(t, p, 0o644) }, "(mode 0644)", true},
		{"writable by the group", func(t *testing.T, p string) { file(t, p, 0o620) }, "(mode 0620)", false},
		{"writable by others", func(t *testing.T, p string) { file(t, p, 0o602) }, "(mode 0602)", false},
		{"symbolic link", func(t *testing.T, p string) {
			file(t, p+".target", 0o600)
			check(t, os.Symlink(p+".target", p))
		}, "is a symbolic link", true},
		{"dangling link", func(t *testing.T, p string) { check(t, os.Symlink("nowhere", p)) }, "is a symbolic link", false},
		{"hard link", func(t *testing.T, p string) {
			file(t, p+".other", 0o600)
			check(t, os.Link(p+".other", p))
		}, "more than one name", true},
		{"FIFO that nobody writes to", func(t *testing.T, p string) { check(t, syscall.Mkfifo(p, 0o600)) }, "not a regular file", false},
		{"directory", func(t *testing.T, p string) { check(t, os.Mkdir(p, 0o700)) }, "is a directory", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "f")
			tt.make(t, path)
			var unsafe *UnsafeError
			if _, err := Read(path, 0); !errors.As(err, &unsafe) || !strings.Contains(err.Error(), tt.want) || unsafe.Hint() == "" {
				t.Errorf("Read: %v (%+v), want …%s…", err, unsafe, tt.want)
			}
			if _, err := ReadTrusted(path, 0); (err == nil) != tt.trusted {
				t.Errorf("ReadTrusted: %v", err)
			}
		})
	}
}

// What another tool wrote is taken as it is, unless reading it would never end.
func TestReadForeign(t *testing.T) {
	for name, tt := range map[string]struct {
		make func(t *testing.T, path string)
		want string // in the error; "" for none
	}{
		"open to all":             {func(t *testing.T, p string) { file(t, p, 0o666) }, ""},
		"link":                    {func(t *testing.T, p string) { file(t, p+".target", 0o644); check(t, os.Symlink(p+".target", p)) }, ""},
		"two names":               {func(t *testing.T, p string) { file(t, p+".other", 0o644); check(t, os.Link(p+".other", p)) }, ""},
		"FIFO":                    {func(t *testing.T, p string) { check(t, syscall.Mkfifo(p, 0o600)) }, "not a regular file"},
		"link to what has no end": {func(t *testing.T, p string) { check(t, os.Symlink("/dev/zero", p)) }, "not a regular file"},
		"directory":               {func(t *testing.T, p string) { check(t, os.Mkdir(p, 0o700)) }, "is a directory"},
		"too large":               {func(t *testing.T, p string) { check(t, os.WriteFile(p, make([]byte, 101), 0o600)) }, "larger than 100 bytes"},
		"nothing":                 {func(t *testing.T, p string) {}, "no such file"},
	} {
		path := filepath.Join(t.TempDir(), "f")
		tt.make(t, path)
		if _, err := ReadForeign(path, 100); (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}

func TestWriteReplacesALinkAndLeavesItsTarget(t *testing.T) {
	dir := t.TempDir()
	path, victim := filepath.Join(dir, "f"), filepath.Join(dir, "victim")
	file(t, victim, 0o644)
	check(t, os.Symlink(victim, path))
	check(t, Write(path, []byte("new")))
	if got, _ := os.ReadFile(victim); string(got) != "x" {
		t.Errorf("the link's target now holds %q", got)
	}
	if got, err := Read(path, 0); err != nil || string(got) != "new" {
		t.Errorf("read %q, %v", got, err)
	}
}

func TestEnsureDirRefusals(t *testing.T) {
	for _, mode := range []fs.FileMode{0o770, 0o702, 0o777} {
		path := filepath.Join(t.TempDir(), "d")
		check(t, os.Mkdir(path, mode))
		check(t, os.Chmod(path, mode))
		var unsafe *UnsafeError
		if err := EnsureDir(path); !errors.As(err, &unsafe) || unsafe.Hint() != "chmod go-w "+shellword.Word(path) {
			t.Errorf("mode %o: %v (%+v)", mode, err, unsafe)
		}
	}
	path := filepath.Join(t.TempDir(), "d")
	check(t, os.Mkdir(path, 0o755))
	if err := EnsureDir(path); err != nil {
		t.Errorf("a directory that others may only read: %v", err)
	}
}

func TestEnsureDirLinks(t *testing.T) {
	dir := t.TempDir()
	target, link := filepath.Join(dir, "target"), filepath.Join(dir, "link")
	check(t, os.Mkdir(target, 0o700))
	check(t, os.Symlink(target, link))
	if err := EnsureDir(link); err != nil {
		t.Errorf("our own link to our own directory: %v", err)
	}
	check(t, os.Chmod(target, 0o777))
	if err := EnsureDir(link); err == nil {
		t.Error("a link to a directory that anybody may write was taken")
	}
	check(t, os.Remove(target))
	if err := EnsureDir(link); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a dangling link: %v", err)
	}
}

func TestOwners(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can make files that belong to another user")
	}
	const nobody = 65534
	dir := t.TempDir()
	own, theirs, link := filepath.Join(dir, "own"), filepath.Join(dir, "theirs"), filepath.Join(dir, "link")
	check(t, os.Mkdir(own, 0o700))
	check(t, os.Mkdir(theirs, 0o700))
	check(t, os.Chown(theirs, nobody, nobody))
	check(t, os.Symlink(own, link))
	check(t, os.Lchown(link, nobody, nobody))
	path := filepath.Join(own, "f")
	file(t, path, 0o600)
	check(t, os.Chown(path, nobody, nobody))
	for name, err := range map[string]error{
		"EnsureDir of another's directory": EnsureDir(theirs),
		"EnsureDir of another's link":      EnsureDir(link),
		"Read of another's file":           second(Read(path, 0)),
		"ReadTrusted of another's file":    second(ReadTrusted(path, 0)),
	} {
		var unsafe *UnsafeError
		if !errors.As(err, &unsafe) || !strings.Contains(err.Error(), "belongs to uid 65534") || unsafe.Hint() == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func file(t *testing.T, path string, mode fs.FileMode) {
	t.Helper()
	check(t, os.WriteFile(path, []byte("x"), 0o600))
	check(t, os.Chmod(path, mode))
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func second(_ []byte, err error) error { return err }
