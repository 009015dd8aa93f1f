package cli

import (
	"bufio"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestDemoStaysUp: after the show it serves other terminals, until Ctrl-C.
func TestDemoStaysUp(t *testing.T) {
	t.Parallel()
	temp := t.TempDir()
	cmd := exec.Command("rolecall", "demo", "--clients", "10")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + temp, "GORACE=atexit_sleep_ms=10"}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill() }()
	var exports []string
	for lines := bufio.NewScanner(out); lines.Scan(); {
		line := lines.Text()
		t.Log(line)
		if strings.HasPrefix(line, "export ") || strings.HasPrefix(line, "unset ") {
			exports = append(exports, line)
		}
		if strings.HasSuffix(line, "Ctrl-C ends the demo.") {
			break
		}
	}
	other := exec.Command("sh", "-c", strings.Join(exports, "\n")+"\nask && rolecall load chained --slotted && rolecall status")
	other.Env = cmd.Env
	if shown, err := other.CombinedOutput(); err != nil || !strings.Contains(string(shown), "200 arn:aws:iam::111111111111:role/dev") {
		t.Errorf("another terminal: %v\n%s", err, shown)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("after Ctrl-C: %v", err)
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("%v is left behind (%v)", left, err)
	}
}
