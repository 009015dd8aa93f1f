//go:build unix

package process_test

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rolecall/internal/fakeaws"
	"rolecall/test/faults"
	"rolecall/test/world"
)

// rolecall runs a command of the world's user.
func rolecall(t *testing.T, w *world.World, args ...string) *exec.Cmd {
	t.Helper()
	bin, err := world.Plain()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	c := exec.CommandContext(ctx, bin, args...)
	c.Env, c.Dir = w.Environ(), w.Home
	return c
}

// keyOf is the access key id that `rolecall process` printed.
func keyOf(t *testing.T, out []byte) string {
	t.Helper()
	var a struct {
		Version                            int
		AccessKeyID                        string `json:"AccessKeyId"`
		SecretAccessKey, SessionToken, Exp string
	}
	if err := json.Unmarshal(out, &a); err != nil || a.Version != 1 || a.SecretAccessKey == "" || a.SessionToken == "" {
		t.Errorf("an answer of %d bytes is not that of a credential_process: %v", len(out), err)
	}
	return a.AccessKeyID
}

// A daemon that starts while AWS is down serves what the one before it left,
// as soon as it answers at all.
func TestRestartWithUpstreamDown(t *testing.T) {
	w := world.New(t, fakeaws.Config{Lifetime: time.Hour})
	d := w.ServeWith(world.Options{Plain: true}, "--load", "dev", "--slot", "prod=profile:prod")
	first := map[string]string{}
	for _, path := range []string{"/creds", "/slot/prod", "/source/profile:staging"} {
		status, a, err := d.Get(path)
		if err != nil || status != http.StatusOK {
			t.Fatalf("%s: %d, %v", path, status, err)
		}
		first[path] = a["AccessKeyId"].(string)
	}
	if err := d.Stop(); err != nil {
		t.Fatal(err)
	}
	w.AWS.Script(fakeaws.Fault{Match: "*", Status: 503})
	calls := w.AWS.Calls("sts:AssumeRole")
	var fastest time.Duration
	for range 10 {
		began := time.Now()
		d := w.ServeWith(world.Options{Plain: true}, "--load", "dev", "--slot", "prod=profile:prod")
		if status, _, err := d.Get("/creds"); err != nil || status != http.StatusOK {
			t.Fatalf("%d, %v", status, err)
		}
		if took := time.Since(began); fastest == 0 || took < fastest {
			fastest = took
		}
		for path, key := range first {
			if status, a, err := d.Get(path); err != nil || status != http.StatusOK || a["AccessKeyId"] != key {
				t.Errorf("%s: %d, %v", path, status, err)
			}
		}
		if err := d.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	n := w.AWS.Calls("sts:AssumeRole") - calls
	faults.Record(t, 4, n == 0 && faults.Within(fastest, 250*time.Millisecond), "first 200 after %v (best of 10 starts, upstream answering 503); %d calls of sources whose credentials are in the store", fastest.Round(100*time.Microsecond), n)
}

// Two hundred programs ask at once, no daemon runs and nothing is kept.
func TestProcessHerd(t *testing.T) {
	w := world.New(t, fakeaws.Config{Lifetime: time.Hour})
	w.AWS.Script(fakeaws.Fault{Match: "sts:AssumeRole", Delay: time.Second})
	if _, err := world.Plain(); err != nil {
		t.Fatal(err)
	}
	const herd = 200
	keys := make([]string, herd)
	var wg sync.WaitGroup
	var slowest atomic.Int64
	for i := range keys {
		c := rolecall(t, w, "process", "dev")
		wg.Go(func() {
			began := time.Now()
			out, err := c.Output()
			if err != nil {
				t.Error(err)
				return
			}
			keys[i] = keyOf(t, out)
			for took := int64(time.Since(began)); ; {
				old := slowest.Load()
				if took <= old || slowest.CompareAndSwap(old, took) {
					return
				}
			}
		})
	}
	wg.Wait()
	slices.Sort(keys)
	if keys = slices.Compact(keys); len(keys) != 1 {
		t.Errorf("%d different answers", len(keys))
	}
	if n := w.AWS.Calls("sts:AssumeRole"); n != 1 {
		t.Errorf("%d calls", n)
	}
	t.Logf("%d processes, upstream 1 s: %d call, slowest %v with its start", herd, w.AWS.Calls("sts:AssumeRole"), time.Duration(slowest.Load()).Round(time.Millisecond))
}

// Daemons of one user, each with a control socket of its own and one store.
func TestDaemonsShareTheStore(t *testing.T) {
	w := world.New(t, fakeaws.Config{Lifetime: time.Hour})
	w.AWS.Script(fakeaws.Fault{Match: "sts:AssumeRole", Delay: time.Second})
	state, err := os.MkdirTemp("", "rolecall-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(state) })
	daemons := 50
	if testing.Short() {
		daemons = 5
	}
	var ds []*world.Daemon
	for i := range daemons {
		run := filepath.Join(state, "run", string(rune('a'+i/26))+string(rune('a'+i%26)))
		d := w.ServeWith(world.Options{Plain: true, Env: []string{"ROLECALL_DIR=", "DBUS_SESSION_BUS_ADDRESS=", "XDG_CONFIG_HOME=" + run, "XDG_STATE_HOME=" + state, "XDG_RUNTIME_DIR=" + run}},
			"--load", "dev", "--auth", "none")
		ds = append(ds, d)
	}
	var wg sync.WaitGroup
	keys := make([]string, len(ds))
	for i, d := range ds {
		wg.Go(func() {
			status, a, err := d.Get("/creds")
			if err != nil || status != http.StatusOK {
				t.Errorf("%d, %v", status, err)
				return
			}
			keys[i] = a["AccessKeyId"].(string)
		})
	}
	wg.Wait()
	slices.Sort(keys)
	if keys = slices.Compact(keys); len(keys) != 1 {
		t.Errorf("%d different answers", len(keys))
	}
	if n := w.AWS.Calls("sts:AssumeRole"); n != 1 {
		t.Errorf("%d calls for %d daemons", n, daemons)
	}
	t.Logf("%d daemons: %d call", daemons, w.AWS.Calls("sts:AssumeRole"))
}
