package doctor

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// start runs a program that waits until the test ends.
func start(t *testing.T, env []string, argv ...string) int {
	t.Helper()
	c := exec.Command(argv[0], argv[1:]...)
	c.Env, c.Dir = env, t.TempDir()
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close(); _ = c.Wait() })
	// It has been exec'ed and is at work when it says so.
	if _, err := io.ReadFull(out, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	return c.Process.Pid
}

func TestProcess(t *testing.T) {
	t.Parallel()
	pid := start(t, []string{"PATH=" + os.Getenv("PATH"), "HOME=/h", "AWS_PROFILE=dev", "SECRET=" + canary}, "sh", "-c", "echo x; read line")
	p, err := Process(pid)
	if err != nil {
		t.Fatal(err)
	}
	if p.Others || p.Env.Get("AWS_PROFILE") != "dev" || p.Env.Get("HOME") != "/h" || p.Dir == "" || p.Root != "" || p.Elsewhere != "" || p.Name != fmt.Sprintf("pid %d (sh)", pid) {
		t.Errorf("%s in %s, root %q, %q", p.Name, p.Dir, p.Root, p.Elsewhere)
	}
	if len(p.Ancestors) == 0 || p.Ancestors[0].PID != os.Getpid() {
		t.Errorf("%d ancestors", len(p.Ancestors))
	}
	// A wrapper's child counts, not the wrapper.
	pid = start(t, []string{"PATH=" + os.Getenv("PATH"), "A=outer"}, "sh", "-c", "env A=inner sh -c 'echo x; read line'; true")
	if p, err := Deepest(pid); err != nil || p.Env.Get("A") != "inner" {
		t.Errorf("%s: A=%s, %v", p.Name, p.Env.Get("A"), err)
	}
	if _, err := Process(1 << 30); err == nil || !strings.Contains(err.Error(), "there is no process") {
		t.Error(err)
	}
}

// A process with a network of its own is looked at, and its endpoints are not
// asked: from here they would be others.
func TestProcessElsewhere(t *testing.T) {
	t.Parallel()
	if err := exec.Command("unshare", "-n", "true").Run(); err != nil {
		t.Skip("no network namespace can be made here: ", err)
	}
	pid := start(t, []string{"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "AWS_REGION=eu-west-1", full, off}, "unshare", "-n", "sh", "-c", "echo x; read line")
	p, err := Process(pid)
	if err != nil || !strings.Contains(p.Elsewhere, "nsenter") {
		t.Fatalf("%+v, %v", p, err)
	}
	r := Run(t.Context(), Inspect(p, Config{Resolve: names}))
	if r.Cause() != "" || r.Count(Skipped) != 1 || !strings.Contains(fmt.Sprint(r), "nsenter") {
		t.Errorf("%+v", r)
	}
}

// Root may read any file, and another user's process may name any: none is sent.
func TestNoFileIsSentForAnother(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "root-only")
	if err := os.WriteFile(file, []byte(canary), 0o600); err != nil {
		t.Fatal(err)
	}
	asked := make(chan string, 9)
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked <- r.Header.Get("Authorization") }))
	defer s.Close()
	env := NewEnviron([]string{"HOME=" + dir, "AWS_REGION=eu-west-1", off, fullWith + s.URL + "/", varTokenFile + "=" + file})
	for _, p := range []Program{{Env: env, Others: true}, {Env: env, Root: "/proc/self/root"}, {Env: env}} {
		r := Run(t.Context(), Inspect(p, Config{Resolve: names}))
		checkSafe(t, r)
		others := p.Others || p.Root != ""
		select {
		case sent := <-asked:
			if others || sent != canary {
				t.Error("a file was sent for another user's program")
			}
		default:
			if !others || r.Count(Skipped) != 1 {
				t.Error("nothing was sent for one's own program")
			}
		}
	}
}

// tree is a made-up /proc.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	proc := t.TempDir()
	for name, text := range files {
		path := filepath.Join(proc, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return proc
}

func TestProcessOfATree(t *testing.T) {
	t.Parallel()
	proc := tree(t, map[string]string{
		"30/stat": "30 (a) name (x)) S 20 1 1", "30/environ": strings.Repeat("\x00", 100),
		"20/stat": "20 (supervisord) S 1 1 1", "20/environ": "A=1\x00",
		"1/stat": "1 (tini) S 0 1 1", "1/environ": "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/x\x00",
		"40/stat": "40 (gone) S 1 1 1",
		"50/stat": "nonsense",
		"60/stat": "60 (loop) S 60 1 1", "60/environ": "A=1\x00",
	})
	p, err := process(proc, 30)
	if err != nil || !p.Env.Wiped || p.Name != "pid 30 (a) name (x))" || len(p.Ancestors) != 2 || p.Ancestors[1].Env.Get(varRelative) != "/x" {
		t.Errorf("%+v, %v", p, err)
	}
	if _, err := process(proc, 40); err == nil || !strings.Contains(err.Error(), "ended while it was looked at") {
		t.Error(err)
	}
	if _, err := process(proc, 50); err == nil {
		t.Error("a status that is none")
	}
	if found, _ := ancestors(proc, 60); len(found) != maxAncestors {
		t.Errorf("a loop of parents: %d", len(found))
	}
}

// A process of another user is told to be one, by whoever may not look.
func TestProcessOfAnother(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can start a process of another user")
	}
	own, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "doctor-") // t.TempDir is below a directory of root's
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	bin := filepath.Join(dir, "look")
	if err := errors.Join(os.Chmod(dir, 0o755), os.WriteFile(bin, own, 0o755)); err != nil {
		t.Fatal(err)
	}
	c := exec.Command(bin, "-test.run=^TestLookAtParent$", "-test.v")
	c.Env = append(os.Environ(), fmt.Sprintf("DOCTOR_LOOK_AT=%d", os.Getpid()))
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	c.Dir = "/"
	out, err := c.CombinedOutput()
	if errors.Is(err, os.ErrPermission) {
		t.Skip("the test's binary cannot be run by another user: ", err)
	}
	if err != nil || !strings.Contains(string(out), "PASS: TestLookAtParent") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestLookAtParent runs in a process of its own, for TestProcessOfAnother.
