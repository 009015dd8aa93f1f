//go:build unix

// Package process_test looks at the daemon as a process: signals, service
// supervisors, what it leaves behind.
package process_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"rolecall/internal/fakeaws"
	"rolecall/test/world"
)

func TestMain(m *testing.M) { os.Exit(world.Main(m.Run)) }

func TestTerminationLetsRequestsFinish(t *testing.T) {
	w := world.New(t, fakeaws.Config{})
	hold := make(chan struct{})
	w.AWS.Script(fakeaws.Fault{Match: "sts:AssumeRole", Until: hold})
	d := w.Serve("--load", "dev", "--auth", "auto")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := w.AWS.WaitCalls(ctx, "sts:AssumeRole", 1); err != nil {
		t.Fatal(err)
	}
	const clients = 500
	before := established(t, d.PID())
	var ok, unavailable, lost atomic.Int32
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			switch status, _, err := d.Get("/"); {
			case err != nil:
				if lost.Add(1) < 4 {
					t.Log(err)
				}
			case status == http.StatusOK:
				ok.Add(1)
			default:
				unavailable.Add(1)
			}
		})
	}
	waitFor(t, func() bool { return established(t, d.PID()) >= before+clients })
	began := time.Now()
	d.Signal(syscall.SIGTERM)
	waitFor(t, func() bool { // no new ones
		c, err := net.DialTimeout("tcp", d.Addr(), time.Second)
		if err == nil {
			_ = c.Close()
		}
		return err != nil
	})
	close(hold)
	wg.Wait()
	if err := d.Wait(); err != nil {
		t.Errorf("ended with %v", err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("took %v to end", took)
	}
	if ok.Load() != clients {
		t.Errorf("%d answered, %d told to come back, %d lost", ok.Load(), unavailable.Load(), lost.Load())
	}
}

// established counts the sockets of a process: what it has open of that kind.
func established(t *testing.T, pid int) (n int) {
	t.Helper()
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Skipf("the open files of a process cannot be counted here: %v", err)
	}
	for _, fd := range fds {
		if to, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%s", pid, fd.Name())); strings.HasPrefix(to, "socket:") {
			n++
		}
	}
	return n
}

func waitFor(t *testing.T, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); !done(); {
		if time.Now().After(deadline) {
			t.Fatal("it did not come to that within 15 s")
		}
		<-time.After(10 * time.Millisecond)
	}
}

func TestSecondSignalEndsAtOnce(t *testing.T) {
	w := world.New(t, fakeaws.Config{})
	w.AWS.Script(fakeaws.Fault{Match: "*", Hang: true})
	d := w.ServeWith(world.Options{Fails: true}, "--load", "dev")
	go func() { _, _, _ = d.Get("/") }()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := w.AWS.WaitCalls(ctx, "sts:AssumeRole", 1); err != nil {
		t.Fatal(err)
	}
	d.Signal(syscall.SIGTERM)
	waitFor(t, func() bool { _, err := net.DialTimeout("tcp", d.Addr(), time.Second); return err != nil })
	began := time.Now()
	d.Signal(syscall.SIGTERM)
	_ = d.Wait()
	if took := time.Since(began); took > 100*time.Millisecond {
		t.Errorf("took %v after the second signal", took)
	}
}

func TestSystemdReadinessWatchdogAndStopping(t *testing.T) {
	w := world.New(t, fakeaws.Config{})
	path := filepath.Join(w.Home, "notify")
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = notify.Close() }()
	d := w.ServeWith(world.Options{Env: []string{"NOTIFY_SOCKET=" + path, "WATCHDOG_USEC=400000"}}, "--load", "dev")
	want := []string{"READY=1", "WATCHDOG=1", "WATCHDOG=1", "STOPPING=1"}
	var got []string
	buf := make([]byte, 256)
	for len(want) > 0 {
		_ = notify.SetReadDeadline(time.Now().Add(10 * time.Second))
		n, err := notify.Read(buf)
		if err != nil {
			t.Fatalf("after %q: %v", got, err)
		}
		got = append(got, string(buf[:n]))
		if string(buf[:n]) == want[0] {
			want = want[1:]
		}
		if len(want) == 1 && want[0] == "STOPPING=1" {
			go func() { _ = d.Stop() }()
		}
	}
}

func TestSystemdHandsOverSockets(t *testing.T) {
	w := world.New(t, fakeaws.Config{})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	file, err := ln.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	url := "http://" + ln.Addr().String() + "/"
	// systemd sets LISTEN_PID to the process it starts.
	start := func() *world.Daemon {
		return w.ServeWith(world.Options{Prefix: []string{"sh", "-c", `LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"`, "sh"}, Files: []*os.File{file}, Listen: "-"}, "--load", "dev")
	}
	first := start()
	if first.URL+"/" != url {
		t.Fatalf("serves on %s instead of %s", first.URL, url)
	}
	d := first
	// The socket lives on between two daemons: clients wait and none is lost.
	var failed, asked atomic.Int32
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				asked.Add(1)
				if status, _, err := first.Get("/"); err != nil || status != 200 { // the URL stays the same
					failed.Add(1)
					t.Logf("%d %v", status, err)
				}
			}
		})
	}
	for range restarts {
		before := asked.Load()
		waitFor(t, func() bool { return asked.Load() >= before+50 })
		if err := d.Stop(); err != nil {
			t.Errorf("ended with %v", err)
		}
		d = start()
	}
	close(stop)
	wg.Wait()
	if failed.Load() != 0 {
		t.Errorf("%d of %d requests failed over %d restarts", failed.Load(), asked.Load(), restarts)
	}
}

const restarts = 5

func TestNothingSecretInProcessTable(t *testing.T) {
	w := world.New(t, fakeaws.Config{})
	d := w.Serve("--load", "dev")
	if status, _, err := d.Get("/"); err != nil || status != 200 {
		t.Fatal(status, err)
	}
	for _, file := range []string{"cmdline", "environ"} {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", d.PID(), file))
		if errors.Is(err, os.ErrPermission) || errors.Is(err, os.ErrNotExist) {
			continue
		}
		for _, leak := range w.Leaks(string(b)) {
			t.Errorf("%s is in /proc/PID/%s", leak, file)
		}
	}
}

// Another user on this machine gets nothing without the authorization token.
func TestOtherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can act as another user")
	}
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("there is no curl")
	}
	w := world.New(t, fakeaws.Config{})
	d := w.Serve("--load", "dev")
	ask := func(args ...string) string {
		c := exec.Command("setpriv", append([]string{"--reuid=65534", "--regid=65534", "--clear-groups", curl, "-s", "-o", "/dev/null", "-w", "%{http_code}"}, args...)...)
		out, err := c.Output()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return string(out)
	}
	token, err := os.ReadFile(w.TokenFile())
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(t.TempDir(), "curlrc") // not in argv
	if err := os.WriteFile(config, fmt.Appendf(nil, "header = \"Authorization: %s\"\n", token), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Dir(config), 0o755); err != nil {
		t.Fatal(err)
	}
	_ = os.Chmod(filepath.Dir(filepath.Dir(config)), 0o755)
	if got := ask(d.URL + "/"); got != "401" {
		t.Errorf("without the token: %s", got)
	}
	if got := ask("-K", config, d.URL+"/"); got != "200" {
		t.Errorf("with the token: %s", got)
	}
	bin, err := world.Binary()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Dir(bin), 0o755); err != nil {
		t.Fatal(err)
	}
	c := exec.Command("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", bin, "status")
	c.Env = w.Environ()
	if out, err := c.CombinedOutput(); err == nil {
		t.Errorf("the control socket answered another user: %s", out)
	}
}
