package login

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"rolecall/internal/creds"
	"rolecall/internal/fakeaws"
	"rolecall/internal/sso"
	"rolecall/internal/usererr"
)

func asRetrieve(err error) string {
	var e *usererr.Error
	if errors.As(err, &e) {
		return string(e.Code) + " " + e.Hint
	}
	return ""
}

// keysOf lists the keys of the token's file in their order, and its values.
func keysOf(t *testing.T, path string) (keys []string, values map[string]string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &values); err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(strings.NewReader(string(text)))
	_, _ = d.Token()
	for d.More() {
		k, _ := d.Token()
		_, _ = d.Token()
		keys = append(keys, k.(string))
	}
	return keys, values
}

func TestBrowser(t *testing.T) {
	g := newRig(t, fakeaws.Config{})
	shown := make(chan string, 1)
	var page string
	done, err := SignIn(within(t, 20*time.Second), g.config(func(p string) { page = p; shown <- visit(t, p) }))
	if err != nil {
		t.Fatal(err)
	}
	if got := <-shown; !strings.Contains(got, "<h1>Signed in</h1>") || strings.Contains(got, "http") {
		t.Errorf("the browser shows %s", got)
	}
	if left := time.Until(done.Expires); left < 59*time.Minute || left > time.Hour || !done.Refreshable || done.Skew != 0 {
		t.Errorf("%+v", done)
	}
	if len(g.told) != 1 || g.told[0].Page != page || !g.told[0].Opened || g.told[0].Code != "" {
		t.Errorf("told %+v", g.told)
	}
	u, _ := url.Parse(page)
	q := u.Query()
	if u.Path != "/authorize" || q.Get("scopes") != "sso:account:access" || q.Get("code_challenge_method") != "S256" || len(q.Get("code_challenge")) != 43 || len(q.Get("state")) != 43 {
		t.Errorf("the page is %s", page)
	}
	keys, values := keysOf(t, g.cache.TokenPath(g.session))
	if want := []string{"startUrl", "region", "accessToken", "expiresAt", "clientId", "clientSecret", "registrationExpiresAt", "refreshToken"}; !slices.Equal(keys, want) {
		t.Errorf("the file has %q, want %q", keys, want)
	}
	for key, value := range values {
		if value == "" || key != "clientId" && strings.Contains(page, value) {
			t.Errorf("%s is %q, in the page %s", key, value, page)
		}
	}
	// The token works, and the next sign-in needs no registration.
	if _, _, err := g.service.ListAccounts(t.Context(), creds.NewSecret(values["accessToken"]), ""); err != nil {
		t.Error(err)
	}
	if _, err := SignIn(within(t, 20*time.Second), g.config(func(p string) { visit(t, p) })); err != nil {
		t.Fatal(err)
	}
	if n := g.fake.Calls("oidc:RegisterClient"); n != 1 {
		t.Errorf("%d registrations", n)
	}
	for _, file := range mustGlob(t, filepath.Join(g.home, ".aws", "sso", "cache", "*.json")) {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 && os.PathSeparator == '/' {
			t.Errorf("%s has mode %v, %v", file, info.Mode(), err)
		}
	}
}

func mustGlob(t *testing.T, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(pattern)
	if err != nil || len(found) == 0 {
		t.Fatalf("%s: %d, %v", pattern, len(found), err)
	}
	return found
}

func TestDevice(t *testing.T) {
	g := newRig(t, fakeaws.Config{ManualApproval: true, DeviceInterval: time.Second})
	c := g.config(nil)
	c.Device = true
	c.Tell = func(p Pending) {
		g.told = append(g.told, p)
		go func() {
			_ = g.fake.WaitCalls(t.Context(), "oidc:CreateToken", 1) // pending first
			g.fake.ApproveDevice(p.Code)
		}()
	}
	done, err := SignIn(within(t, 20*time.Second), c)
	if err != nil {
		t.Fatal(err)
	}
	p := g.told[0]
	if !done.Refreshable || p.Code == "" || p.Page == "" || !strings.Contains(p.Full, p.Code) || time.Until(p.Until) < 9*time.Minute {
		t.Errorf("%+v %+v", done, p)
	}
	// The older kind of configuration has no scope, and so no refresh token, as in the AWS CLI.
	g.at(sso.Session{Name: "old", StartURL: g.fake.URL() + "/start", Region: "eu-west-1"})
	if done, err = SignIn(within(t, 20*time.Second), Config{Session: g.session, Service: g.service, Cache: g.cache, Pending: c.Pending, Device: true,
		Tell: func(p Pending) { g.fake.ApproveDevice(p.Code) }}); err != nil || done.Refreshable {
		t.Errorf("%+v, %v", done, err)
	}
	if _, values := keysOf(t, g.cache.TokenPath(g.session)); values["refreshToken"] != "" || values["startUrl"] != g.session.StartURL {
		t.Errorf("refresh token %d bytes, start URL %s", len(values["refreshToken"]), values["startUrl"])
	}
}

