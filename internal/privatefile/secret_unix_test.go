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
)

// As Kubernetes mounts secrets: a link to a link in a directory of root's.
func TestReadSecret(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "..data", "password"), filepath.Join(dir, "password")
	if err := os.Mkdir(filepath.Join(dir, "..2026"), 0o755); err != nil {
		t.Fatal(err)
	}
	for from, to := range map[string]string{filepath.Join(dir, "..data"): "..2026", link: "..data/password"} {
		if err := os.Symlink(to, from); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := ReadSecret(link, 0); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a link to nothing: %v", err)
	}
	if err := os.WriteFile(file, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	root := os.Geteuid() == 0
	for mode, good := range map[os.FileMode]bool{0o600: true, 0o400: true, 0o440: root, 0o640: root, 0o660: false, 0o604: false, 0o444: false, 0o644: false, 0o602: false, 0o620: false} {
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{file, link} {
			b, err := ReadSecret(path, 0)
			var unsafe *UnsafeError
			if good != (err == nil && string(b) == "secret") || !good && (!errors.As(err, &unsafe) || unsafe.Hint() == "") {
				t.Errorf("mode %o: %q, %v", mode, b, err)
			}
		}
	}
	if err := os.Chmod(file, 0o600); err != nil {
		t.Fatal(err)
	}
	var unsafe *UnsafeError
	if _, err := ReadSecret(file, 3); !errors.As(err, &unsafe) {
		t.Errorf("too long: %v", err)
	}
	if _, err := ReadSecret(dir, 0); !errors.As(err, &unsafe) {
		t.Errorf("a directory: %v", err)
	}
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	toFifo := filepath.Join(dir, "to-fifo")
	if err := os.Symlink(fifo, toFifo); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{fifo, toFifo} {
		if _, err := ReadSecret(path, 0); !errors.As(err, &unsafe) {
			t.Errorf("a FIFO: %v", err)
		}
	}
}

// A process that is not root reads what root has mounted for its group, and
// neither another user's file nor what another user's link leads to.
func TestReadSecretAsAnotherUser(t *testing.T) {
	if path := os.Getenv("PRIVATEFILE_SECRET"); path != "" {
		b, err := ReadSecret(path, 0)
		if err != nil {
			t.Fatal(err)
		}
		if string(b) != "secret" {
			t.Fatalf("read %d bytes", len(b))
		}
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("only root can act as another user")
	}
	if _, err := exec.LookPath("setpriv"); err != nil {
		t.Skip("there is no setpriv")
	}
	dir, err := os.MkdirTemp("", "privatefile-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	self, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "test")
	if err := os.WriteFile(program, self, 0o755); err != nil {
		t.Fatal(err)
	}
	const user, group, stranger = 65534, 4321, 54321
	for name, tt := range map[string]struct {
		uid, gid int
		mode     os.FileMode
		linkUID  int // -1: no link
		good     bool
	}{
		"root's, for our group":              {0, group, 0o440, -1, true},
		"the same through root's link":       {0, group, 0o440, 0, true},
		"the same through a stranger's link": {0, group, 0o440, stranger, false},
		"root's, for everybody":              {0, group, 0o444, -1, false},
		"our own":                            {user, group, 0o400, -1, true},
		"our own through our link":           {user, group, 0o400, user, true},
		"our own, for a group":               {user, group, 0o440, -1, false},
		"a stranger's, for our group":        {stranger, group, 0o440, -1, false},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(dir, strings.ReplaceAll(name, " ", "-"))
			if err := os.WriteFile(path, []byte("secret"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(os.Chown(path, tt.uid, tt.gid), os.Chmod(path, tt.mode)); err != nil {
				t.Fatal(err)
			}
			if tt.linkUID >= 0 {
				link := path + ".link"
				if err := errors.Join(os.Symlink(path, link), os.Lchown(link, tt.linkUID, tt.gid)); err != nil {
					t.Fatal(err)
				}
				path = link
			}
			c := exec.Command("setpriv", "--reuid=65534", "--regid=65534", "--groups=4321", program, "-test.run=^TestReadSecretAsAnotherUser$")
			c.Env, c.Dir = append(os.Environ(), "PRIVATEFILE_SECRET="+path), dir
			out, err := c.CombinedOutput()
			if (err == nil) != tt.good {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}
