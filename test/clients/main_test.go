// Package clients_test runs unmodified AWS SDKs, as their users do, against a
// real `rolecall serve` with a fake AWS behind it.
package clients_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"rolecall/internal/fakeaws"
	"rolecall/test/world"
)

func TestMain(m *testing.M) {
	if os.Getenv(asGoClient) != "" {
		goClient(os.Stdin, os.Stdout)
		return
	}
	// Most of the time is spent waiting: for SDKs that pause between tries, and
	// for credentials to end.
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(world.Main(m.Run))
}

// serving is a world with its daemon.
type serving struct {
	*world.World
	*world.Daemon
	token string // the daemon's authorization token
}

// serve makes a world and runs `rolecall serve ARGS` in it until the test ends.
func serve(t *testing.T, c fakeaws.Config, args ...string) serving {
	t.Helper()
	w := world.New(t, c)
	d := w.Serve(args...)
	token, err := os.ReadFile(w.TokenFile())
	if err != nil || len(token) < 43 {
		t.Fatalf("the authorization token has %d bytes: %v", len(token), err)
	}
	return serving{w, d, string(token)}
}

// program is the environment of a program that finds no AWS files and knows
// nothing but the way to credentials: a path of the daemon's URL, or a whole one.
func (s serving) program(url string, extra ...string) []string {
	if strings.HasPrefix(url, "/") {
		url = s.URL + url
	}
	return s.Program(url, extra...)
}

// binary is rolecall itself.
func binary(t *testing.T) string {
	t.Helper()
	path, err := world.Binary()
	if err != nil {
		t.Fatal(err)
	}
	return path
}