// A client that the service has forgotten is registered anew.
func TestForgottenClient(t *testing.T) {
	g := newRig(t, fakeaws.Config{DeviceInterval: time.Second})
	c := g.config(nil)
	c.Device = true
	for range 2 {
		if _, err := SignIn(within(t, 20*time.Second), c); err != nil {
			t.Fatal(err)
		}
		g.fake.ForgetSSOClients()
	}
	if n := g.fake.Calls("oidc:RegisterClient"); n != 2 {
		t.Errorf("%d registrations", n)
	}
}

// Where no browser can be opened, it is a code.
func TestNoBrowserOpens(t *testing.T) {
	g := newRig(t, fakeaws.Config{DeviceInterval: time.Second})
	c := g.config(nil)
	c.Open = func(context.Context, string) error { return errors.New("none") }
	if _, err := SignIn(within(t, 20*time.Second), c); err != nil {
		t.Fatal(err)
	}
	if len(g.told) != 2 || g.told[1].Code == "" {
		t.Errorf("told %+v", g.told)
	}
}

func TestRefusals(t *testing.T) {
	for name, tt := range map[string]struct {
		fake   fakeaws.Config
		setUp  func(g *rig, c *Config)
		browse func(g *rig, page string)
		words  []string
	}{
		"denied in the browser": {fake: fakeaws.Config{ManualApproval: true}, browse: func(g *rig, page string) {
			resp, err := http.PostForm(page, url.Values{"decision": {"deny"}})
			if err != nil {
				g.Error(err)
				return
			}
			defer resp.Body.Close()
			if b, _ := io.ReadAll(resp.Body); !strings.Contains(string(b), "Not signed in") {
				g.Errorf("the browser shows %s", b)
			}
		}, words: []string{"denied", "rolecall login --sso-session corp"}},
		"denied on the device": {fake: fakeaws.Config{ManualApproval: true, DeviceInterval: time.Second}, setUp: func(g *rig, c *Config) {
			c.Device, c.Tell = true, func(p Pending) { g.fake.DenyDevice(p.Code) }
		}, words: []string{"denied", "rolecall login"}},
		"code ended": {fake: fakeaws.Config{ManualApproval: true, DeviceInterval: time.Second, CodeLifetime: 2 * time.Second}, setUp: func(_ *rig, c *Config) { c.Device = true },
			words: []string{"ended before anybody approved it", "rolecall login"}},
		"service says that the code ended": {fake: fakeaws.Config{DeviceInterval: time.Second}, setUp: func(g *rig, c *Config) {
			c.Device = true
			g.fake.Script(fakeaws.Fault{Match: "oidc:CreateToken", Code: "ExpiredTokenException"})
		}, words: []string{"ended before", "rolecall login"}},
		"wrong start URL, browser": {setUp: func(g *rig, c *Config) {
			g.at(sso.Session{Name: "corp", Section: true, StartURL: g.fake.URL() + "/wrong", Region: "eu-west-1"})
			c.Session, c.Service = g.session, g.service
		}, words: []string{"InvalidRequestException", "check start URL and region", "/wrong in region eu-west-1"}},
		"wrong start URL, device": {setUp: func(g *rig, c *Config) {
			g.at(sso.Session{Name: "corp", Section: true, StartURL: g.fake.URL() + "/wrong", Region: "eu-west-1"})
			c.Session, c.Service, c.Device = g.session, g.service, true
		}, words: []string{"InvalidRequestException", "check start URL and region"}},
		"wrong region": {setUp: func(g *rig, _ *Config) {
			g.fake.Script(fakeaws.Fault{Match: "oidc:RegisterClient", Code: "InvalidRequestRegionException"})
		}, words: []string{"InvalidRequestRegionException", "check start URL and region"}},
		"region without SSO": {setUp: func(g *rig, c *Config) { _ = g.fake.Close() }, words: []string{"connection was refused", "check the network, and start URL and region"}},
		"browser closed":     {setUp: func(_ *rig, c *Config) { c.Patience = 50 * time.Millisecond }, words: []string{"nobody has signed in", "--device"}},
		"code used up": {setUp: func(g *rig, _ *Config) {
			g.fake.Script(fakeaws.Fault{Match: "oidc:CreateToken", Code: "InvalidGrantException", Message: canary})
		}, browse: func(g *rig, page string) { visit(g.T, page) }, words: []string{"does not take the code", "rolecall login"}},
		"answer without a token": {setUp: func(g *rig, _ *Config) { g.fake.Script(fakeaws.Fault{Match: "oidc:CreateToken", EmptyKeys: true}) },
			browse: func(g *rig, page string) { visit(g.T, page) }, words: []string{"without a token"}},
		"error on the page": {browse: func(g *rig, page string) { visit(g.T, back(page)+"&error=server_error&error_description="+canary) }, words: []string{"server_error", "rolecall login --sso-session corp; or check start URL"}},
		"strange error":     {browse: func(g *rig, page string) { visit(g.T, back(page)+"&error=%1b[2J") }, words: []string{"with an error"}},
		"no code":           {browse: func(g *rig, page string) { visit(g.T, back(page)) }, words: []string{"no code", "rolecall login --sso-session corp"}},
		"interrupted":       {setUp: func(g *rig, c *Config) {}, browse: nil, words: []string{"context canceled"}},
		"cache cannot be written": {setUp: func(g *rig, c *Config) {
			if err := os.MkdirAll(filepath.Join(g.home, ".aws"), 0o700); err != nil {
				g.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(g.home, ".aws", "sso"), nil, 0o600); err != nil {
				g.Fatal(err)
			}
			c.Tell = func(Pending) { g.Error("a person was asked in vain") }
		}, words: []string{"could not be kept", "ls -ld ~/.aws/sso/cache"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t, tt.fake)
			var open func(string)
			if tt.browse != nil {
				open = func(page string) { tt.browse(g, page) }
			}
			c := g.config(open)
			if tt.setUp != nil {
				tt.setUp(g, &c)
			}
			ctx, cancel := context.WithCancel(within(t, 20*time.Second))
			defer cancel()
			if name == "interrupted" {
				c.Open = func(context.Context, string) error { cancel(); return nil }
			}
			_, err := SignIn(ctx, c)
			g.fails(err, tt.words...)
		})
	}
}

