package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"rolecall/internal/fakeaws"
)

// terminalSession is a program at a pseudo terminal, and what it shows.
type terminalSession struct {
	t    *testing.T
	cmd  *exec.Cmd
	ctrl *os.File

	mu    sync.Mutex // guards shown and grown
	shown bytes.Buffer
	grown chan struct{} // closed and replaced when shown grows
}

func openPty(t *testing.T) (ctrl, tty *os.File) {
	t.Helper()
	ctrl, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("this system has no pseudo terminals: %v", err)
	}
	t.Cleanup(func() { _ = ctrl.Close() })
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
	tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return ctrl, tty
}

func atTerminal(t *testing.T, env []string, args ...string) *terminalSession {
	t.Helper()
	ctrl, tty := openPty(t)
	defer tty.Close()
	s := &terminalSession{t: t, ctrl: ctrl, grown: make(chan struct{}), cmd: exec.Command("rolecall", args...)}
	s.cmd.Env = append(env, "TERM=xterm")
	s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = tty, tty, tty
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.cmd.Process.Kill() })
	go s.read()
	return s
}

func (s *terminalSession) read() {
	buf := make([]byte, 4096)
	for {
		n, err := s.ctrl.Read(buf)
		s.mu.Lock()
		s.shown.Write(buf[:n])
		close(s.grown)
		s.grown = make(chan struct{})
		s.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// see waits until text has been shown since the last call of typed.
func (s *terminalSession) see(text string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 20*time.Second)
	defer cancel()
	for {
		s.mu.Lock()
		shown, grown := s.shown.String(), s.grown
		s.mu.Unlock()
		if strings.Contains(shown, text) {
			return
		}
		select {
		case <-grown:
		case <-ctx.Done():
			s.t.Fatalf("never saw %q in:\n%q", text, shown)
		}
	}
}

func (s *terminalSession) typed(keys string) {
	s.t.Helper()
	s.mu.Lock()
	s.shown.Reset()
	s.mu.Unlock()
	if _, err := s.ctrl.WriteString(keys); err != nil {
		s.t.Fatal(err)
	}
}

// ends waits for the program and its exit code.
func (s *terminalSession) ends(code int) {
	s.t.Helper()
	err := s.cmd.Wait()
	var e *exec.ExitError
	if err != nil && !errors.As(err, &e) {
		s.t.Fatal(err)
	}
	if got := s.cmd.ProcessState.ExitCode(); got != code {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.t.Fatalf("exit code %d, want %d; shown: %q", got, code, s.shown.String())
	}
}

// terminalWorld is a fake AWS, its profiles and a daemon, and the environment of both.
func terminalWorld(t *testing.T) []string {
	t.Helper()
	env, _ := terminalWorldOf(t, fakeaws.Config{})
	return env
}

func terminalWorldOf(t *testing.T, c fakeaws.Config) ([]string, *fakeaws.Server) {
	t.Helper()
	aws, err := fakeaws.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = aws.Close() })
	home := t.TempDir()
	if _, _, err := aws.WriteProfiles(filepath.Join(home, ".aws")); err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "rc") // the path of a socket must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	env := append(aws.Environ(), "HOME="+home, "ROLECALL_DIR="+dir, "AWS_EC2_METADATA_DISABLED=true", "PATH="+os.Getenv("PATH"), "GORACE=atexit_sleep_ms=10")
	daemon := exec.Command("rolecall", "serve", "--listen", "127.0.0.1:0")
	daemon.Env = env
	out, err := daemon.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = daemon.Process.Signal(syscall.SIGTERM)
		if err := daemon.Wait(); err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	if _, err := out.Read(make([]byte, 200)); err != nil {
		t.Fatal(err)
	}
	return env, aws
}

func TestPickerAtATerminal(t *testing.T) {
	env := terminalWorld(t)
	s := atTerminal(t, env, "load")
	s.see("7 of 7") // static, roles, SSO, and the other role that SSO gives
	// A terminal in raw mode does not go to the left at a line feed.
	s.mu.Lock()
	if drawn := s.shown.String(); strings.Count(drawn, "\n") == 0 || strings.Count(drawn, "\n") != strings.Count(drawn, "\r\n") {
		t.Errorf("lines do not begin at the left: %q", drawn)
	}
	s.mu.Unlock()
	s.typed("stgn")
	s.see("1 of 7")
	s.typed("\r")
	s.ends(0)
	s.see("the default slot: profile:staging")

	// What was loaded last is on top.
	s = atTerminal(t, env, "load", "--slotted")
	s.see("> \x1b[1mstaging")
	s.typed("\x1b[B\x1b[A\r")
	s.ends(0)
	s.see(`slot "staging": profile:staging`)

	for _, leave := range []string{"\x03", "\x1b"} {
		s = atTerminal(t, env, "load")
		s.see("7 of 7")
		s.typed(leave)
		s.ends(exitInterrupted)
		s.see("rolecall: error: nothing was chosen")
	}

	// Colours are for terminals, and not for those who say NO_COLOR.
	s = atTerminal(t, env, "status")
	s.see("\x1b[32mvalid")
	s.ends(0)
	s = atTerminal(t, append(env, "NO_COLOR=1"), "status")
	s.see("(default)  valid")
	s.ends(0)
}

