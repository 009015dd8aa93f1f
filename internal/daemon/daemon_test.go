package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"rolecall/internal/config"
	"rolecall/internal/control"
	"rolecall/internal/creds"
	"rolecall/internal/fakeaws"
	"rolecall/internal/peercred"
	"rolecall/internal/usererr"
)

// rig is a daemon in this process with a home of its own and a fake AWS.
type rig struct {
	t      testing.TB
	aws    *fakeaws.Server
	home   string
	env    map[string]string
	mu     sync.Mutex
	set    config.Config
	setErr error
	log    syncBuffer
	reload chan struct{}
	ready  Ready
	stop   func() error
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}
func (b *syncBuffer) String() string { b.mu.Lock(); defer b.mu.Unlock(); return b.b.String() }

func newRig(t testing.TB, fc fakeaws.Config) *rig {
	t.Helper()
	aws, err := fakeaws.Start(fc)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = aws.Close() })
	home, err := os.MkdirTemp("", "rc") // short: it holds a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(home) })
	cfg, cred, err := aws.WriteProfiles(filepath.Join(home, ".aws"))
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, aws: aws, home: home, reload: make(chan struct{}), set: config.Default(),
		env: map[string]string{"HOME": home, "AWS_CONFIG_FILE": cfg, "AWS_SHARED_CREDENTIALS_FILE": cred, "AWS_EC2_METADATA_DISABLED": "true", "ROLECALL_DIR": filepath.Join(home, "rc")}}
	for _, kv := range aws.Environ() {
		k, v, _ := strings.Cut(kv, "=")
		r.env[k] = v
	}
	r.set.Listen = []config.ListenAddr{loopback(t)}
	r.set.Load = "dev"
	return r
}

