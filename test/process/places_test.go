//go:build unix

package process_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"rolecall/internal/fakeaws"
	"rolecall/test/faults"
	"rolecall/test/world"
)

// give hands all that a world has to another user, who sees no more than modes
// let him.
func give(t *testing.T, w *world.World, uid int) {
	t.Helper()
	err := filepath.WalkDir(w.Home, func(path string, _ os.DirEntry, err error) error {
		return errors.Join(err, os.Lchown(path, uid, uid))
	})
	bin, e := world.Plain()
	if err = errors.Join(err, e); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Dir(bin), 0o755); err != nil {
		t.Fatal(err)
	}
}

// A store that cannot be written, or not be made: memory only, told, and ready
// as soon as ever.
func TestStoreThatCannotBeWritten(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can act as another user")
	}
	const nobody = 65534
	prefix := []string{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"}
	slowest := time.Duration(0)
	for what, put := range map[string]func(w *world.World) error{
		"read-only": func(w *world.World) error {
			return errors.Join(os.MkdirAll(filepath.Join(w.Dir(), "store"), 0o700), os.Chmod(filepath.Join(w.Dir(), "store"), 0o500))
		},
		"a file": func(w *world.World) error {
			return errors.Join(os.MkdirAll(w.Dir(), 0o700), os.WriteFile(filepath.Join(w.Dir(), "store"), nil, 0o600))
		},
		"open to all": func(w *world.World) error {
			return errors.Join(os.MkdirAll(filepath.Join(w.Dir(), "store"), 0o700), os.Chmod(filepath.Join(w.Dir(), "store"), 0o777))
		},
	} {
		t.Run(what, func(t *testing.T) {
			w := world.New(t, fakeaws.Config{})
			if err := put(w); err != nil {
				t.Fatal(err)
			}
			give(t, w, nobody)
			best := time.Hour
			for range 3 { // the machine may have had other things to do
				d := w.ServeWith(world.Options{Plain: true, Prefix: prefix}, "--load", "dev", "--auth", "none")
				if status, a, err := d.Get("/creds"); err != nil || status != http.StatusOK || a["AccessKeyId"] == nil {
					t.Errorf("%d, %v", status, err)
				}
				if !strings.Contains(d.Log(), "credentials are kept in memory only") {
					t.Errorf("nobody was told: %s", d.Log())
				}
				best = min(best, d.Ready)
				if err := d.Stop(); err != nil {
					t.Error(err)
				}
			}
			slowest = max(slowest, best)
			bin, _ := world.Plain()
			c := exec.Command(prefix[0], append(slices.Clone(prefix[1:]), bin, "config", "check")...)
			c.Env = w.Environ()
			if out, err := c.CombinedOutput(); err != nil || !strings.Contains(string(out), "warning: ") {
				t.Errorf("config check: %v\n%s", err, out)
			}
			c = exec.Command(prefix[0], append(slices.Clone(prefix[1:]), bin, "process", "dev")...)
			c.Env = w.Environ()
			out, err := c.Output()
			if err != nil {
				t.Fatal(err)
			}
			keyOf(t, out)
		})
	}
	faults.Record(t, 25, slowest > 0 && faults.Within(slowest, 250*time.Millisecond), "ready after %v at the latest (read-only, a file in its place, open to all; as another user), and served; config check says it and ends with 0", slowest.Round(100*time.Microsecond))
}

