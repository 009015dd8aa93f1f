// Package signin_test signs in as people do: with the real binary, a real
// browser and the real aws CLI, against a fake AWS on loopback.
package signin_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rolecall/internal/fakeaws"
	"rolecall/test/world"
)

func TestMain(m *testing.M) { os.Exit(world.Main(m.Run)) }

// site is a world where nobody has signed in.
type site struct{ *world.World }

func newSite(t *testing.T, c fakeaws.Config) site {
	t.Helper()
	w := world.New(t, c)
	if err := os.Remove(tokenFile(w)); err != nil {
		t.Fatal(err)
	}
	return site{w}
}

func tokenFile(w *world.World) string {
	return filepath.Join(w.Home, ".aws", "sso", "cache", fakeaws.CacheName(fakeaws.SSOSession))
}

func (s site) addConfig(text string) {
	s.T.Helper()
	f, err := os.OpenFile(filepath.Join(s.Home, ".aws", "config"), os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.T.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString("\n" + text + "\n"); err != nil {
		s.T.Fatal(err)
	}
}

// outcome is how a program ended.
type outcome struct {
	code        int
	out, stderr string
}

// run runs a program to its end, for a minute at most, and looks for secrets in
// what rolecall says.
func (s site) run(env []string, name string, args ...string) outcome {
	s.T.Helper()
	ctx, cancel := context.WithTimeout(s.T.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = s.environ(env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.WaitDelay = 5 * time.Second
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		s.T.Fatalf("%s %v: %v\n%s", name, args, err, &errs)
	}
	o := outcome{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
	if filepath.Base(name) == "rolecall" {
		if found := s.Leaks(o.out + o.stderr); len(found) > 0 {
			s.T.Errorf("%v tells %v", args, found)
		}
	}
	return o
}

// environ is the user's, where nothing but this machine can be reached.
func (s site) environ(extra ...string) []string {
	env := s.Environ("HTTPS_PROXY=http://127.0.0.1:9", "NO_PROXY=127.0.0.1,localhost")
	return append(env, extra...)
}

func (s site) rolecall(env []string, args ...string) outcome {
	s.T.Helper()
	path, err := world.Binary()
	if err != nil {
		s.T.Fatal(err)
	}
	return s.run(env, path, args...)
}

func (s site) must(o outcome, words ...string) outcome {
	s.T.Helper()
	if o.code != 0 {
		s.T.Fatalf("exit code %d\n%s%s", o.code, o.out, o.stderr)
	}
	for _, w := range words {
		if !strings.Contains(o.out+o.stderr, w) {
			s.T.Errorf("%q is not in\n%s%s", w, o.out, o.stderr)
		}
	}
	return o
}

// until waits for a condition that nothing tells of.
func until(t *testing.T, d time.Duration, what string, f func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !f() {
		if time.Since(began) > d {
			t.Fatalf("%s: not within %v", what, d)
		}
		<-tick.C
	}
	return time.Since(began)
}
