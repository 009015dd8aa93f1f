package clients_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"rolecall/internal/fakeaws"
	"rolecall/test/world"
)

// nobody is a user without rights of its own on this machine.
const nobody = 65534

func TestAnotherUserNeedsTheToken(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can run a program as another user")
	}
	w := serve(t, fakeaws.Config{}, "--load", "dev")
	eachSDK(t, func(t *testing.T, s sdk) {
		s = forEverybody(t, s)
		as := func(env []string) answer {
			cmd := s.command(t.Context(), env)
			cmd.Dir = "/"
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
			return identityOf(t, cmd)
		}
		words := needsToken
		if s.ownWords != "" {
			words = s.ownWords
		}
		if a := as(w.program("/creds")); a.Error == "" || !strings.Contains(a.Error, words) {
			if outOfReach(a.Error) {
				t.Skipf("another user cannot run %s", s.argv[0])
			}
			t.Errorf("without a token: %+v", a)
		}
		if a := as(w.program("/creds", token+"="+w.token)); !strings.HasPrefix(a.ARN, roleSession(fakeaws.RoleDev)) {
			t.Errorf("with the token: %+v", a)
		}
		if !s.noTokenFile {
			// The file is for its owner alone, so its name is of no use to others.
			if a := as(w.program("/creds", tokenFile+"="+w.TokenFile())); a.Error == "" || strings.Contains(a.Error, world.Canary) {
				t.Errorf("with the name of the token's file: %+v", a)
			}
		}
	})
}

// outOfReach says whether an error is of the machine's, as where a program or a
// checkout lies in the home directory of root.
func outOfReach(said string) bool {
	return strings.Contains(said, "permission denied") || strings.Contains(said, "EACCES") || strings.Contains(said, "Cannot find module")
}

// forEverybody puts a client where other users may run it.
func forEverybody(t *testing.T, s sdk) sdk {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if s.argv[0] != self {
		return s
	}
	dir, err := os.MkdirTemp("", "rolecall-client-") // not t.TempDir, which is for one user
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	// By another program: a file that this one wrote could not be run while a
	// child that starts meanwhile has it open for writing.
	copied := filepath.Join(dir, "client")
	if out, err := exec.Command("cp", self, copied).CombinedOutput(); err != nil {
		t.Fatalf("cp: %v: %s", err, out)
	}
	s.argv = []string{copied}
	return s
}