// TestPickerOfRoles: roles of SSO sessions, with the state of the sign-in.
func TestPickerOfRoles(t *testing.T) {
	env, aws := terminalWorldOf(t, fakeaws.Config{DeviceInterval: time.Second})
	aws.AddSSOAccounts(300, 10)
	s := atTerminal(t, env, "load")
	s.see("listing the roles of SSO")
	s.see("3007 of 3007")
	s.see("signed in, 59m left")
	s.typed("account 0042 role07\r")
	s.ends(0)
	s.see("the default slot: sso:fake/600000000042/Role07, account 600000000042, role Role07")

	// It is on top now, and the list is kept.
	before := aws.Calls("sso:ListAccounts")
	s = atTerminal(t, env, "load", "--slot", "again")
	s.see("3007 of 3007")
	s.see("> \x1b[1mAccount 0042/Role07")
	s.typed("\r")
	s.ends(0)
	if n := aws.Calls("sso:ListAccounts"); n != before {
		t.Errorf("%d lists were asked for", n-before)
	}

	// The end of the sign-in shows, and what is chosen says what to do.
	s = atTerminal(t, env, "logout")
	s.see("signed out of fake")
	s.ends(0)
	s = atTerminal(t, env, "load", "--slot", "other")
	s.see("6 of 6") // a list goes with its sign-in
	s.see("not signed in")
	s.typed("sso-dev\r")
	s.ends(exitLogin)
	s.see("hint: rolecall login sso-dev")
}

// TestRefusedSignInShows: the service ended a sign-in whose file looks good.
// Status and picker know it from the slot that it was refused to.
func TestRefusedSignInShows(t *testing.T) {
	env, aws := terminalWorldOf(t, fakeaws.Config{DeviceInterval: time.Second})
	run := func(code int, words ...string) *terminalSession {
		t.Helper()
		s := atTerminal(t, env, words...)
		s.ends(code)
		return s
	}
	for _, slot := range []string{"profile:sso-dev", "sso:fake/111111111111/ReadOnly"} {
		run(0, "load", slot)
		run(0, "status").see("signed in, 59m left, renews itself")
		aws.EndSSOSessions()
		run(exitLogin, "refresh")
		s := run(exitLogin, "status")
		s.see("sign-in ended")
		s.see("hint: rolecall login --sso-session fake")
		run(exitLogin, "status", "--json").see(`"state": "ended"`)
		s = atTerminal(t, env, "load")
		s.see("sign-in ended")
		s.typed("\x03")
		s.ends(exitInterrupted)
		run(0, "login", "--device")
		s = run(0, "status", "--wait")
		s.see("signed in, 59m left, renews itself")
	}
}

// TestLoginAtATerminal: what is shown while a sign-in waits, one at a time, and
// Ctrl-C, which leaves nothing half done.
func TestLoginAtATerminal(t *testing.T) {
	env, aws := terminalWorldOf(t, fakeaws.Config{ManualApproval: true, DeviceInterval: time.Second})
	home := ""
	for _, v := range env {
		if dir, ok := strings.CutPrefix(v, "HOME="); ok {
			home = dir
		}
	}
	cache := filepath.Join(home, ".aws", "sso", "cache")
	token := filepath.Join(cache, fakeaws.CacheName(fakeaws.SSOSession))
	before, err := os.ReadFile(token)
	if err != nil {
		t.Fatal(err)
	}
	for _, way := range []string{"--device", "--no-browser"} {
		args := []string{"login", way}
		if way == "--no-browser" {
			args = append(args, "--device=false")
		}
		s := atTerminal(t, env, args...)
		if way == "--device" {
			s.see("Open this page anywhere, and type the code:")
			s.see("waiting for your approval, 9m left")
		} else {
			s.see("open this page in a browser on this machine:")
			s.see("waiting for the browser, 4m left")
		}
		other := atTerminal(t, env, args...)
		other.ends(exitFailed)
		other.see("a sign-in to fake is waiting already, since ")
		other.see(fmt.Sprintf("(process %d)", s.cmd.Process.Pid))
		s.typed("\x03")
		s.ends(exitInterrupted)
		s.see("rolecall: error: interrupted")
		if after, err := os.ReadFile(token); err != nil || !bytes.Equal(before, after) {
			t.Errorf("%s: the token was changed by a sign-in that was given up: %v", way, err)
		}
		if left, _ := filepath.Glob(filepath.Join(cache, ".*")); len(left) > 0 {
			t.Errorf("%s: left over: %q", way, left)
		}
	}
	s := atTerminal(t, env, "login", "--device")
	s.see("waiting for your approval")
	s.mu.Lock()
	code := regexp.MustCompile(`[A-Z2-7]{4}-[A-Z2-7]{4}`).FindString(s.shown.String())
	s.mu.Unlock()
	if !aws.ApproveDevice(code) {
		t.Fatalf("the code %q is not known", code)
	}
	s.see("signed in to fake until ")
	s.ends(0)
}