func loopback(t testing.TB) config.ListenAddr {
	a, err := config.ParseListen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (r *rig) change(f func(*config.Config)) { r.mu.Lock(); defer r.mu.Unlock(); f(&r.set) }

func (r *rig) config() Config {
	dirs, err := config.FindDirs(func(k string) string { return r.env[k] })
	if err != nil {
		r.t.Fatal(err)
	}
	return Config{Dirs: dirs, Home: r.home, Stderr: &r.log, Reload: r.reload, Version: "test",
		Getenv: func(k string) string { return r.env[k] },
		Environ: func() (all []string) {
			for k, v := range r.env {
				all = append(all, k+"="+v)
			}
			return all
		},
		Settings: func() (config.Config, error) { r.mu.Lock(); defer r.mu.Unlock(); return r.set, r.setErr }}
}

// start runs the daemon until the test ends.
func (r *rig) start(change ...func(*Config)) *rig {
	r.t.Helper()
	c := r.config()
	ready := make(chan Ready, 1)
	c.Ready = func(v Ready) { ready <- v }
	for _, f := range change {
		f(&c)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- Run(ctx, c) }()
	r.stop = sync.OnceValue(func() error { cancel(); return <-done })
	select {
	case r.ready = <-ready:
	case err := <-done:
		done <- err
		r.t.Fatalf("did not start: %v\n%s", err, r.log.String())
	}
	r.t.Cleanup(func() {
		if err := r.stop(); err != nil {
			r.t.Errorf("end: %v", err)
		}
	})
	return r
}

func (r *rig) url(path string) string { return strings.TrimSuffix(r.ready.URLs[0], "/") + path }

func (r *rig) do(method, path, body string) (int, map[string]any) {
	r.t.Helper()
	status, text := r.text(method, path, body)
	var m map[string]any
	_ = json.Unmarshal([]byte(text), &m)
	return status, m
}

func (r *rig) text(method, path, body string) (int, string) {
	r.t.Helper()
	req, err := http.NewRequest(method, r.url(path), strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	if !peercred.Supported() {
		b, _ := os.ReadFile(r.ready.TokenFile)
		req.Header.Set("Authorization", string(b))
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// role is the role that an answer's key really acts as, as the fake AWS knows.
func (r *rig) role(path string) string {
	r.t.Helper()
	status, m := r.do("GET", path, "")
	if status != 200 {
		r.t.Errorf("GET %s: %d %v", path, status, m)
		return ""
	}
	issued, ok := r.aws.Issued(fmt.Sprint(m["AccessKeyId"]))
	if !ok {
		return "user " + fmt.Sprint(m["AccessKeyId"])
	}
	if m["AccountId"] != "" && issued.RoleARN != "" && m["AccountId"] != creds.AccountFromARN(issued.RoleARN) {
		r.t.Errorf("GET %s: AccountId %v of %s", path, m["AccountId"], issued.RoleARN)
	}
	return issued.RoleARN
}

func (r *rig) client() *control.Client {
	return control.NewClient(filepath.Join(r.home, "rc", "control.sock"))
}

func TestEveryWayToAskForCredentials(t *testing.T) {
	r := newRig(t, fakeaws.Config{})
	r.set.Slots = []config.Slot{{Name: "prod", Source: "profile:prod"}, {Name: "team a/é", Source: "staging"}}
	r.start()
	for path, want := range map[string]string{
		"/": fakeaws.RoleDev, "/creds": fakeaws.RoleDev, "/v1/credentials": fakeaws.RoleDev,
		"/slot/prod":                                         fakeaws.RoleProd,
		"/slot/" + url.PathEscape("team a/é"):                fakeaws.RoleStaging,
		"/source/profile:chained":                            fakeaws.RoleChained,
		"/source/staging":                                    fakeaws.RoleStaging,
		"/role-arn/arn:aws:iam::444444444444:role/x":         "arn:aws:iam::444444444444:role/x",
		"/role/inner":                                        "arn:aws:iam::111111111111:role/inner",
		"/source/role:arn:aws:iam::555555555555:role/y@base": "arn:aws:iam::555555555555:role/y",
	} {
		if got := r.role(path); got != want {
			t.Errorf("%s acts as %s, want %s", path, got, want)
		}
	}
	if got := r.role("/source/profile:base"); !strings.HasPrefix(got, "user ") {
		t.Errorf("static keys act as %s", got)
	}
	if _, m := r.do("GET", "/source/profile:base", ""); m["Token"] != "" || m["Expiration"] == "" {
		t.Errorf("static keys: %v", m)
	}
	for path, want := range map[string]int{"/slot/none": 404, "/source/none": 404, "/source/nokind:x": 404, "/source/profile:none": 404,
		"/role-arn/nonsense": 404, "/role/a%0ab": 404, "/source/" + strings.Repeat("a", 3000): 404, "/slot/%ff": 404} {
		if status, m := r.do("GET", path, ""); status != want || m["message"] == "" {
			t.Errorf("%s: %d %v", path, status, m)
		}
	}
	if n := r.aws.Calls("sts:AssumeRole"); n > 11 {
		t.Errorf("%d AssumeRole calls", n)
	}
}

func TestRolesOfTheDefaultSlotEndWithIt(t *testing.T) {
	r := newRig(t, fakeaws.Config{}).start()
	if got := r.role("/role/inner"); got != "arn:aws:iam::111111111111:role/inner" {
		t.Fatal(got)
	}
	if _, err := r.client().Load(t.Context(), control.LoadRequest{Source: "prod"}); err != nil {
		t.Fatal(err)
	}
	if got := r.role("/role/inner"); got != "arn:aws:iam::333333333333:role/inner" {
		t.Errorf("after the default slot changed: %s", got)
	}
	if status, _ := r.do("DELETE", "/", ""); status != 200 {
		t.Fatal(status)
	}
	if status, m := r.do("GET", "/role/inner", ""); status != 404 {
		t.Errorf("after the default slot was emptied: %d %v", status, m)
	}
}

func TestControl(t *testing.T) {
	r := newRig(t, fakeaws.Config{}).start()
	r.role("/") // so that no fetch is under way
	c := r.client()
	ctx := t.Context()
	got, err := c.Load(ctx, control.LoadRequest{Slot: "p", Source: "prod"})
	if err != nil || got.Slot.State != "valid" || got.Slot.AccountID != "333333333333" || got.Slot.RoleName != "prod" || got.Err != nil {
		t.Fatalf("%+v %v", got, err)
	}
	for source, code := range map[string]usererr.Code{"none": usererr.NotConfigured, "what:x": usererr.NotConfigured, "": usererr.NotConfigured} {
		_, err := c.Load(ctx, control.LoadRequest{Slot: "p", Source: source})
		if e := usererr.From(err); e == nil || e.Code != code || e.Hint == "" {
			t.Errorf("load %q: %#v", source, err)
		}
	}
	if _, err := c.Load(ctx, control.LoadRequest{Slot: "a\nb", Source: "dev"}); usererr.From(err).Code != usererr.NotConfigured {
		t.Errorf("bad name: %v", err)
	}
	before := r.aws.Calls("sts:AssumeRole")
	if s, err := c.Refresh(ctx, control.RefreshRequest{Slot: "p"}); err != nil || s.State != "valid" || r.aws.Calls("sts:AssumeRole") != before+1 {
		t.Errorf("refresh: %+v %v", s, err)
	}
	st, err := c.Status(ctx)
	if err != nil || len(st.Slots) != 2 || st.Slots[0].Name != "" || st.Slots[1].Name != "p" || st.PID != os.Getpid() || st.Listeners[0].URL != r.ready.URLs[0] {
		t.Errorf("status: %+v %v", st, err)
	}
	if b, _ := json.Marshal(st); strings.Contains(string(b), "ASIA") || strings.Contains(string(b), "AKIA") {
		t.Errorf("a key id in full: %s", b)
	}
	if names, err := c.Unload(ctx, control.UnloadRequest{Slot: "p"}); err != nil || len(names) != 1 {
		t.Errorf("unload: %v %v", names, err)
	}
	if _, err := c.Unload(ctx, control.UnloadRequest{Slot: "p"}); err == nil {
		t.Error("unloaded twice")
	}
	if names, err := c.Unload(ctx, control.UnloadRequest{All: true}); err != nil || len(names) != 1 {
		t.Errorf("unload all: %v %v", names, err)
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Status(ctx); !errors.Is(err, control.ErrNoDaemon) {
		t.Errorf("no daemon: %v", err)
	}
}

func TestLoginNeeded(t *testing.T) {
	r := newRig(t, fakeaws.Config{})
	r.set.Load = "sso-dev"
	cache := filepath.Join(r.home, ".aws", "sso", "cache", fakeaws.CacheName(fakeaws.SSOSession))
	token, err := os.ReadFile(cache)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(cache); err != nil {
		t.Fatal(err)
	}
	r.start()
	status, m := r.do("GET", "/", "")
	if status != 503 || m["Code"] != "login_required" || !strings.Contains(fmt.Sprint(m["message"]), "rolecall login") {
		t.Errorf("%d %v", status, m)
	}
	st, err := r.client().Status(t.Context())
	if err != nil || st.Slots[0].Error == nil || st.Slots[0].Error.Code != usererr.LoginRequired || st.Slots[0].Error.Hint == "" {
		t.Errorf("%+v %v", st.Slots, err)
	}
	if err := os.WriteFile(cache, token, 0o600); err != nil { // as `rolecall login` does
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; {
		if status, _ := r.do("GET", "/", ""); status == 200 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("not healed after the sign-in\n%s", r.log.String())
		}
		<-time.After(50 * time.Millisecond)
	}
	if n := r.aws.Calls("sso:GetRoleCredentials"); n != 1 {
		t.Errorf("%d calls to the portal", n)
	}
}

func TestReload(t *testing.T) {
	r := newRig(t, fakeaws.Config{})
	r.set.Slots = []config.Slot{{Name: "gone", Source: "staging"}, {Name: "moved", Source: "staging"}, {Name: "same", Source: "prod"}}
	r.start()
	ctx, c := t.Context(), r.client()
	if _, err := c.Load(ctx, control.LoadRequest{Slot: "mine", Source: "chained"}); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/", "/slot/gone", "/slot/moved", "/slot/same", "/slot/mine"} {
		r.role(path) // so that no slot is cold
	}
	calls := r.aws.Calls("sts:AssumeRole")
	r.change(func(s *config.Config) {
		r.setErr = &usererr.Error{Code: usererr.NotConfigured, Msg: "config.toml:3: unknown key"}
	})
	if _, err := c.Reload(ctx); err == nil || !strings.Contains(err.Error(), "config.toml:3") {
		t.Errorf("bad configuration: %v", err)
	}
	if st, _ := c.Status(ctx); !strings.Contains(st.ConfigError, "config.toml:3") || len(st.Slots) != 5 {
		t.Errorf("after a bad reload: %+v", st)
	}
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = busy.Close() }()
	taken, _ := config.ParseListen(busy.Addr().String())
	r.change(func(s *config.Config) { r.setErr = nil; s.Listen = append(s.Listen, taken); s.Slots = nil })
	if _, err := c.Reload(ctx); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("port in use: %v", err)
	}
	if got := r.role("/slot/gone"); got != fakeaws.RoleStaging {
		t.Errorf("a failed reload took a slot: %s", got)
	}
	other, _ := config.ParseListen("127.0.0.2:0")
	r.change(func(s *config.Config) {
		s.Listen = []config.ListenAddr{s.Listen[0], other}
		s.Slots = []config.Slot{{Name: "moved", Source: "prod"}, {Name: "same", Source: "prod"}, {Name: "new", Source: "staging"}}
	})
	res, err := c.Reload(ctx)
	if err != nil || len(res.Changes) == 0 {
		t.Fatalf("%+v %v", res, err)
	}
	for path, want := range map[string]string{"/slot/moved": fakeaws.RoleProd, "/slot/same": fakeaws.RoleProd, "/slot/new": fakeaws.RoleStaging, "/slot/mine": fakeaws.RoleChained} {
		if got := r.role(path); got != want {
			t.Errorf("%s acts as %s", path, got)
		}
	}
	if status, _ := r.do("GET", "/slot/gone", ""); status != 404 {
		t.Errorf("a slot that is no longer configured: %d", status)
	}
	if n := r.aws.Calls("sts:AssumeRole"); n > calls+4 {
		t.Errorf("%d further AssumeRole calls; unchanged slots were fetched anew", n-calls)
	}
	st, _ := c.Status(ctx)
	if len(st.Listeners) != 2 || st.ConfigError != "" {
		t.Errorf("%+v", st.Listeners)
	}
	// A profile that is taken out of the AWS files takes its slot along.
	file := r.env["AWS_CONFIG_FILE"]
	text, _ := os.ReadFile(file)
	if err := os.WriteFile(file, []byte(strings.Replace(string(text), "[profile chained]", "[profile renamed]", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	r.reload <- struct{}{}
	if _, err := c.Reload(ctx); err != nil {
		t.Fatal(err)
	}
	if status, _ := r.do("GET", "/slot/mine", ""); status != 404 {
		t.Errorf("the slot of a removed profile: %d", status)
	}
}

func TestStartErrors(t *testing.T) {
	run := func(r *rig, f func(*Config)) error {
		c := r.config()
		if f != nil {
			f(&c)
		}
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		c.Ready = func(Ready) { cancel() }
		return Run(ctx, c)
	}
	t.Run("port in use", func(t *testing.T) {
		busy, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = busy.Close() }()
		r := newRig(t, fakeaws.Config{})
		taken, _ := config.ParseListen(busy.Addr().String())
		r.set.Listen = []config.ListenAddr{taken}
		if e := usererr.From(run(r, nil)); e == nil || !strings.Contains(e.Msg, "in use") || !strings.Contains(e.Hint, "--listen") {
			t.Errorf("%#v", e)
		}
	})
	t.Run("second daemon", func(t *testing.T) {
		r := newRig(t, fakeaws.Config{}).start()
		r.change(func(s *config.Config) { s.Listen = []config.ListenAddr{loopback(t)} })
		if e := usererr.From(run(r, nil)); e == nil || !strings.Contains(e.Msg, "another rolecall") || !strings.Contains(e.Hint, "status") {
			t.Errorf("%#v", e)
		}
		if r.role("/") != fakeaws.RoleDev {
			t.Error("the first one was harmed")
		}
		if _, err := r.client().Status(t.Context()); err != nil {
			t.Errorf("the first one's socket was harmed: %v", err)
		}
	})
	t.Run("strict slot", func(t *testing.T) {
		r := newRig(t, fakeaws.Config{})
		r.set.Load = "none"
		if e := usererr.From(run(r, func(c *Config) { c.Strict = []string{""} })); e == nil || e.Code != usererr.NotConfigured || e.Hint == "" {
			t.Errorf("%#v", e)
		}
		if err := run(r, nil); err != nil {
			t.Errorf("not strict: %v", err)
		}
	})
	t.Run("stale socket", func(t *testing.T) {
		r := newRig(t, fakeaws.Config{})
		c := r.config()
		if err := os.MkdirAll(c.Dirs.Runtime, 0o700); err != nil {
			t.Fatal(err)
		}
		ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: c.Dirs.Socket})
		if err != nil {
			t.Fatal(err)
		}
		ln.SetUnlinkOnClose(false)
		_ = ln.Close()
		if err := run(r, nil); err != nil {
			t.Error(err)
		}
	})
}

func TestAuthorizationTokenFile(t *testing.T) {
	r := newRig(t, fakeaws.Config{}).start()
	first, err := os.ReadFile(r.ready.TokenFile)
	if err != nil || len(first) != 43 || strings.ContainsAny(string(first), "\r\n") {
		t.Fatalf("%q %v", first, err)
	}
	if info, _ := os.Stat(r.ready.TokenFile); info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(r.ready.TokenFile, append(first, '\n'), 0o600); err != nil { // by an editor
		t.Fatal(err)
	}
	r.change(func(s *config.Config) { s.Auth.Mode = config.AuthToken })
	r.start()
	if again, _ := os.ReadFile(r.ready.TokenFile); string(again) != string(first) {
		t.Errorf("token changed from %q to %q", first, again)
	}
	for header, want := range map[string]int{"": 401, "wrong": 401, string(first): 200, "Bearer " + string(first): 200} {
		req, _ := http.NewRequest("GET", r.url("/"), nil)
		if header != "" {
			req.Header.Set("Authorization", header)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%d, want %d", resp.StatusCode, want)
		}
	}
}

func TestUploadsUnderFire(t *testing.T) {
	r := newRig(t, fakeaws.Config{}).start()
	seconds := 10 * time.Second
	if testing.Short() {
		seconds = time.Second
	}
	end := time.Now().Add(seconds)
	body := func(i int) string {
		return fmt.Sprintf(`{"ProfileName":"p","Creds":{"accountId":1,"roleName":"r","accessKeyId":"ASIAUP%010d","secretAccessKey":"s","sessionToken":"t","expiration":%d}}`, i, time.Now().Add(time.Hour).UnixMilli())
	}
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := 0; time.Now().Before(end); i++ {
				path := fmt.Sprintf("/slot/s%d", (i+w)%4)
				if w == 0 && i%3 == 0 {
					path = "/"
				}
				var status int
				switch i % 4 {
				case 0:
					status, _ = r.text("PUT", path, body(i))
				case 1:
					status, _ = r.text("GET", path, "")
				case 2:
					status, _ = r.text("GET", "/slot", "")
				case 3:
					status, _ = r.text("DELETE", path, "")
				}
				if status != 200 && status != 404 {
					t.Errorf("%s: %d", path, status)
					return
				}
			}
		})
	}
	wg.Wait()
	if status, _ := r.do("DELETE", "/slot", ""); status != 200 {
		t.Errorf("DELETE /slot: %d", status)
	}
	if _, text := r.text("GET", "/slot", ""); text != "[]" {
		t.Errorf("after DELETE /slot: %s", text)
	}
	if status, _ := r.text("PUT", "/slot/a%0ab", body(1)); status != 400 {
		t.Errorf("a hostile slot name: %d", status)
	}
}

