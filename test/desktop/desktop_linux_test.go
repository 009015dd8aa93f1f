// Package desktop tests notices on a desktop: a real session bus of the test's
// own, and a notification service on it.
package desktop

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"rolecall/internal/fakeaws"
	"rolecall/internal/notify"
	"rolecall/test/world"
)

func TestMain(m *testing.M) { os.Exit(world.Main(m.Run)) }

// bus is a session bus of the test's own; its address.
func bus(t *testing.T) string {
	t.Helper()
	cmd := exec.Command("dbus-daemon", "--session", "--nofork", "--print-address", "--address=unix:dir="+t.TempDir())
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Skipf("no dbus-daemon: %v", err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line)
}

type shown struct{ app, title, body string }

type desktop struct{ got chan shown }

// Notify is that of the Desktop Notifications Specification.
func (d desktop) Notify(app string, _ uint32, _, title, body string, _ []string, _ map[string]dbus.Variant, _ int32) (uint32, *dbus.Error) {
	d.got <- shown{app, title, body}
	return 1, nil
}

func TestSend(t *testing.T) {
	address := bus(t)
	getenv := func(name string) string {
		if name == "DBUS_SESSION_BUS_ADDRESS" {
			return address
		}
		return ""
	}
	if err := notify.Send(t.Context(), getenv, "title", "body"); err == nil || errors.Is(err, notify.ErrNoDesktop) || !strings.Contains(err.Error(), "the notification service") {
		t.Errorf("a bus without a desktop: %v", err)
	}
	d := serves(t, address)
	if err := notify.Send(t.Context(), getenv, "sign in again", "type: <b>rolecall login dev</b>"); err != nil {
		t.Fatal(err)
	}
	if got := <-d.got; got != (shown{"rolecall", "sign in again", "type: &lt;b&gt;rolecall login dev&lt;/b&gt;"}) {
		t.Errorf("shown was %q", got)
	}
}

// serves puts a desktop on the bus.
func serves(t *testing.T, address string) desktop {
	t.Helper()
	conn, err := dbus.Connect(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	d := desktop{make(chan shown, 10)}
	if err := conn.Export(d, "/org/freedesktop/Notifications", "org.freedesktop.Notifications"); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.RequestName("org.freedesktop.Notifications", dbus.NameFlagDoNotQueue); err != nil {
		t.Fatal(err)
	}
	return d
}

// TestNoticesOfADaemon: one notice for however many slots need the same
// sign-in, and one before it ends.
func TestNoticesOfADaemon(t *testing.T) {
	address := bus(t)
	d := serves(t, address)
	w := world.New(t, fakeaws.Config{})
	const device = "arn:aws:iam::111111111111:mfa/me"
	f, err := os.OpenFile(filepath.Join(w.Home, ".aws", "config"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteString("\n[profile admin]\nrole_arn = " + fakeaws.RoleProd + "\nsource_profile = base\nmfa_serial = " + device + "\n")
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	w.ServeWith(world.Options{Env: []string{"DBUS_SESSION_BUS_ADDRESS=" + address}},
		"--notify-before", "13h", "--slot", "a=admin", "--slot", "b=admin", "--slot", "c=admin", "--slot", "fine=dev")
	if got := d.next(t); got.title != "rolecall: a sign-in is needed" || !strings.Contains(got.body, device) || !strings.Contains(got.body, "rolecall login admin") {
		t.Errorf("shown was %q", got)
	}
	bin, err := world.Binary()
	if err != nil {
		t.Fatal(err)
	}
	load := exec.Command(bin, "load", "admin", "--mfa-code", "123456")
	load.Env = w.Environ()
	if out, err := load.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if got := d.next(t); got.title != "rolecall: a sign-in is about to end" || !strings.Contains(got.body, device+" ends in 12h0m0s") || !strings.Contains(got.body, "rolecall login admin") {
		t.Errorf("shown was %q", got)
	}
	if n := len(d.got); n > 0 {
		t.Errorf("%d more notices, the first is %q", n, <-d.got)
	}
}

func (d desktop) next(t *testing.T) shown {
	t.Helper()
	select {
	case s := <-d.got:
		return s
	case <-time.After(20 * time.Second):
		t.Fatal("nothing was shown")
		return shown{}
	}
}
