package login

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rolecall/internal/fakeaws"
	"rolecall/internal/source"
	"rolecall/internal/sso"
)

const canary = "CANARYlogin"

// rig is a fake AWS, a home directory, and one who signs in.
type rig struct {
	*testing.T
	fake    *fakeaws.Server
	home    string
	session sso.Session
	cache   sso.Cache
	service *source.SSOService
	r       *source.Resolver
	told    []Pending
}

func newRig(t *testing.T, c fakeaws.Config) *rig {
	t.Helper()
	c.Canary = canary
	fake, err := fakeaws.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = fake.Close() })
	g := &rig{T: t, fake: fake, home: t.TempDir()}
	env := map[string]string{}
	for _, e := range fake.Environ() {
		name, value, _ := strings.Cut(e, "=")
		env[name] = value
	}
	g.r = source.New(source.Config{Getenv: func(name string) string { return env[name] }, Home: g.home})
	g.at(sso.Session{Name: "corp", Section: true, StartURL: fake.URL() + "/start", Region: "eu-west-1"})
	return g
}

// at signs in elsewhere.
func (g *rig) at(s sso.Session) {
	g.Helper()
	g.session = s
	var err error
	if g.cache, err = sso.NewCache(g.home); err != nil {
		g.Fatal(err)
	}
	if g.service, err = g.r.SSO(s); err != nil {
		g.Fatal(err)
	}
}

// config is a sign-in in the browser, which does what open does.
func (g *rig) config(open func(page string)) Config {
	return Config{Session: g.session, Service: g.service, Cache: g.cache, Pending: filepath.Join(g.home, "sign-in"),
		Open: func(_ context.Context, page string) error {
			if open != nil {
				go open(page)
			}
			return nil
		},
		Tell: func(p Pending) { g.told = append(g.told, p) }}
}

// visit is a browser that goes where it is sent; it returns the last page.
func visit(t *testing.T, page string) string {
	resp, err := http.Get(page)
	if err != nil {
		t.Errorf("the browser: %v", err)
		return ""
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return string(b)
}

// fails checks that a sign-in failed, with what it says and what to do, and that
// nothing is left of it.
func (g *rig) fails(err error, words ...string) {
	g.Helper()
	if err == nil {
		g.Fatal("signed in")
	}
	text := err.Error()
	var hinted interface{ Hint() string }
	if errors.As(err, &hinted) {
		text += "\n" + hinted.Hint()
	} else if e := asRetrieve(err); e != "" {
		text += "\n" + e
	}
	for _, w := range words {
		if !strings.Contains(text, w) {
			g.Errorf("%q is not in %q", w, text)
		}
	}
	if strings.Contains(text, canary) {
		g.Errorf("a secret is in %q", text)
	}
	if _, err := os.Stat(g.cache.TokenPath(g.session)); err == nil {
		g.Error("there is a token all the same")
	}
	if _, err := os.Stat(filepath.Join(g.home, "sign-in")); err == nil {
		g.Error("the sign-in is still called pending")
	}
	left, _ := filepath.Glob(filepath.Join(g.home, ".aws", "sso", "cache", ".*"))
	if len(left) > 0 {
		g.Errorf("left over: %q", left)
	}
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
