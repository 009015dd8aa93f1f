package demo

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"rolecall/internal/config"
	"rolecall/internal/fakeaws"
)

// TestWorld: the daemon of the demo answers for every slot, with one call to
// AWS each, and nothing is left of it.
func TestWorld(t *testing.T) {
	temp := ownTemp(t)
	w, err := newWorld(t.Context(), "1.2.3-test")
	if err != nil {
		t.Fatal(err)
	}
	c := newCrowd(w.url, w.token, 3)
	if r := c.burst(t.Context(), 2); r.failures != 0 || r.answers != 3*2*len(slots) {
		t.Errorf("%d answers and %d failures", r.answers, r.failures)
	}
	for _, s := range slots {
		if n := w.calls(s); n != 1 {
			t.Errorf("%s: %d calls to AWS", s, n)
		}
	}
	p := w.place()
	if p.URL != w.url || p.Env["ROLECALL_DIR"] == "" || p.Env["AWS_ENDPOINT_URL_STS"] == "" {
		t.Errorf("place %+v", p)
	}
	for _, file := range []string{p.TokenFile, p.Log, p.Env["AWS_CONFIG_FILE"]} {
		if !strings.HasPrefix(file, temp) {
			t.Errorf("%s is not in the demo's own directory", file)
		}
	}
	if err := w.daemonError(); err != nil {
		t.Errorf("the daemon ended: %v", err)
	}
	w.close()
	empty(t, temp)
}

// TestKeptLog: the directory stays when somebody is told to look at the log.
func TestKeptLog(t *testing.T) {
	ownTemp(t)
	w, err := newWorld(t.Context(), "1.2.3-test")
	if err != nil {
		t.Fatal(err)
	}
	w.keepLog = true
	w.close()
	if _, err := os.Stat(w.log); err != nil {
		t.Error(err)
	}
}

// TestInterrupted: a context that ends is no broken promise.
func TestInterrupted(t *testing.T) {
	temp := ownTemp(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	invite := func(Place) error { t.Error("invited"); return nil }
	if err := Run(ctx, Config{Out: io.Discard, Clients: 2, Invite: invite}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	empty(t, temp)
}

func TestNoTemporaryDirectory(t *testing.T) {
	temp := ownTemp(t)
	if err := os.Remove(temp); err != nil {
		t.Fatal(err)
	}
	err := Run(t.Context(), Config{Out: io.Discard, Clients: 1})
	var d *config.DirError
	if !errors.As(err, &d) || d.Hint() != "export TMPDIR=DIRECTORY" {
		t.Errorf("got %v", err)
	}
}

func TestBrokenError(t *testing.T) {
	e := &BrokenError{Promises: 2, Log: "/dir/daemon.log"}
	if e.Error() != "2 of the promises above were broken" || e.Hint() != "the daemon's log is kept: /dir/daemon.log" {
		t.Errorf("%q, %q", e, e.Hint())
	}
}

// ownTemp is a directory that temporary directories are made in from now on.
// Its path is short: sockets have little room for it.
func ownTemp(t *testing.T) string {
	t.Helper()
	temp, err := os.MkdirTemp("", "d")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(temp); err != nil {
			t.Error(err)
		}
	})
	for _, name := range []string{"TMPDIR", "TMP", "TEMP"} { // Unix, Windows
		t.Setenv(name, temp)
	}
	return temp
}

func empty(t *testing.T, dir string) {
	t.Helper()
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%v is left behind (%v)", left, err)
	}
}

// A refresh while the crowd still asks is no second call for the same keys.
func TestFirstCalls(t *testing.T) {
	t.Parallel()
	began := time.Now()
	call := func(role string, after time.Duration) fakeaws.Request {
		return fakeaws.Request{Op: "sts:AssumeRole", RoleARN: role, Time: began.Add(after)}
	}
	all := []fakeaws.Request{call("a", 0), call("b", time.Second), call("b", 2*time.Second), call("a", keyLife*9/20), {Op: "sts:GetCallerIdentity", RoleARN: "a", Time: began}}
	for role, want := range map[string]int{"a": 1, "b": 2, "c": 0} {
		if n := firstCalls(all, role); n != want {
			t.Errorf("%s: %d, want %d", role, n, want)
		}
	}
}