func TestTokenCannotBeKept(t *testing.T) {
	g := newRig(t, fakeaws.Config{})
	if err := os.MkdirAll(g.cache.TokenPath(g.session), 0o700); err != nil {
		t.Fatal(err)
	}
	c := g.config(nil)
	c.Tell = func(Pending) { t.Error("a person was asked in vain") }
	if _, err := SignIn(within(t, 20*time.Second), c); err == nil || !strings.Contains(err.Error(), "is a directory") {
		t.Error(err)
	}
}

// back is where the page sends the browser, with the right state.
func back(page string) string {
	u, _ := url.Parse(page)
	return u.Query().Get("redirect_uri") + "?state=" + u.Query().Get("state")
}

// TestForeignRequests: whatever comes to the port that is not the one answer is
// refused, and the sign-in goes on.
func TestForeignRequests(t *testing.T) {
	g := newRig(t, fakeaws.Config{})
	_, err := SignIn(within(t, 20*time.Second), g.config(func(page string) {
		u, _ := url.Parse(page)
		to := u.Query().Get("redirect_uri")
		state := u.Query().Get("state")
		good := to + "?code=stolen&state=" + state
		port := to[strings.LastIndex(to, ":")+1:]
		for _, r := range []struct {
			name, method, url, host string
			header                  map[string]string
			status                  int
		}{
			{name: "no state", url: to + "?code=x", status: 403},
			{name: "wrong state", url: to + "?code=x&state=" + strings.Repeat("A", 43), status: 403},
			{name: "wrong state and an error", url: to + "?error=access_denied&state=x", status: 403},
			{name: "half the state", url: to + "?code=x&state=" + state[:20], status: 403},
			{name: "another name", url: good, host: "attacker.example:" + strings.TrimSuffix(port, "/oauth/callback"), status: 403},
			{name: "localhost", url: good, host: "localhost:" + strings.TrimSuffix(port, "/oauth/callback"), status: 403},
			{name: "a page's fetch", url: good, header: map[string]string{"Sec-Fetch-Mode": "cors", "Origin": "https://attacker.example"}, status: 403},
			{name: "an image", url: good, header: map[string]string{"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}, status: 403},
			{name: "a frame", url: good, header: map[string]string{"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}, status: 403},
			{name: "POST", method: http.MethodPost, url: good, status: 405},
			{name: "another path", url: strings.Replace(good, "/oauth/callback", "/", 1), status: 404},
			{name: "favicon", url: strings.Replace(to, "/oauth/callback", "/favicon.ico", 1), status: 404},
		} {
			req, _ := http.NewRequest(cmpOr(r.method, http.MethodGet), r.url, nil)
			if r.host != "" {
				req.Host = r.host
			}
			for k, v := range r.header {
				req.Header.Set(k, v)
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Errorf("%s: %v", r.name, err)
				continue
			}
			b, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if resp.StatusCode != r.status || strings.Contains(string(b), "stolen") || resp.Header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%s: %d, %s", r.name, resp.StatusCode, b)
			}
		}
		visit(t, page)
	}))
	if err != nil {
		t.Fatal(err)
	}
	if n := g.fake.Calls("oidc:CreateToken"); n != 1 {
		t.Errorf("%d codes were traded", n)
	}
}

func cmpOr(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

func TestOnePending(t *testing.T) {
	g := newRig(t, fakeaws.Config{ManualApproval: true, DeviceInterval: time.Second})
	opened := make(chan struct{})
	first := make(chan error, 1)
	ctx, cancel := context.WithCancel(within(t, 20*time.Second))
	defer cancel()
	c := g.config(func(string) { close(opened) })
	go func() {
		_, err := SignIn(ctx, c)
		first <- err
	}()
	<-opened
	other := c
	other.Open = func(context.Context, string) error { t.Error("a second browser was opened"); return nil }
	_, err := SignIn(t.Context(), other)
	var pending *PendingError
	if !errors.As(err, &pending) || pending.Session != "corp" || pending.PID != os.Getpid() || time.Since(pending.Since) > time.Minute || pending.Hint() == "" {
		t.Errorf("%v %+v", err, pending)
	}
	cancel()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	c.Open = func(context.Context, string) error { return errors.New("none") }
	c.Device, c.Tell = true, func(p Pending) { g.fake.ApproveDevice(p.Code) }
	if _, err := SignIn(within(t, 20*time.Second), c); err != nil {
		t.Errorf("after the first was given up: %v", err)
	}
}

// TestClockSkew: the lifetime is counted from here, whatever the clock says.
func TestClockSkew(t *testing.T) {
	for _, skew := range []time.Duration{-10 * time.Minute, 3 * time.Hour} {
		g := newRig(t, fakeaws.Config{Now: func() time.Time { return time.Now().Add(-skew) }})
		done, err := SignIn(within(t, 20*time.Second), g.config(func(p string) { visit(t, p) }))
		if err != nil {
			t.Fatal(err)
		}
		if left := time.Until(done.Expires); (done.Skew-skew).Abs() > 5*time.Second || left < 59*time.Minute || left > time.Hour {
			t.Errorf("%v: told %v, %v left", skew, done.Skew, left)
		}
		if _, err := g.r.SSOToken(t.Context(), g.session, creds.Secret{}); err != nil {
			t.Errorf("%v: %v", skew, err)
		}
	}
}

// A damaged or foreign registration in the cache is not used.
func TestDamagedRegistration(t *testing.T) {
	g := newRig(t, fakeaws.Config{})
	in := func() error {
		_, err := SignIn(within(t, 20*time.Second), g.config(func(p string) { visit(t, p) }))
		return err
	}
	if err := in(); err != nil {
		t.Fatal(err)
	}
	token := g.cache.TokenPath(g.session)
	for i, text := range []string{"", "{", `[]`, `{"clientId": "x", "clientSecret": "y", "expiresAt": "2099-01-01T00:00:00Z", "scopes": ["codewhisperer:completions"], "grantTypes": ["authorization_code"]}`,
		`{"clientId": "x", "clientSecret": "y", "expiresAt": "2020-01-01T00:00:00Z", "scopes": ["sso:account:access"], "grantTypes": ["authorization_code"]}`,
		`{"clientId": "x", "clientSecret": "y", "expiresAt": "2099-01-01T00:00:00Z", "scopes": ["sso:account:access"]}`} {
		for _, file := range mustGlob(t, filepath.Join(filepath.Dir(token), "*.json")) {
			if file != token {
				if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := in(); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if n := g.fake.Calls("oidc:RegisterClient"); n != i+2 {
			t.Errorf("%s: %d registrations", text, n)
		}
	}
}
