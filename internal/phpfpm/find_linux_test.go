package phpfpm

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"rolecall/test/fpm"
)

// fakeProc is a /proc in which these processes are: pid → file → text.
func fakeProc(t *testing.T, processes map[int]map[string]string) Finder {
	t.Helper()
	dir := t.TempDir()
	for pid, files := range processes {
		for name, text := range files {
			at := filepath.Join(dir, strconv.Itoa(pid), name)
			if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(text, "-> ") {
				if err := os.Symlink(text[3:], at); err != nil {
					t.Fatal(err)
				}
				continue
			}
			if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	return Finder{Proc: dir}
}

func TestMasters(t *testing.T) {
	t.Parallel()
	title := func(s string) map[string]string {
		return map[string]string{"cmdline": s, "exe": "-> /usr/sbin/php-fpm8.2", "root": "-> /"}
	}
	f := fakeProc(t, map[int]map[string]string{
		1:  title("/sbin/init\x00"),
		20: title("php-fpm: master process (/etc/php/8.2/fpm/php-fpm.conf)\x00\x00\x00\x00"),
		21: title("php-fpm: pool www\x00\x00"),
		// A worker right after its birth, with its master's title.
		22: {"cmdline": "php-fpm: master process (/etc/php/8.2/fpm/php-fpm.conf)", "exe": "-> /usr/sbin/php-fpm8.2", "root": "-> /", "status": "PPid:\t20\n"},
		30: title(`php-fpm: master process (/srv/it's "mine" (2)/php-fpm.conf)`),
		40: {"cmdline": "php-fpm: master process (/gone/php-fpm.conf)"}, // its exe is gone already
		50: {"root": "-> /"},                                            // it is gone
		60: title("vi php-fpm: master process (x)"),
	})
	found, err := f.Masters()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range found {
		got = append(got, fmt.Sprint(m.PID, " ", m.Path, " ", m.Binary))
		_ = m.Tree.Close()
	}
	const want = `20 /etc/php/8.2/fpm/php-fpm.conf /usr/sbin/php-fpm8.2, 30 /srv/it's "mine" (2)/php-fpm.conf /usr/sbin/php-fpm8.2`
	if s := strings.Join(got, ", "); s != want {
		t.Errorf("got %s\nwant %s", s, want)
	}
	if _, err := (Finder{Proc: t.TempDir() + "/none"}).Masters(); err == nil {
		t.Error("no /proc, and no error")
	}
}

func TestArgument(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"php-fpm -F -y /a": "/a", "php-fpm --fpm-config /a": "/a", "php-fpm --fpm-config=/a -F": "/a", "php-fpm -y/a": "/a", "php-fpm -F": "", "php-fpm -- -y /a": "",
	} {
		if got := argument(strings.Fields(line), "-y", "--fpm-config"); got != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
}

// FPM writes its title over its environment, so its parent is asked.
func TestEnvironOfAMasterIsWiped(t *testing.T) {
	t.Parallel()
	dir := fpm.Dir(t)
	fpm.Write(t, dir, map[string]string{"f.conf": fpm.Global + fpm.Pool("www")})
	m := fpm.Start(t, fpm.Options{Conf: dir + "/f.conf", Env: []string{relative + "=/v2/x"}})
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", m.PID))
	if err != nil {
		t.Fatal(err)
	}
	if len(b) == 0 || bytes.Contains(b, []byte("AWS_CONTAINER")) {
		t.Errorf("%d bytes: %q", len(b), b)
	}
	var f Finder
	if vars, err := f.Environ(m.PID); err != nil || vars != nil {
		t.Errorf("%v, %v", vars, err)
	}
	master := f.Master(m.PID)
	defer master.Tree.Close()
	found, _ := f.Surroundings(master)
	if len(found) == 0 || found[0].Vars[relative] != "/v2/x" || !found[0].Certain {
		t.Errorf("%d environments", len(found))
	}
	if d := time.Since(master.Started); d < -3*time.Second || d > time.Minute {
		t.Errorf("started %s ago", d)
	}
}

// A reload keeps the environment that the master was started with.
func TestReloadKeepsTheEnvironment(t *testing.T) {
	t.Parallel()
	dir := fpm.Dir(t)
	fpm.Write(t, dir, map[string]string{"f.conf": fpm.Global + fpm.Pool("www")})
	m := fpm.Start(t, fpm.Options{Conf: dir + "/f.conf"})
	var f Finder
	master := f.Master(m.PID)
	defer master.Tree.Close()
	fpm.Write(t, dir, map[string]string{"f.conf": fpm.Global + fpm.Pool("www") + "env[" + relative + "] = $" + relative + "\n"})
	if err := f.Reload(master); err != nil {
		t.Fatal(err)
	}
	if err := m.Ready(); err != nil {
		t.Fatal(err)
	}
	_, s := load(t, master.Tree, master.Path)
	if v := look(t, master.Tree, s.Pool("www")); v.Vars[relative] != (Seen{Empty: true}) {
		t.Errorf("%+v", v.Vars)
	}
	m.Stop()
	if err := f.Reload(master); err == nil || !strings.Contains(err.Error(), "has ended") {
		t.Errorf("reloading one that has ended: %v", err)
	}
}

// An ordinary user sees the masters of others, and what it does not see is told.
func TestAsAnOrdinaryUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can become another user")
	}
	t.Parallel()
	dir := fpm.Dir(t)
	fpm.Write(t, dir, map[string]string{"f.conf": fpm.Global + fpm.Pool("www")})
	m := fpm.Start(t, fpm.Options{Conf: dir + "/f.conf"})
	self, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/test", self, 0o755); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, dir+"/test", "-test.run", "^TestAsAnOrdinaryUserHelper$", "-test.v")
	c.Dir, c.Env = "/", []string{fmt.Sprintf("PHPFPM_TEST_ORDINARY=%d", m.PID), "PATH=/usr/bin:/bin", "TMPDIR=/tmp"}
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if out, err := c.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: TestAsAnOrdinaryUserHelper") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestAsAnOrdinaryUserHelper(t *testing.T) {
	if pid := os.Getenv("PHPFPM_TEST_ORDINARY"); pid != "" {
		ordinary(t, pid)
	}
}