func TestCanary(t *testing.T) {
	const canary = "CANARYCANARY"
	r := newRig(t, fakeaws.Config{Canary: canary})
	r.set.Slots = []config.Slot{{Name: "prod", Source: "prod"}, {Name: "sso", Source: "sso-dev"}, {Name: "bad", Source: "none"}}
	r.set.Log.Level = -8
	r.start()
	var seen []string
	for _, f := range []func(){
		func() {},
		func() { r.aws.Script(fakeaws.Fault{Match: "sts:AssumeRole", Times: 3, EmptyKeys: true}) },
		func() { r.aws.Script(fakeaws.Fault{Match: "sts:AssumeRole", Times: 3, Truncate: true}) },
		func() { r.aws.Script(fakeaws.Fault{Match: "*", Times: 3, Expired: true}) },
		func() {
			r.aws.Script(fakeaws.Fault{Match: "*", Times: 3, Status: 403, Code: "AccessDenied", Message: "no"})
		},
	} {
		f()
		for _, name := range []string{"", "prod", "sso", "bad"} {
			_, err := r.client().Refresh(t.Context(), control.RefreshRequest{Slot: name})
			seen = append(seen, fmt.Sprintf("%v %+v %#v", err, err, err))
		}
		for _, path := range []string{"/slot", "/profile", "/healthcheck", "/slot/nope", "/slot/bad", "/source/x"} {
			_, text := r.text("GET", path, "")
			seen = append(seen, text)
		}
		st, err := r.client().Status(t.Context())
		b, _ := json.Marshal(st)
		seen = append(seen, string(b), fmt.Sprint(err))
	}
	if status, text := r.text("GET", "/", ""); status != 200 || !strings.Contains(text, canary) {
		t.Fatalf("the canary is not in the credentials themselves: %d", status)
	}
	seen = append(seen, r.scrape())
	token, _ := os.ReadFile(r.ready.TokenFile)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	seen = append(seen, r.log.String())
	if !strings.Contains(r.log.String(), `"msg":"credentials"`) {
		t.Errorf("no audit record in the log:\n%s", r.log.String())
	}
	for _, s := range seen {
		if strings.Contains(s, canary) || strings.Contains(s, string(token)) {
			t.Errorf("a secret in %s", s)
		}
	}
}

