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
	for _, memlock := range []string{"unlimited", "65536:65536"} {
		c := exec.Command("prlimit", "--memlock="+memlock, os.Args[0])
		c.Env = append(os.Environ(), "HARDEN_CHILD=1")
		out, err := c.CombinedOutput()
		if err != nil {
			if strings.Contains(string(out), "not permitted") {
				t.Logf("left out: the limit on locked memory cannot be set to %s here", memlock)
				continue
			}
			t.Fatalf("%v: %s", err, out)
		}
		want := map[string]string{"unlimited": "closed locked", "65536:65536": "closed unlocked"}[memlock]
		if string(out) != want {
			t.Errorf("memlock %s: %q, want %q", memlock, out, want)
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