func ordinary(t *testing.T, pid string) {
	n, err := strconv.Atoi(pid)
	if err != nil {
		t.Fatal(err)
	}
	var f Finder
	m := f.Master(n)
	if m == nil || !strings.HasSuffix(m.Path, "/f.conf") || m.Binary != "" || len(m.Notes) == 0 {
		t.Fatalf("%+v", m)
	}
	if _, notes := f.Surroundings(m); len(notes) == 0 {
		t.Error("nothing is said of what root would see")
	}
	if _, err := Load(Config{Path: m.Path, Tree: m.Tree}); err != nil {
		t.Error(err)
	}
	if err := f.Reload(m); err == nil {
		t.Error("it may reload root's php-fpm")
	}
	if err := m.Tree.Trusted("/usr/sbin"); err != nil {
		t.Error(err)
	}
}

// A master in a container: its own root directory, seen from outside.
func TestMasterInAContainer(t *testing.T) {
	t.Parallel()
	binary := fpm.Binary(t)
	if os.Geteuid() != 0 {
		t.Skip("only root may make a root directory for another process")
	}
	dir := fpm.Dir(t)
	root := dir + "/root"
	fpm.Write(t, root, map[string]string{"etc/php-fpm.conf": "[global]\nerror_log = /proc/self/fd/2\ndaemonize = no\ninclude=/etc/php-fpm.d/*.conf\n",
		"pools/www.conf": "[www]\n{user}listen = /www.sock\npm = static\npm.max_children = 1\nclear_env = no\n", "tmp/x": ""})
	if err := os.Chmod(root+"/tmp", 0o1777); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/pools", root+"/etc/php-fpm.d"); err != nil { // absolute: in the container's root
		t.Fatal(err)
	}
	var mounts strings.Builder
	for _, d := range []string{"usr", "lib", "lib64", "bin", "dev", "proc"} {
		if info, err := os.Stat("/" + d); err != nil || !info.IsDir() {
			continue
		}
		if err := os.MkdirAll(root+"/"+d, 0o755); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&mounts, "mount --rbind /%s %s/%s && ", d, root, d)
	}
	for _, name := range []string{"passwd", "group", "ld.so.cache"} {
		b, err := os.ReadFile("/etc/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(root+"/etc/"+name, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("unshare", "-m", "true").CombinedOutput(); err != nil {
		t.Skipf("this machine lets root make no mount namespace: %s", out)
	}
	m := fpm.Start(t, fpm.Options{Conf: "/etc/php-fpm.conf", Env: []string{relative + "=/v2/x"},
		Wrap: []string{"unshare", "-m", "sh", "-c", mounts.String() + `exec chroot ` + root + ` "$@"`, "sh"}})
	var f Finder
	master := f.Master(m.PID)
	if master == nil || !master.Elsewhere || master.Path != "/etc/php-fpm.conf" || master.Binary != binary {
		t.Fatalf("%+v", master)
	}
	defer master.Tree.Close()
	_, s := load(t, master.Tree, master.Path)
	if len(s.Faults) > 0 || len(s.Files) != 2 || s.Files[1] != "/etc/php-fpm.d/www.conf" {
		t.Fatalf("%v %v", s.Files, s.Faults)
	}
	if v := look(t, master.Tree, s.Pool("www")); !v.Vars[relative].Set() {
		t.Errorf("%+v", v)
	}
}
