//go:build !windows

package cli

import (
	"bufio"
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"rolecall/internal/fakeaws"
)

// TestSecondSignal: the first signal lets requests under way finish, the second
// ends the daemon at once. One signal is enough for a command that waits.
func TestSecondSignal(t *testing.T) {
	t.Parallel()
	aws, err := fakeaws.Start(fakeaws.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer aws.Close()
	home := t.TempDir()
	if _, _, err := aws.WriteProfiles(filepath.Join(home, ".aws")); err != nil {
		t.Fatal(err)
	}
	aws.Script(fakeaws.Fault{Match: "sts:*", Hang: true})
	dir, err := os.MkdirTemp("", "rc")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	env := append(aws.Environ(), "HOME="+home, "ROLECALL_DIR="+dir, "AWS_EC2_METADATA_DISABLED=true", "PATH="+os.Getenv("PATH"), "GORACE=atexit_sleep_ms=10")

	daemon := exec.Command("rolecall", "serve", "--listen", "127.0.0.1:0", "--auth", "none", "--load", "dev")
	daemon.Env = env
	out, err := daemon.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = daemon.Process.Kill() }()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	url := strings.TrimPrefix(strings.TrimSpace(line), "rolecall: serving on ")

	load := exec.Command("rolecall", "load", "prod")
	load.Env = env
	if err := load.Start(); err != nil {
		t.Fatal(err)
	}
	if err := aws.WaitCalls(t.Context(), "sts:AssumeRole", 2); err != nil {
		t.Fatal(err)
	}
	if err := load.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	var e *exec.ExitError
	if err := load.Wait(); !errors.As(err, &e) || e.ExitCode() != exitInterrupted {
		t.Errorf("load: %v", err)
	}

	request := make(chan struct{})
	go func() {
		defer close(request)
		if resp, err := http.Get(url); err == nil {
			_ = resp.Body.Close()
		}
	}()
	defer func() { <-request }()
	if err := daemon.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for address := strings.Trim(strings.TrimPrefix(url, "http://"), "/"); ; <-time.After(5 * time.Millisecond) { // until it has seen the first
		c, err := net.Dial("tcp", address)
		if err != nil {
			break
		}
		_ = c.Close()
	}
	_ = daemon.Process.Signal(syscall.SIGTERM) // it may have ended already, when the request came too late
	if err := daemon.Wait(); err != nil && (!errors.As(err, &e) || signalOf(e.ProcessState) != int(syscall.SIGTERM)) {
		t.Errorf("serve: %v", err)
	}
}
