package source

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"

	"rolecall/internal/creds"
	"rolecall/internal/fakeaws"
	"rolecall/internal/store"
	"rolecall/internal/usererr"
)

// rig is a fake AWS, a home directory and a Resolver that knows nothing else.
type rig struct {
	*testing.T
	fake *fakeaws.Server
	home string
	env  map[string]string
	r    *Resolver

	mu     sync.Mutex
	warned []string
}

func newRig(t *testing.T, cfg fakeaws.Config) *rig {
	t.Helper()
	fake, err := fakeaws.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { fake.Close() })
	g := &rig{T: t, fake: fake, home: t.TempDir(), env: map[string]string{}}
	if err := os.MkdirAll(filepath.Join(g.home, ".aws"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, _, err := fake.WriteProfiles(filepath.Join(g.home, ".aws")); err != nil {
		t.Fatal(err)
	}
	for _, e := range fake.Environ() {
		name, value, _ := strings.Cut(e, "=")
		g.env[name] = value
	}
	g.configure(Config{})
	return g
}

// configure makes the Resolver anew, with cfg's other fields.
func (g *rig) configure(cfg Config) {
	cfg.Getenv = func(name string) string { return g.env[name] }
	cfg.Home = g.home
	cfg.Warn = func(msg string) {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.warned = append(g.warned, msg)
	}
	if cfg.Sessions == nil {
		cfg.Sessions = &store.Memory{}
	}
	g.r = New(cfg)
}

// add appends to ~/.aws/config.
func (g *rig) add(format string, args ...any) {
	g.Helper()
	f, err := os.OpenFile(filepath.Join(g.home, ".aws", "config"), os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		g.Fatal(err)
	}
	defer f.Close()
	fmt.Fprintf(f, format, args...)
}

func (g *rig) write(path, text string) string {
	g.Helper()
	path = filepath.Join(g.home, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		g.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		g.Fatal(err)
	}
	return path
}

func (g *rig) retrieve(text string) (creds.Credentials, error) {
	g.Helper()
	s, err := g.r.Resolve(text)
	if err != nil {
		return creds.Credentials{}, err
	}
	return s.Provider.Retrieve(context.Background())
}

func (g *rig) must(text string) creds.Credentials {
	g.Helper()
	c, err := g.retrieve(text)
	if err != nil {
		g.Fatalf("%s: %v (hint: %s)", text, err, usererr.From(err).Hint)
	}
	return c
}

// fails checks the error's code and that its text holds each of words.
func (g *rig) fails(text string, code usererr.Code, words ...string) *usererr.Error {
	g.Helper()
	_, err := g.retrieve(text)
	return isError(g.T, text, err, code, words...)
}

func isError(t *testing.T, what string, err error, code usererr.Code, words ...string) *usererr.Error {
	t.Helper()
	var e *usererr.Error
	if !errors.As(err, &e) {
		t.Fatalf("%s: error is %T %v, want *usererr.Error", what, err, err)
	}
	if e.Code != code {
		t.Errorf("%s: code is %s (%s), want %s", what, e.Code, e.Msg, code)
	}
	for _, w := range words {
		if !strings.Contains(e.Msg+"\n"+e.Hint, w) {
			t.Errorf("%s: %q is neither in the message %q nor in the hint %q", what, w, e.Msg, e.Hint)
		}
	}
	if strings.ContainsAny(e.Msg, "\r\n") || strings.HasSuffix(e.Msg, ".") {
		t.Errorf("%s: the message is not one line without a full stop: %q", what, e.Msg)
	}
	return e
}

// sdk retrieves a profile with the SDK's own resolution, in the same
// environment.
func (g *rig) sdk(profile string) (aws.Credentials, error) {
	g.Helper()
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE",
		"AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_ENDPOINT_URL"} {
		g.Setenv(name, "")
	}
	g.Setenv("HOME", g.home)
	g.Setenv("USERPROFILE", g.home)
	for name, value := range g.env {
		g.Setenv(name, value)
	}
	opts := []func(*config.LoadOptions) error{
		config.WithSharedConfigFiles([]string{filepath.Join(g.home, ".aws", "config")}),
		config.WithSharedCredentialsFiles([]string{filepath.Join(g.home, ".aws", "credentials")}),
	}
	if profile != "" {
		opts = append(opts, config.WithSharedConfigProfile(profile))
	}
	cfg, err := config.LoadDefaultConfig(context.Background(), opts...)
	if err != nil {
		return aws.Credentials{}, err
	}
	return cfg.Credentials.Retrieve(context.Background())
}
