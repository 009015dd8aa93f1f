//go:build unix

package source

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"rolecall/internal/fakeaws"
)

// TestSSOReadOnlyCache: a token that cannot be kept is used and told. Modes do
// not bind root, which runs it as another user.
func TestSSOReadOnlyCache(t *testing.T) {
	if os.Geteuid() == 0 {
		asNobody(t)
		return
	}
	g := newRig(t, fakeaws.Config{})
	path := signIn(g, time.Now().Add(-time.Minute), nil)
	if err := os.Chmod(filepath.Dir(path), 0o500); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(filepath.Dir(path), 0o700)
	g.must("sso-dev")
	if len(g.warned) != 1 || !strings.Contains(g.warned[0], "cannot be kept") {
		t.Errorf("warned: %q", g.warned)
	}
}

// asNobody runs the test that calls it as a user with no rights.
func asNobody(t *testing.T) {
	t.Helper()
	dir, err := os.MkdirTemp("", "rolecall-source-") // not t.TempDir, which is for one user
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	const nobody = 65534
	copied := filepath.Join(dir, "test")
	if err := os.WriteFile(copied, program, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(dir, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	c := exec.Command(copied, "-test.v", "-test.run=^"+t.Name()+"$")
	c.Dir, c.Env = dir, append(os.Environ(), "TMPDIR="+dir, "HOME="+dir)
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	if out, err := c.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()+" ") {
		t.Errorf("%v: %s", err, out)
	}
}
