package attack_test

import (
	_ "embed"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"rolecall/test/world"
)

//go:embed testdata/hops.sh
var hopsScript string

// A token for a machine behind a router never arrives, unless the hop limit is
// raised. And beyond this machine nobody is let in but the addresses that are
// named. The three machines are network namespaces that the script makes inside
// one of its own.
func TestTokenHops(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can make the machines, which are network namespaces")
	}
	for _, program := range []string{"ip", "unshare", "curl"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip("there is no " + program)
		}
	}
	bin, err := world.Binary()
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	c := exec.Command("unshare", "--net", "--mount", "bash", "-c", hopsScript)
	c.Env = append(world.Surroundings(home), "ROLECALL="+bin, "ROLECALL_DIR="+filepath.Join(home, "rc"), "GORACE=atexit_sleep_ms=0")
	out, err := c.CombinedOutput()
	text := string(out)
	if strings.Contains(text, "CANNOT") {
		t.Skip("this kernel has no virtual Ethernet devices: " + text)
	}
	want := "limit 1: near 200 far 000 (28)\nlimit 2: near 200 far 200\nnot named: near 403 far 403\n"
	if err != nil || text != want {
		t.Errorf("%v:\n%s\nwant\n%s", err, text, want)
	}
}
