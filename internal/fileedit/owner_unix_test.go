//go:build unix

package fileedit

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// TestOwnerStays runs as root, who edits files of others.
func TestOwnerStays(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can edit files of others")
	}
	path := filepath.Join(t.TempDir(), "f")
	put(t, path, "old", 0o644)
	if err := os.Chown(path, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	if err := File(path, []byte("old"), []byte("new")); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if s := info.Sys().(*syscall.Stat_t); s.Uid != 65534 || s.Gid != 65534 || info.Mode() != 0o644 {
		t.Errorf("owner %d:%d, mode %v", s.Uid, s.Gid, info.Mode())
	}
}

// TestReadOnly runs itself as somebody whom modes bind.
func TestReadOnly(t *testing.T) {
	if dir := os.Getenv("REWRITE_TEST_DIR"); dir != "" {
		for _, name := range []string{"file", "dir/file"} {
			if err := File(filepath.Join(dir, name), []byte("old"), []byte("new")); !errors.Is(err, fs.ErrPermission) {
				t.Errorf("%s: %v", name, err)
			}
			is(t, filepath.Join(dir, name), "old")
		}
		return
	}
	base, err := os.MkdirTemp("", "rewrite")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(filepath.Join(base, "dir"), 0o700); _ = os.RemoveAll(base) })
	if err := os.Mkdir(filepath.Join(base, "dir"), 0o755); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(base, "file"), "old", 0o444)
	put(t, filepath.Join(base, "dir", "file"), "old", 0o666)
	for path, mode := range map[string]fs.FileMode{base: 0o777, filepath.Join(base, "dir"): 0o555} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	self := os.Args[0]
	cmd := exec.Command(self, "-test.run=^TestReadOnly$")
	cmd.Env = append(os.Environ(), "REWRITE_TEST_DIR="+base)
	if os.Getuid() == 0 {
		copied := filepath.Join(base, "test") // where that user can read it
		b, err := os.ReadFile(self)
		if err != nil {
			t.Fatal(err)
		}
		put(t, copied, string(b), 0o755)
		cmd.Path = copied
		cmd.Dir = base
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534, NoSetGroups: true}}
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