// scrape reads the metrics at the control socket.
func (r *rig) scrape() string {
	c := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(r.home, "rc", "control.sock"))
	}}}
	defer c.CloseIdleConnections()
	resp, err := c.Get("http://rolecall/metrics")
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, _ := io.ReadAll(resp.Body)
	return string(b)
}

func TestMetrics(t *testing.T) {
	r := newRig(t, fakeaws.Config{}).start()
	r.role("/")
	r.do("GET", "/slot/nope", "")
	req, _ := http.NewRequest("GET", r.url("/"), nil)
	req.Header.Set("Origin", "https://evil.example")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	text := r.scrape()
	// A retrieval is counted a moment after those who wait for it have its answer.
	for deadline := time.Now().Add(5 * time.Second); !strings.Contains(text, `rolecall_refreshes_total{outcome="ok"} 1`) && time.Now().Before(deadline); {
		text = r.scrape()
	}
	for _, want := range []string{`rolecall_requests_total{endpoint="ecs",outcome="ok"} 1`, `rolecall_requests_total{endpoint="ecs",outcome="not_found"} 1`,
		`rolecall_denials_total{reason="foreign_header"} 1`, `rolecall_refreshes_total{outcome="ok"} 1`, `rolecall_upstream_calls_total 1`,
		`rolecall_slot_seconds_to_expiry{slot="default"} 3`, `rolecall_slots{state="valid"} 1`} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	if status, _ := r.do("GET", "/metrics", ""); status != 404 {
		t.Errorf("metrics on TCP without being asked for: %d", status)
	}
}

func TestUpstreamDownAtStart(t *testing.T) {
	r := newRig(t, fakeaws.Config{})
	r.aws.Script(fakeaws.Fault{Match: "sts:*", Reset: true})
	r.start()
	if status, m := r.do("GET", "/", ""); status != 503 || m["Code"] != "unavailable" {
		t.Fatalf("%d %v", status, m)
	}
	r.aws.ClearFaults()
	for deadline := time.Now().Add(5 * time.Second); ; {
		if status, _ := r.do("GET", "/", ""); status == 200 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not healed\n%s", r.log.String())
		}
		<-time.After(50 * time.Millisecond)
	}
}

func TestPrivate(t *testing.T) {
	r := newRig(t, fakeaws.Config{})
	r.start(func(c *Config) { c.Private = true })
	if _, err := os.Stat(filepath.Join(r.home, "rc")); !os.IsNotExist(err) {
		t.Errorf("a private daemon left files: %v", err)
	}
	if r.ready.AuthorizationToken.IsZero() || r.ready.TokenFile != "" {
		t.Errorf("%+v", r.ready)
	}
	if r.role("/") != fakeaws.RoleDev {
		t.Error("no answer")
	}
}
