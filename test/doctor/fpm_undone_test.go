//go:build linux

package diagnosis

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"rolecall/test/fpm"
	"rolecall/test/world"
)

// A master with mounts of its own has other files at the same paths: php-fpm -t
// must look at those, and only those may be changed.
func TestFixBehindMounts(t *testing.T) {
	fpmRoot(t)
	if out, err := exec.Command("unshare", "-m", "true").CombinedOutput(); err != nil {
		t.Skipf("this machine lets root make no mount namespace: %s", out)
	}
	start := func(t *testing.T) (*Site, *phpSite) {
		s := newSite(t)
		p := &phpSite{files: map[string]string{"pool.d/x": "", "there/www.conf": pool("www"), "here/www.conf": pool("www", "; ours")}, env: fpmEnv(phpRelative + "=" + secretPath)}
		// An absolute link: here it leads to a file that others may change.
		p.wrap = []string{"unshare", "-m", "sh", "-c", `d=$(dirname "$5") && chmod 777 "$d/here" && ln -s "$d/here/www.conf" "$d/pool.d/www.conf" && mount --bind "$d/there" "$d/here" && exec "$@"`, "sh"}
		p.start(s)
		return s, p
	}
	t.Run("changed", func(t *testing.T) {
		s, p := start(t)
		out, errs, code := s.call("", append(s.Args, "--fix", "--yes")...)
		there, _ := os.ReadFile(p.dir + "/there/www.conf")
		if code != 0 || !strings.Contains(out, "proved: ") || !strings.Contains(string(there), "env["+phpRelative) {
			t.Errorf("%d\n%s%s\n%s", code, out, errs, there)
		}
		here, _ := os.ReadFile(p.dir + "/here/www.conf")
		if all, _ := os.ReadDir(p.dir + "/here"); len(all) != 1 || strings.Contains(string(here), "AWS_") {
			t.Errorf("our own file is touched: %v\n%s", all, here)
		}
	})
	t.Run("refused", func(t *testing.T) {
		s, p := start(t)
		fpm.Write(t, p.dir, map[string]string{"there/www.conf": pool("www", "request_terminate_timeout = banana")})
		before, _ := os.ReadFile(p.dir + "/there/www.conf")
		out, errs, code := s.call("", append(s.Args, "--fix", "--yes")...)
		if after, _ := os.ReadFile(p.dir + "/there/www.conf"); code != 1 || !strings.Contains(out, "the old ones are back: ") || !bytes.Equal(after, before) || strings.Contains(p.master.Log(), "Reloading") {
			t.Errorf("%d\n%s%s\n%s", code, out, errs, after)
		}
	})
}

// Where nothing is changed, no copy of the authorization token is left behind.
func TestNoTokenLeftBehind(t *testing.T) {
	fpmRoot(t)
	for name, test := range map[string]struct{ program, want string }{
		"php-fpm -t says no": {"#!/bin/sh\necho 'ERROR: it does not suit me' >&2\nexit 78\n", "the old ones are back: it does not suit me"},
		"no php-fpm":         {"", "nothing was changed: "},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.Serve("--load", "fake", "--auth", "token")
			p := &phpSite{files: map[string]string{"pool.d/www.conf": pool("www")}}
			p.start(s)
			if test.program != "" {
				fpmWrite(t, p.dir+"/fpm", test.program, 0o755)
			}
			before, _ := os.ReadFile(p.dir + "/pool.d/www.conf")
			out, errs, code := s.call("", "php-fpm", "--fpm-config", p.dir+"/php-fpm.conf", "--binary", p.dir+"/fpm", "--use-rolecall", "--fix", "--yes")
			if code != 1 || !strings.Contains(out, test.want) || strings.Contains(errs, "wrote") {
				t.Errorf("%d\n%s%s", code, out, errs)
			}
			after, _ := os.ReadFile(p.dir + "/pool.d/www.conf")
			left, _ := filepath.Glob(p.dir + "/.rolecall*")
			more, _ := filepath.Glob(p.dir + "/rolecall*")
			if all, _ := os.ReadDir(p.dir + "/pool.d"); len(all) != 1 || len(left)+len(more) > 0 || !bytes.Equal(after, before) {
				t.Errorf("left behind: %v %v %v\n%s", all, left, more, after)
			}
		})
	}
}

// Ctrl-C, or a terminal that closes, while php-fpm -t runs: all is as it was.
func TestFixInterrupted(t *testing.T) {
	fpmRoot(t)
	bin, err := world.Binary()
	if err != nil {
		t.Fatal(err)
	}
	for sig, want := range map[syscall.Signal]int{syscall.SIGINT: 130, syscall.SIGHUP: 1} {
		t.Run(sig.String(), func(t *testing.T) {
			s := newSite(t)
			p := &phpSite{files: map[string]string{"pool.d/www.conf": pool("www")}, env: fpmEnv(phpRelative + "=" + secretPath)}
			p.start(s)
			if err := syscall.Mkfifo(p.dir+"/running", 0o600); err != nil {
				t.Fatal(err)
			}
			fpmWrite(t, p.dir+"/fpm", "#!/bin/sh\necho yes > "+p.dir+"/running\nexec sleep 60\n", 0o755)
			before, _ := os.ReadFile(p.dir + "/pool.d/www.conf")
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			c := exec.CommandContext(ctx, bin, "doctor", "php-fpm", "--fpm-config", p.dir+"/php-fpm.conf", "--binary", p.dir+"/fpm", "--fix", "--yes")
			var out bytes.Buffer
			c.Env, c.Dir, c.Stdout, c.Stderr, c.WaitDelay = s.Env, s.Home, &out, &out, time.Second
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			if b, err := os.ReadFile(p.dir + "/running"); err != nil || len(b) == 0 { // waits for the script
				t.Fatal(err)
			}
			if now, _ := os.ReadFile(p.dir + "/pool.d/www.conf"); bytes.Equal(now, before) {
				t.Error("php-fpm -t runs, and the file is not changed")
			}
			_ = c.Process.Signal(sig)
			var ended *exec.ExitError
			if err := c.Wait(); !errors.As(err, &ended) || ended.ExitCode() != want || !strings.Contains(out.String(), "nothing was changed: it was interrupted") {
				t.Errorf("%v\n%s", err, out.String())
			}
			after, _ := os.ReadFile(p.dir + "/pool.d/www.conf")
			if all, _ := os.ReadDir(p.dir + "/pool.d"); len(all) != 1 || !bytes.Equal(after, before) {
				t.Errorf("left behind: %v\n%s", all, after)
			}
		})
	}
}

// A master that ends meanwhile is not reloaded, and its pid is named to nobody.
func TestMasterEndsMeanwhile(t *testing.T) {
	fpmRoot(t)
	s := newSite(t)
	p := &phpSite{files: map[string]string{"pool.d/www.conf": pool("www")}, env: fpmEnv(phpRelative + "=" + secretPath)}
	p.start(s)
	fpmWrite(t, p.dir+"/fpm", fmt.Sprintf("#!/bin/sh\nkill -QUIT %[1]d\nwhile kill -0 %[1]d 2>/dev/null; do sleep 0.01; done\n", p.master.PID), 0o755)
	out, errs, code := s.call("", "php-fpm", "--fpm-config", p.dir+"/php-fpm.conf", "--binary", p.dir+"/fpm", "--fix", "--yes")
	if code != 1 || !strings.Contains(out, "php-fpm was not reloaded: php-fpm master") || !strings.Contains(out, "start php-fpm again") || strings.Contains(out, "kill -USR2") {
		t.Errorf("%d\n%s%s", code, out, errs)
	}
}