// What cannot be printed is a failure that is said; what cannot be logged stops
// nothing.
func TestDevFull(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("there is no /dev/full here")
	}
	defer func() { _ = full.Close() }()
	w := world.New(t, fakeaws.Config{})
	for range 2 { // from the source, then from the store
		c := rolecall(t, w, "process", "dev")
		var errs strings.Builder
		c.Stdout, c.Stderr = full, &errs
		if err := c.Run(); err == nil || !strings.Contains(errs.String(), "rolecall: error: ") || !strings.Contains(errs.String(), "no space") {
			t.Errorf("%v: %s", err, &errs)
		}
	}
	bin, err := world.Plain()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, "sh", "-c", `exec "$0" "$@" 2>/dev/full`, bin, "serve", "--listen", "127.0.0.1:0", "--load", "dev", "--auth", "none")
	c.Env = w.Environ()
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 256)
	n, err := out.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	_, url, _ := strings.Cut(strings.TrimSpace(string(line[:n])), "serving on ")
	failed := 0
	for range 300 {
		resp, err := http.Get(url + "creds")
		if err != nil || resp.StatusCode != http.StatusOK {
			failed++
		}
		if err == nil {
			_ = resp.Body.Close()
		}
	}
	if failed > 0 {
		t.Errorf("%d of 300 reads failed while the log is full", failed)
	}
	if err := errors.Join(c.Process.Signal(os.Interrupt), c.Wait()); err != nil {
		t.Error(err)
	}
}

// A daemon that hangs is waited for as long as any process that does, and then
// what is kept, or the source, answers.
func TestProcessBesideADaemonThatHangs(t *testing.T) {
	w := world.New(t, fakeaws.Config{Lifetime: time.Hour})
	d := w.ServeWith(world.Options{Plain: true}, "--load", "dev")
	first := keyOf(t, output(t, rolecall(t, w, "process", "prod"))) // by the daemon
	d.Signal(syscall.SIGSTOP)
	defer d.Signal(syscall.SIGCONT)
	var wg sync.WaitGroup
	for _, args := range [][]string{{"process", "prod"}, {"process", "staging"}, {"process"}, {"status"}} {
		c := rolecall(t, w, args...)
		wg.Go(func() {
			began := time.Now()
			out, err := c.CombinedOutput()
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("%q: after %v", args, took)
			}
			switch {
			case len(args) == 1: // nobody else knows the answer
				if err == nil || !strings.Contains(string(out), "the daemon has not answered at its socket") || !strings.Contains(string(out), "hint: ") {
					t.Errorf("%q: %v: %s", args, err, out)
				}
			case err != nil || (keyOf(t, out) == first) != (args[1] == "prod"):
				t.Errorf("%q: %v", args, err)
			}
		})
	}
	wg.Wait()
	began := time.Now()
	if key := keyOf(t, output(t, rolecall(t, w, "process", "prod"))); key != first || time.Since(began) > time.Second {
		t.Errorf("waited once more: %v", time.Since(began))
	}
}

func output(t *testing.T, c *exec.Cmd) []byte {
	t.Helper()
	out, err := c.Output()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// The aws CLI itself, many at once, with rolecall as its credential_process.
func TestCLIsWithCredentialProcess(t *testing.T) {
	aws, err := exec.LookPath("aws")
	if err != nil {
		t.Skip("there is no aws CLI: pip install awscli")
	}
	w := world.New(t, fakeaws.Config{Lifetime: time.Hour})
	bin, err := world.Plain()
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(w.Home, ".aws", "config")
	f, err := os.OpenFile(config, os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteString("\n[profile cached]\nregion = eu-west-1\ncredential_process = " + bin + " process dev\n")
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	clis := 8
	if testing.Short() {
		clis = 3
	}
	arns := make([]string, clis)
	var wg sync.WaitGroup
	for i := range arns {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		c := exec.CommandContext(ctx, aws, "sts", "get-caller-identity", "--profile", "cached", "--output", "json")
		c.Env, c.Dir = w.Environ("AWS_PROFILE=cached"), w.Home
		wg.Go(func() {
			out, err := c.Output()
			var a struct{ Arn string }
			if err == nil {
				err = json.Unmarshal(out, &a)
			}
			if err != nil {
				t.Error(err)
			}
			arns[i] = a.Arn
		})
	}
	wg.Wait()
	for _, arn := range arns {
		if !strings.Contains(arn, "assumed-role/dev/") {
			t.Errorf("acts as %q", arn)
		}
	}
	if n := w.AWS.Calls("sts:AssumeRole"); n != 1 {
		t.Errorf("%d calls for %d CLIs", n, clis)
	}
}