func TestLookAtParent(t *testing.T) {
	pid := 0
	if _, err := fmt.Sscan(os.Getenv("DOCTOR_LOOK_AT"), &pid); err != nil {
		return // for TestProcessOfAnother only
	}
	_, err := Process(pid)
	var root *NeedsRoot
	if !errors.As(err, &root) {
		t.Errorf("%v", err)
	}
	p := Self("it", nil, "")
	for _, a := range p.Ancestors {
		if len(a.Env.Names()) > 0 {
			t.Errorf("the environment of pid %d was read", a.PID)
		}
	}
	if len(p.Unseen) != 1 || !strings.Contains(p.Unseen[0], "as root") {
		t.Errorf("it does not say what root would see: %q", p.Unseen)
	}
}

// Paths in another root directory are those of the program: a link there leads
// to where it leads for the program, and never to a file of this machine.
func TestFilesOfAnotherRoot(t *testing.T) {
	t.Parallel()
	outside := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(outside, []byte(canary), 0o600); err != nil {
		t.Fatal(err)
	}
	root := tree(t, map[string]string{"run/real": "bare-token", "home/.aws/real": "[profile dev]\nregion = eu-west-1\n"})
	for link, to := range map[string]string{
		"run/absolute": "/run/real", "run/out": outside, "run/up": "../../../../../.." + outside, "home/.aws/config": "/home/.aws/real",
	} {
		if err := os.Symlink(to, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	p := Program{Root: root, Dir: "/run", Home: "/home"}
	for name, want := range map[string]string{"/run/real": "bare-token", "absolute": "bare-token", "/run/out": "", "up": "", outside: "", "../../.." + outside: ""} {
		if got, err := p.readSmall(name); got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if f, _, err := p.awsFiles(); err != nil || len(f.Names()) != 1 || f.Paths.Config != "/home/.aws/config" {
		t.Errorf("%+v, %v", f, err)
	}
	p.Root = filepath.Join(root, "gone")
	if _, err := p.readSmall("real"); !errors.Is(err, errUnseen) {
		t.Errorf("a process that has ended: %v", err)
	}
}

// What root may read and the program's user may not, the program does not read.
func TestFilesAsAnotherUser(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	closed := filepath.Join(dir, "closed")
	if err := os.Mkdir(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	gid := os.Getegid()
	me, other, member := &reader{uid: os.Geteuid()}, &reader{uid: 54321}, &reader{uid: 54321, gids: []int{7, gid}}
	for _, tt := range []struct {
		path string
		mode os.FileMode
		who  *reader
		ok   bool
	}{
		{"token", 0o600, nil, true}, {"token", 0o600, me, true}, {"token", 0o600, other, false}, {"token", 0o640, other, false},
		{"token", 0o640, member, true}, {"token", 0o604, member, false}, {"token", 0o604, other, true}, {"closed/token", 0o644, other, false},
	} {
		path := filepath.Join(dir, tt.path)
		if err := errors.Join(os.WriteFile(path, []byte("bare-token"), 0o600), os.Chmod(path, tt.mode)); err != nil {
			t.Fatal(err)
		}
		if tt.who == me && me.uid == 0 && tt.mode&0o400 == 0 {
			continue
		}
		_, err := Program{reader: tt.who}.readSmall(path)
		if (err == nil) != tt.ok || err != nil && !errors.Is(err, os.ErrPermission) {
			t.Errorf("%s with mode %o: %v", tt.path, tt.mode, err)
		}
	}
}

// A process's own user, groups and whatever has no environment are read from
// what the kernel says.
func TestStatusOfATree(t *testing.T) {
	t.Parallel()
	proc := tree(t, map[string]string{
		"30/status": "Name:\tphp\nUid:\t33\t33\t33\t34\nGid:\t40\t40\t40\t41\nGroups:\t50 60 \n",
		"31/status": "nonsense",
		"40/stat":   "40 (python3) Z 1 1 1 0 -1 4194304 0",
		"50/stat":   "50 (kworker/0:1) I 2 0 0 0 -1 69238880 0",
	})
	r := readerOf(filepath.Join(proc, "30"))
	if r == nil || r.uid != 34 || fmt.Sprint(r.gids) != "[41 50 60]" {
		t.Errorf("%+v", r)
	}
	if readerOf(filepath.Join(proc, "31")) != nil || readerOf(filepath.Join(proc, "32")) != nil {
		t.Error("a user out of nothing")
	}
	for pid, want := range map[int]string{40: "has ended", 50: "thread of the kernel", 60: "there is no process"} {
		if _, err := process(proc, pid); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%d: %v", pid, err)
		}
	}
}
