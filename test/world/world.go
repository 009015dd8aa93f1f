package world

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rolecall/internal/fakeaws"
)

// Canary is in every secret and token that the fake AWS issues. A daemon that
// prints it fails its test.
const Canary = "CANARYworld"

// World is a fake AWS and a user with profiles for it (see
// fakeaws.WriteProfiles): base, dev, staging, prod, chained and sso-dev.
type World struct {
	T    testing.TB
	AWS  *fakeaws.Server
	Home string // holds .aws; ROLECALL_DIR is Home/rolecall
}

// New makes a world that ends with the test.
func New(t testing.TB, c fakeaws.Config) *World {
	t.Helper()
	c.Canary = Canary
	aws, err := fakeaws.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = aws.Close() })
	home, err := os.MkdirTemp("", "rolecall-") // short: it holds a unix socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(home) })
	w := &World{T: t, AWS: aws, Home: home}
	if _, _, err := aws.WriteProfiles(filepath.Join(home, ".aws")); err != nil {
		t.Fatal(err)
	}
	return w
}

// Dir is ROLECALL_DIR.
func (w *World) Dir() string { return filepath.Join(w.Home, "rolecall") }

// TokenFile holds the daemon's authorization token.
func (w *World) TokenFile() string { return filepath.Join(w.Dir(), "authorization-token") }

// Environ is the user's: what rolecall and shells that call it get. extra goes
// last and wins.
func (w *World) Environ(extra ...string) []string {
	env := append(Surroundings(w.Home), w.AWS.Environ()...)
	env = append(env, "ROLECALL_DIR="+w.Dir(),
		"GORACE=atexit_sleep_ms=0", // else a program with the race detector takes a second to end
		"AWS_CONFIG_FILE="+filepath.Join(w.Home, ".aws", "config"),
		"AWS_SHARED_CREDENTIALS_FILE="+filepath.Join(w.Home, ".aws", "credentials"))
	return append(env, extra...)
}

// Program is the environment of a program that has no AWS files and knows
// nothing but the URL of a credentials endpoint.
func (w *World) Program(url string, extra ...string) []string {
	env := append(Surroundings(filepath.Join(w.Home, "nobody")), w.AWS.Environ()...)
	env = append(env, "AWS_CONTAINER_CREDENTIALS_FULL_URI="+url)
	return append(env, extra...)
}

// Surroundings are the way to other programs, and nothing that tells of AWS.
func Surroundings(home string) []string {
	env := []string{"HOME=" + home, "USERPROFILE=" + home, "AWS_EC2_METADATA_DISABLED=true", "AWS_PAGER=", "PYTHONDONTWRITEBYTECODE=1"}
	for _, name := range []string{"PATH", "SYSTEMROOT", "TMPDIR", "TEMP", "PATHEXT", "LANG"} {
		if v, there := os.LookupEnv(name); there {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// Leaks says which secrets of this world are in text: the canary, or the
// daemon's authorization token.
func (w *World) Leaks(text string) (found []string) {
	if strings.Contains(text, Canary) {
		found = append(found, "a secret of the fake AWS")
	}
	if token, err := os.ReadFile(w.TokenFile()); err == nil && len(token) > 0 && strings.Contains(text, string(token)) {
		found = append(found, "the authorization token")
	}
	return found
}
