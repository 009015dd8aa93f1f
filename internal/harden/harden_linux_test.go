package harden

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// The test program hardens itself in a child, since it cannot be undone.
func TestMain(m *testing.M) {
	if os.Getenv("HARDEN_CHILD") == "" {
		os.Exit(m.Run())
	}
	r := Process()
	var core unix.Rlimit
	_ = unix.Getrlimit(unix.RLIMIT_CORE, &core)
	dumpable, _ := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	if r.NoDumps && dumpable == 0 && core.Cur == 0 && core.Max == 0 {
		os.Stdout.WriteString("closed")
	}
	if r.NoSwap {
		status, _ := os.ReadFile("/proc/self/status")
		for line := range strings.Lines(string(status)) {
			if v, ok := strings.CutPrefix(line, "VmLck:"); ok && strings.Fields(v)[0] != "0" {
				os.Stdout.WriteString(" locked")
			}
		}
	} else {
		os.Stdout.WriteString(" unlocked")
	}
}

func TestProcess(t *testing.T) {
	privileged := os.Geteuid() == 0
	drop := []string{"setpriv", "--inh-caps=-ipc_lock", "--bounding-set=-ipc_lock"}
	for _, c := range []struct {
		name, want string
		prefix     []string
		root       bool // only root can do so
	}{
		{"no limit", "closed locked", []string{"prlimit", "--memlock=unlimited"}, true},
		{"a limit, and the privilege to pass over it", "closed locked", []string{"prlimit", "--memlock=65536:65536"}, true},
		{"a limit", "closed unlocked", append([]string{"prlimit", "--memlock=65536:65536"}, drop...), true},
		{"a limit, without privileges", "closed unlocked", []string{"prlimit", "--memlock=65536:65536"}, false},
	} {
		if c.root != privileged {
			continue
		}
		cmd := exec.Command(c.prefix[0], append(c.prefix[1:], os.Args[0])...)
		cmd.Env = append(os.Environ(), "HARDEN_CHILD=1")
		out, err := cmd.CombinedOutput()
		if err != nil {
			if strings.Contains(string(out), "not permitted") {
				t.Logf("left out: %s cannot be had here", c.name)
				continue
			}
			t.Fatalf("%s: %v: %s", c.name, err, out)
		}
		if string(out) != c.want {
			t.Errorf("%s: %q, want %q", c.name, out, c.want)
		}
	}
}

func TestConnectionRoom(t *testing.T) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if got := ConnectionRoom(1 << 30); got != int(limit.Cur)-32 {
		t.Errorf("%d of %d descriptors", got, limit.Cur)
	}
	if got := ConnectionRoom(10); got != 10 {
		t.Errorf("%d, want 10", got)
	}
}
