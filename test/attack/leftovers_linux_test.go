package attack_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"rolecall/internal/fakeaws"
	"rolecall/test/world"
)

// childOnLinux plays another program of the daemon's own user: it tries to look
// into the process whose id it is given, and prints what it got.
func childOnLinux(mode string) error {
	pid, err := strconv.Atoi(strings.TrimPrefix(mode, "look "))
	if err != nil {
		return err
	}
	got := func(what string, err error) {
		if err == nil {
			fmt.Println(what)
		}
	}
	for _, name := range []string{"mem", "maps", "environ", "auxv", "stack", "smaps", "pagemap", "map_files", "exe", "cwd", "root", "fd"} {
		path := fmt.Sprintf("/proc/%d/%s", pid, name)
		switch name {
		case "exe", "cwd", "root":
			_, err = os.Readlink(path)
		case "fd", "map_files":
			_, err = os.ReadDir(path)
		default:
			var f *os.File
			if f, err = os.Open(path); err == nil && name != "mem" && name != "pagemap" {
				_, err = f.Read(make([]byte, 16))
			}
		}
		got(name, err)
	}
	local, here := make([]byte, 8), make([]byte, 8)
	_, err = unix.ProcessVMReadv(pid, []unix.Iovec{{Base: &local[0], Len: 8}}, []unix.RemoteIovec{{Base: uintptr(0x400000), Len: len(here)}}, 0)
	if !errors.Is(err, unix.EPERM) {
		got("process_vm_readv", nil) // EFAULT: allowed, and nothing there
	}
	if fd, err := unix.PidfdOpen(pid, 0); err == nil {
		_, err = unix.PidfdGetfd(fd, 1, 0)
		got("pidfd_getfd", err)
	}
	if err := unix.PtraceAttach(pid); err == nil {
		got("ptrace", nil)
		var ws unix.WaitStatus
		_, _ = unix.Wait4(pid, &ws, 0, nil)
		_ = unix.PtraceDetach(pid)
	}
	return nil
}

// asItsOwner gives the world to nobody, as whom the daemon is then run.
func asItsOwner(t *testing.T, w *world.World) world.Options {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can run the daemon as another user")
	}
	bin, err := world.Binary()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Dir(bin), 0o755); err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(w.Home, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, nobody, nobody)
	})
	if err != nil {
		t.Fatal(err)
	}
	return world.Options{Prefix: []string{"setpriv", fmt.Sprint("--reuid=", nobody), fmt.Sprint("--regid=", nobody), "--clear-groups"}}
}

func TestSameUserCannotLookIn(t *testing.T) {
	w := world.New(t, fakeaws.Config{})
	o := asItsOwner(t, w)
	d := w.ServeWith(o, "--load", "dev")
	works(t, d, "Authorization: "+tokenOf(t, w))
	plain := exec.Command("setpriv", append(o.Prefix[1:], "sleep", "600")...)
	if err := plain.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = plain.Process.Kill(); _ = plain.Wait() }()
	waitFor(t, func() bool {
		comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", plain.Process.Pid))
		return string(comm) == "sleep\n"
	})
	control := string(asNobody(t, fmt.Sprint("look ", plain.Process.Pid), nil))
	for _, way := range []string{"mem", "environ", "process_vm_readv"} {
		if !strings.Contains(control, way+"\n") {
			t.Logf("this system keeps %s of a plain process from its own user too, so that it shows nothing here", way)
		}
	}
	if got := string(asNobody(t, fmt.Sprint("look ", d.PID()), nil)); got != "" {
		t.Errorf("another program of the same user got %q", strings.Fields(got))
	}
	t.Logf("a plain process shows its user %v; the daemon shows nothing", strings.Fields(control))
	works(t, d, "Authorization: "+tokenOf(t, w))
}

func waitFor(t *testing.T, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); !done(); {
		if time.Now().After(deadline) {
			t.Fatal("it did not come to that within 15 s")
		}
		<-time.After(5 * time.Millisecond)
	}
}

// cores lists core dumps below dir.
func cores(t *testing.T, dir string) (found []string) {
	t.Helper()
	for _, path := range tree(t, dir) {
		if strings.HasPrefix(filepath.Base(path), "core") {
			found = append(found, path)
		}
	}
	return found
}

func TestCrashLeavesNoCore(t *testing.T) {
	if _, err := exec.LookPath("prlimit"); err != nil {
		t.Skip("there is no prlimit")
	}
	unlimited := []string{"prlimit", "--core=unlimited:unlimited"}
	control := exec.Command(unlimited[0], unlimited[1], "sleep", "600")
	control.Dir = t.TempDir()
	if err := control.Start(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool {
		comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", control.Process.Pid))
		return string(comm) == "sleep\n"
	})
	_ = control.Process.Signal(syscall.SIGABRT)
	_ = control.Wait()
	power := control.ProcessState.Sys().(syscall.WaitStatus).CoreDump()
	for _, signal := range []syscall.Signal{syscall.SIGABRT, syscall.SIGSEGV, syscall.SIGQUIT} {
		w := world.New(t, fakeaws.Config{})
		d := w.ServeWith(world.Options{Prefix: unlimited, Env: []string{"GOTRACEBACK=crash"}, Fails: true}, "--load", "dev")
		works(t, d)
		d.Signal(signal)
		err := d.Wait() // that its last words hold no secret is looked at when the test ends
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			t.Fatalf("%v: ended with %v", signal, err)
		}
		if exit.Sys().(syscall.WaitStatus).CoreDump() {
			t.Errorf("%v: the kernel wrote a core", signal)
		}
		if found := cores(t, w.Home); len(found) > 0 {
			t.Errorf("%v: left %v", signal, found)
		}
		if signal == syscall.SIGABRT && !strings.Contains(d.Log(), "SIGABRT") {
			t.Errorf("%v: this was no crash: %.200s", signal, d.Log())
		}
	}
	t.Logf("no core of the daemon; a plain process left one: %v", power)
}

// status is a line of /proc/PID/status.
func status(t *testing.T, pid int, key string) string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if v, ok := strings.CutPrefix(line, key+":"); ok {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

func TestMemoryIsLockedWherePermitted(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root is permitted for sure")
	}
	w := world.New(t, fakeaws.Config{})
	d := w.Serve("--load", "dev")
	works(t, d)
	locked := status(t, d.PID(), "VmLck")
	if strings.HasPrefix(locked, "0 ") || locked == "" {
		caps, err := strconv.ParseUint(status(t, os.Getpid(), "CapEff"), 16, 64)
		if users, _ := os.ReadFile("/proc/self/uid_map"); err != nil || caps&(1<<unix.CAP_IPC_LOCK) == 0 || !strings.Contains(string(users), "4294967295") {
			t.Skip("root may not lock memory here")
		}
		t.Errorf("VmLck is %q", locked)
	}
	if swapped := status(t, d.PID(), "VmSwap"); swapped != "0 kB" {
		t.Errorf("VmSwap is %q", swapped)
	}
	t.Logf("locked: %s, resident: %s", locked, status(t, d.PID(), "VmRSS"))
}
