package process_test

import (
	_ "embed"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"rolecall/test/world"
)

//go:embed testdata/linklocal.sh
var linkLocalScript string

// AWS's own addresses come and go with the daemon, whatever its end, and those
// of others are left alone. All of it in a network namespace of the script's.
func TestLinkLocalAddresses(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can put addresses on an interface")
	}
	for _, program := range []string{"ip", "unshare", "curl", "setpriv"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip("there is no " + program)
		}
	}
	built, err := world.Binary()
	if err != nil {
		t.Fatal(err)
	}
	home, err := os.MkdirTemp("", "rolecall-link-local-") // not t.TempDir, which is for one user
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(home) })
	bin := filepath.Join(home, "rolecall")
	if out, err := exec.Command("sh", "-c", "chmod 755 \"$1\" && cp \"$2\" \"$3\" && chmod 755 \"$3\"", "sh", home, built, bin).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	c := exec.Command("unshare", "--net", "bash", "-c", linkLocalScript)
	c.Env = append(world.Surroundings(home), "ROLECALL="+bin, "GORACE=atexit_sleep_ms=0")
	var complaints strings.Builder // bash's word on a daemon that was killed among them
	c.Stderr = &complaints
	out, err := c.Output()
	want := strings.TrimLeft(`
3 ours, 0 others
200 200 200 200 401 
others: 401 401 401 403 403 
another: exit 1: 169.254.169.254:80 is in use already, by, 3 ours, 0 others
ended 0: 0 ours, 1 others
killed: 3 ours, 0 others
after the next start: 0 ours, 0 others
taken over: 3 ours, 0 others
200 200 200 200 401 
ended 0: 0 ours, 0 others
somebody else's: exit 1: 169.254.169.254 is an address of the int, 0 ours, 1 others
no right to: --link-local needs root or CAP
with capabilities: 3, 0 ours, 0 others
`, "\n")
	if err != nil || string(out) != want {
		t.Errorf("%v: it said\n%s\nwant\n%s\nand complained\n%s", err, out, want, &complaints)
	}
}
