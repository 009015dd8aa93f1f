//go:build unix

// Package process_test looks at the daemon as a process: its service supervisor,
// other users, what it leaves behind and takes up again. How it ends and hands
// its sockets on is measured in test/faults.
package process_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"rolecall/internal/fakeaws"
	"rolecall/test/world"
)

func TestMain(m *testing.M) { os.Exit(world.Main(m.Run)) }

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
