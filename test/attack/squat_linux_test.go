package attack_test

import (
	"context"
	"errors"
	"net"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"rolecall/internal/fakeaws"
	"rolecall/test/faults"
	"rolecall/test/world"
)

// squat holds a port as another program might, with socket options that let
// sockets share a port.
func squat(t *testing.T, network, addr string, options ...int) (net.Listener, error) {
	t.Helper()
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		_ = c.Control(func(fd uintptr) {
			for _, o := range options {
				err = errors.Join(err, unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, o, 1))
			}
		})
		return err
	}}
	return lc.Listen(context.Background(), network, addr)
}

// A daemon whose port somebody holds does not start, so that nobody gives it a
// token or takes credentials from it unawares.
func TestSquattedPort(t *testing.T) {
	if _, err := world.Binary(); err != nil { // which takes its time to build
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		network, addr string
		options       []int
	}{
		"the same address":                {"tcp4", "127.0.0.1:0", nil},
		"the same address, SO_REUSEPORT":  {"tcp4", "127.0.0.1:0", []int{unix.SO_REUSEPORT}},
		"the same address, SO_REUSEADDR":  {"tcp4", "127.0.0.1:0", []int{unix.SO_REUSEADDR}},
		"all addresses, both":             {"tcp4", "0.0.0.0:0", []int{unix.SO_REUSEPORT, unix.SO_REUSEADDR}},
		"all addresses of both protocols": {"tcp", "[::]:0", []int{unix.SO_REUSEPORT}},
	} {
		t.Run(name, func(t *testing.T) {
			ln, err := squat(t, c.network, c.addr, c.options...)
			if err != nil {
				t.Skipf("this machine has no such address: %v", err)
			}
			defer func() { _ = ln.Close() }()
			_, port, _ := net.SplitHostPort(ln.Addr().String())
			w := world.New(t, fakeaws.Config{})
			began := time.Now()
			d, err := w.Start(world.Options{Listen: "127.0.0.1:" + port, Fails: true}, "--load", "dev")
			if err == nil {
				t.Fatal("it started")
			}
			var exit *exec.ExitError
			if err := d.Wait(); !errors.As(err, &exit) || exit.ExitCode() <= 0 {
				t.Errorf("ended with %v", err)
			}
			if took := time.Since(began); !faults.Within(took, time.Second) {
				t.Errorf("took %v to end", took)
			}
			if !strings.Contains(d.Log(), "in use already") || !strings.Contains(d.Log(), "hint: ") {
				t.Errorf("%s", d.Log())
			}
		})
	}
}

// A second daemon takes nothing from the first, and nobody shares its port.
func TestSecondDaemonAndLateSquatter(t *testing.T) {
	w := world.New(t, fakeaws.Config{})
	first := w.Serve("--load", "dev")
	works(t, first)
	began := time.Now()
	for _, listen := range []string{first.Addr(), ""} { // the same port; the same directory
		if second, err := w.Start(world.Options{Listen: listen, Fails: true}, "--load", "prod"); err == nil {
			t.Errorf("a second daemon started, at %s", second.URL)
		} else {
			_ = second.Wait()
		}
	}
	if took := time.Since(began); !faults.Within(took, 2*time.Second) {
		t.Errorf("took %v to end twice", took)
	}
	_, port, _ := net.SplitHostPort(first.Addr())
	for _, addr := range []string{first.Addr(), "0.0.0.0:" + port} {
		if ln, err := squat(t, "tcp4", addr, unix.SO_REUSEPORT, unix.SO_REUSEADDR); err == nil {
			_ = ln.Close()
			t.Errorf("another program shares the port at %s", addr)
		}
	}
	works(t, first)
	if status, _ := ask(t, w, "GET", "/v1/status", ""); status != 200 {
		t.Errorf("the first one's control socket: %d", status)
	}
}
