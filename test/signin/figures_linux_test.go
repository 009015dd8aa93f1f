package signin_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"rolecall/internal/fakeaws"
	"rolecall/test/figure"
	"rolecall/test/world"
)

// TestFigureRoles: 300 accounts with ten roles each, from a portal that takes
// 100 ms for each answer and refuses more than 20 requests a second, after 200.
func TestFigureRoles(t *testing.T) {
	w := world.New(t, fakeaws.Config{SSORate: 20, SSOBurst: 200, SSOPageSize: 100})
	s := site{w}
	w.AWS.AddSSOAccounts(300, 10)
	w.AWS.Script(fakeaws.Fault{Match: "sso:ListAccounts", Delay: 100 * time.Millisecond}, fakeaws.Fault{Match: "sso:ListAccountRoles", Delay: 100 * time.Millisecond})
	bin, err := world.Plain()
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	s.must(s.run(nil, bin, "roles"), "Account 0299")
	took := time.Since(began)
	requests, refused := 0, 0
	for _, r := range w.AWS.Requests() {
		if strings.HasPrefix(r.Op, "sso:List") {
			requests++
			if r.Status == 429 {
				refused++
			}
		}
	}
	figure.Note(t, fmt.Sprintf("rolecall roles, 300 accounts × 10 roles, %d calls of 100 ms: first list", requests), "≤ 8 s", took.Round(10*time.Millisecond).String(), took > 8*time.Second)
	figure.Note(t, "of those, calls that were more than the portal allows (20 a second, after 200)", "0", fmt.Sprint(refused), refused > 0)
	var cached []time.Duration
	for range 15 {
		began := time.Now()
		s.must(s.run(nil, bin, "roles"), "Account 0299")
		cached = append(cached, time.Since(began))
	}
	slices.Sort(cached)
	middle := cached[len(cached)/2]
	figure.Note(t, "the same list, kept", "≤ 50 ms", fmt.Sprintf("%v (%v to %v)", ms(middle), ms(cached[0]), ms(cached[len(cached)-1])), middle > 50*time.Millisecond)
}

func ms(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }

// TestFigurePickerOpens: from exec to the whole list on a terminal.
func TestFigurePickerOpens(t *testing.T) {
	w := world.New(t, fakeaws.Config{SSOPageSize: 100})
	s := site{w}
	w.AWS.AddSSOAccounts(300, 10)
	bin, err := world.Plain()
	if err != nil {
		t.Fatal(err)
	}
	s.must(s.run(nil, bin, "roles"), "Account 0299")
	var opened []time.Duration
	for range 15 {
		opened = append(opened, open(t, s, bin, "3007 of 3007"))
	}
	slices.Sort(opened)
	middle := opened[len(opened)/2]
	figure.Note(t, "picker: exec to 3,007 profiles and roles on the screen", "≤ 100 ms", fmt.Sprintf("%v (%v to %v)", ms(middle), ms(opened[0]), ms(opened[len(opened)-1])), middle > 100*time.Millisecond)
}

// open runs `rolecall load` at a terminal until it shows text, and leaves it.
func open(t *testing.T, s site, bin, text string) time.Duration {
	t.Helper()
	ctrl, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("this system has no pseudo terminals: %v", err)
	}
	defer ctrl.Close()
	if err := unix.IoctlSetPointerInt(int(ctrl.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(ctrl.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(int(ctrl.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 100}); err != nil {
		t.Fatal(err)
	}
	tty, err := os.OpenFile(filepath.Join("/dev/pts", fmt.Sprint(n)), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer tty.Close()
	cmd := exec.Command(bin, "load")
	cmd.Env = s.environ("TERM=xterm")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill := time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() })
	defer kill.Stop()
	var shown bytes.Buffer
	buf := make([]byte, 64<<10)
	took := time.Duration(0)
	for took == 0 {
		n, err := ctrl.Read(buf)
		shown.Write(buf[:n])
		if strings.Contains(shown.String(), text) {
			took = time.Since(began)
		} else if err != nil {
			t.Fatalf("never saw %q in %q", text, shown.String())
		}
	}
	if _, err := ctrl.WriteString("\x03"); err != nil {
		t.Fatal(err)
	}
	go func() { // the terminal must not fill up
		for {
			if _, err := ctrl.Read(buf); err != nil {
				return
			}
		}
	}()
	var exit *exec.ExitError
	if err := cmd.Wait(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return took
}