// TestRolesAtATerminal: progress is shown, and Ctrl-C leaves no half list.
func TestRolesAtATerminal(t *testing.T) {
	env, aws := terminalWorldOf(t, fakeaws.Config{})
	aws.AddSSOAccounts(60, 3)
	aws.Script(fakeaws.Fault{Match: "sso:ListAccountRoles", Hang: true})
	s := atTerminal(t, env, "roles")
	s.see("fake: 0 of ")
	s.typed("\x03")
	s.ends(exitInterrupted)
	aws.ClearFaults()
	s = atTerminal(t, env, "roles")
	s.see("fake: 61 of 61 accounts, 182 roles")
	s.see("Account 0059")
	s.ends(0)

	// After a new sign-in the list is shown at once, and asked for behind that.
	s = atTerminal(t, env, "login", "--device")
	s.ends(0)
	before := aws.Calls("sso:ListAccounts")
	s = atTerminal(t, env, "roles")
	s.see("Account 0059")
	s.ends(0)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := aws.WaitCalls(ctx, "sso:ListAccounts", before+1); err != nil {
		t.Errorf("no new list is asked for: %v", err)
	}
	s = atTerminal(t, env, "roles", "--refresh") // waits for the process that lists
	s.ends(0)
}

// TestExecAtATerminal: Ctrl-C and the size of the terminal are the program's.
func TestExecAtATerminal(t *testing.T) {
	env := terminalWorld(t)
	for _, source := range []string{"dev", "fake"} { // by the daemon; and without one:
		if source == "fake" {
			env = append(env, "ROLECALL_DIR="+t.TempDir())
		}
		s := atTerminal(t, env, "exec", source, "--", "sh", "-c", `trap 'echo caught; exit 5' INT; test -t 0 && echo ready; while :; do sleep 0.05; done`)
		s.see("ready")
		s.typed("\x03")
		s.see("caught")
		s.ends(5)
		s = atTerminal(t, env, "exec", source, "--", "sh", "-c", `echo ready; exec sleep 60`)
		s.see("ready")
		if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := s.cmd.Wait(); err == nil {
			t.Error("SIGTERM did not reach the program")
		}
	}
}

// TestMFACodeAtATerminal: the code is asked for where load runs, again when it
// is wrong, and Ctrl-C leaves what was there.
func TestMFACodeAtATerminal(t *testing.T) {
	env := terminalWorld(t)
	var home string
	for _, e := range env {
		if dir, ok := strings.CutPrefix(e, "HOME="); ok {
			home = dir
		}
	}
	f, err := os.OpenFile(filepath.Join(home, ".aws", "config"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = fmt.Fprintf(f, "\n[profile admin]\nrole_arn = %s\nsource_profile = base\nmfa_serial = arn:aws:iam::111111111111:mfa/me\n", fakeaws.RoleProd)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	const question = "code of the MFA device arn:aws:iam::111111111111:mfa/me: "
	for _, leave := range []string{"\x03", "\r", "\x04"} {
		s := atTerminal(t, env, "load", "admin")
		s.see(question)
		s.typed(leave)
		s.ends(exitInterrupted)
	}
	s := atTerminal(t, env, "profile")
	s.see("the default slot is empty")
	s.ends(exitFailed)

	s = atTerminal(t, env, "load", "admin")
	s.see(question)
	s.typed("12\r")
	s.see("it has six digits")
	s.see(question)
	s.typed("123456\r")
	s.see("signed in with")
	s.see("the default slot: profile:admin")
	s.ends(0)
	s = atTerminal(t, env, "load", "admin", "--slot", "other") // asks no more
	s.see(`slot "other": profile:admin`)
	s.ends(0)

	// Without a daemon the code is asked for before the program runs.
	s = atTerminal(t, append(env, "ROLECALL_DIR="+t.TempDir()), "exec", "admin", "--", "echo", "program ran")
	s.see(question)
	s.typed("123456\r")
	s.see("program ran")
	s.ends(0)
}

// TestProfilesWriteAtATerminal: the change is shown, and nothing but a yes makes
// it.
func TestProfilesWriteAtATerminal(t *testing.T) {
	env := terminalWorld(t)
	config := ""
	for _, e := range env {
		if dir, ok := strings.CutPrefix(e, "HOME="); ok {
			config = filepath.Join(dir, ".aws", "config")
		}
	}
	before, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	for _, answer := range []string{"\x03", "\x04", "\r", "n\r", "yess\r"} {
		s := atTerminal(t, env, "profiles", "write")
		s.see("+[profile Development:ReadOnly]")
		s.see("write this to " + config + "? [y/N] ")
		s.typed(answer)
		s.ends(exitInterrupted)
		if after, err := os.ReadFile(config); err != nil || !bytes.Equal(after, before) {
			t.Fatalf("%q changed the file: %v", answer, err)
		}
	}
	s := atTerminal(t, env, "profiles", "write")
	s.see("[y/N] ")
	s.typed("y\r")
	s.see("has 2 profiles of 1 SSO sessions")
	s.ends(0)
}
