package source

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"rolecall/internal/fakeaws"
	"rolecall/internal/sso"
	"rolecall/internal/usererr"
)

// signIn writes the cached sign-in of the profile sso-dev and returns its file.
func signIn(g *rig, expires time.Time, change func(map[string]any)) string {
	g.Helper()
	text, err := g.fake.NewSSOLogin(expires).CacheFile(g.fake.URL()+"/start", "eu-west-1")
	if err != nil {
		g.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(text, &fields); err != nil {
		g.Fatal(err)
	}
	if change != nil {
		change(fields)
	}
	text, _ = json.Marshal(fields)
	return g.write(filepath.Join(".aws", "sso", "cache", fakeaws.CacheName(fakeaws.SSOSession)), string(text))
}

func TestSSO(t *testing.T) {
	g := newRig(t, fakeaws.Config{})
	c := g.must("sso-dev")
	if c.AccountID != fakeaws.SSOAccountID || c.RoleName != fakeaws.SSORole || c.RoleARN != "" || c.ObservedAt.IsZero() || c.Remaining(time.Now()) < 50*time.Minute {
		t.Errorf("%+v %+v", c.RoleName, c)
	}
	if n := g.fake.Calls("oidc:*"); n != 0 {
		t.Errorf("a good token was refreshed %d times", n)
	}
}

func TestSSORefresh(t *testing.T) {
	g := newRig(t, fakeaws.Config{})
	path := signIn(g, time.Now().Add(-time.Minute), func(f map[string]any) { f["unknownField"] = map[string]any{"kept": 1.5} })
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	before, _ := os.ReadFile(path)
	g.must("sso-dev")
	if n := g.fake.Calls("oidc:CreateToken"); n != 1 {
		t.Errorf("%d refreshes", n)
	}
	after, _ := os.ReadFile(path)
	var old, now map[string]any
	if json.Unmarshal(before, &old) != nil || json.Unmarshal(after, &now) != nil {
		t.Fatalf("the file is no JSON: %s", after)
	}
	for _, key := range []string{"startUrl", "region", "clientId", "clientSecret", "registrationExpiresAt"} {
		if now[key] != old[key] {
			t.Errorf("%s was changed from %v to %v", key, old[key], now[key])
		}
	}
	for _, key := range []string{"accessToken", "refreshToken", "expiresAt"} {
		if now[key] == old[key] || now[key] == "" {
			t.Errorf("%s is %v after %v", key, now[key], old[key])
		}
	}
	if fmt.Sprint(now["unknownField"]) != "map[kept:1.5]" {
		t.Errorf("an unknown field became %v", now["unknownField"])
	}
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 && os.PathSeparator == '/' {
		t.Errorf("mode is %v", info.Mode())
	}
	// What we wrote is good for the SDK, and for ourselves.
	if _, err := g.sdk("sso-dev"); err != nil {
		t.Errorf("the SDK cannot use the refreshed file: %v", err)
	}
	g.must("sso-dev")
	if n := g.fake.Calls("oidc:CreateToken"); n != 1 {
		t.Errorf("%d refreshes", n)
	}
}

// TestSSORefreshTogether: many at once use up the refresh token once.
func TestSSORefreshTogether(t *testing.T) {
	g := newRig(t, fakeaws.Config{})
	signIn(g, time.Now().Add(-time.Minute), nil)
	var wg sync.WaitGroup
	for range 16 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			if _, err := g.retrieve("sso-dev"); err != nil {
				t.Error(err)
			}
		}()
	}
	wg.Wait()
	if n := g.fake.Calls("oidc:CreateToken"); n != 1 {
		t.Errorf("%d refreshes", n)
	}
}

func TestSSOLoginRequired(t *testing.T) {
	const hint = "rolecall login sso-dev"
	past := time.Now().Add(-time.Minute)
	for _, tt := range []struct {
		name  string
		setUp func(g *rig) string
		word  string
	}{
		{"nobody signed in", func(g *rig) string {
			path := signIn(g, past, nil)
			os.Remove(path)
			return path
		}, "nobody has signed in"},
		{"ended, not refreshable", func(g *rig) string { return signIn(g, past, func(f map[string]any) { delete(f, "refreshToken") }) }, "has ended"},
		{"refresh token used up", func(g *rig) string { return signIn(g, past, func(f map[string]any) { f["refreshToken"] = "used" }) }, "cannot be refreshed"},
		{"registration ended", func(g *rig) string { return signIn(g, past, func(f map[string]any) { f["clientSecret"] = "old" }) }, "cannot be refreshed"},
		{"session revoked", func(g *rig) string {
			path := signIn(g, time.Now().Add(time.Hour), nil)
			g.fake.EndSSOSessions()
			return path
		}, "cannot be refreshed"},
		{"revoked, not refreshable", func(g *rig) string {
			path := signIn(g, time.Now().Add(time.Hour), func(f map[string]any) { delete(f, "refreshToken") })
			g.fake.EndSSOSessions()
			return path
		}, "has ended"},
		{"damaged", func(g *rig) string {
			return g.write(".aws/sso/cache/"+fakeaws.CacheName(fakeaws.SSOSession), `{"accessToken":"CAN`)
		}, "damaged"},
		{"of another start URL", func(g *rig) string {
			return signIn(g, time.Now().Add(time.Hour), func(f map[string]any) { f["startUrl"] = "https://other.awsapps.com/start" })
		}, "another start URL"},
		{"of another region", func(g *rig) string {
			return signIn(g, time.Now().Add(time.Hour), func(f map[string]any) { f["region"] = "us-east-1" })
		}, "for region us-east-1"},
		{"another tool's", func(g *rig) string {
			return signIn(g, time.Now().Add(time.Hour), func(f map[string]any) { f["scopes"] = []string{"codewhisperer:completions"} })
		}, "other scopes"},
		{"null", func(g *rig) string { return g.write(".aws/sso/cache/"+fakeaws.CacheName(fakeaws.SSOSession), `null`) }, "damaged"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newRig(t, fakeaws.Config{})
			g.T = t
			path := tt.setUp(g)
			e := g.fails("sso-dev", usererr.LoginRequired, tt.word, hint)
			if e.Changed == nil || e.Changed() {
				t.Fatal("Changed is nil or says yes")
			}
			signIn(g, time.Now().Add(2*time.Hour), nil)
			if !e.Changed() {
				t.Errorf("a new sign-in in %s was not seen", path)
			}
			g.must("sso-dev")
		})
	}
}

// TestSSOOtherFiles: files of other names are nobody's business, whatever they
// hold.
func TestSSOOtherFiles(t *testing.T) {
	g := newRig(t, fakeaws.Config{})
	path := signIn(g, time.Now().Add(time.Hour), nil)
	if err := os.Rename(path, filepath.Join(filepath.Dir(path), "kiro-auth-token.json")); err != nil {
		t.Fatal(err)
	}
	g.fails("sso-dev", usererr.LoginRequired, "nobody has signed in")
}

// TestSSOSource: a role without a profile.
func TestSSOSource(t *testing.T) {
	further := filepath.Join(t.TempDir(), "sso-sessions.json")
	g := newRig(t, fakeaws.Config{})
	g.configure(Config{SSOSessions: further})
	c := g.must("sso:fake/111111111111/ReadOnly")
	if c.AccountID != "111111111111" || c.RoleName != "ReadOnly" || c.Source != "sso:fake/111111111111/ReadOnly" {
		t.Errorf("%+v", c)
	}
	g.must("role:" + fakeaws.RoleDev + "@sso:fake/111111111111/ReadOnly")
	g.fails("sso:fake/111111111111/Nothing", usererr.AccessDenied, "ForbiddenException", "correct the account and the role")
	g.fails("sso:fakes/111111111111/ReadOnly", usererr.NotConfigured, "no SSO session", "did you mean")
	g.fails("sso:other/111111111111/ReadOnly", usererr.NotConfigured, "no SSO session", "the sessions are fake")
	g.add("[sso-session half]\nsso_start_url = https://x.awsapps.com/start\n")
	g.fails("sso:half/111111111111/ReadOnly", usererr.NotConfigured, "has no sso_region", "config:")

	// A session of the older kind, and one that no AWS file names.
	start := strings.Replace(g.fake.URL(), "127.0.0.1", "localhost", 1) + "/start"
	g.add("[profile old]\nsso_start_url = %s\nsso_region = eu-west-1\nsso_account_id = 111111111111\nsso_role_name = ReadOnly\n", start)
	e := g.fails("sso:localhost/111111111111/ReadOnly", usererr.LoginRequired, "nobody has signed in", "rolecall login --start-url "+start+" --region eu-west-1")
	session, err := sso.FromStartURL("http://127.0.0.9:1/start", "eu-west-1")
	if err != nil {
		t.Fatal(err)
	}
	g.fails("sso:127.0.0.9/111111111111/ReadOnly", usererr.NotConfigured, "no SSO session")
	if err := sso.KeepFurther(further, session, true); err != nil {
		t.Fatal(err)
	}
	g.fails("sso:127.0.0.9/111111111111/ReadOnly", usererr.LoginRequired)
	text, err := g.fake.NewSSOLogin(time.Now().Add(time.Hour)).CacheFile(start, "eu-west-1")
	if err != nil {
		t.Fatal(err)
	}
	g.write(".aws/sso/cache/"+fakeaws.CacheName(start), string(text))
	if !e.Changed() {
		t.Error("the sign-in was not seen")
	}
	g.must("sso:localhost/111111111111/ReadOnly")
	g.must("old")
}

// TestSSORotatedElsewhere: another program refreshes without our lock.
func TestSSORotatedElsewhere(t *testing.T) {
	t.Run("before the refresh token is used", func(t *testing.T) {
		g := newRig(t, fakeaws.Config{})
		path := signIn(g, time.Now().Add(-time.Minute), func(f map[string]any) { f["refreshToken"] = "used" })
		gate := make(chan struct{})
		g.fake.Script(fakeaws.Fault{Match: "oidc:CreateToken", Until: gate, Times: 1, Code: "InvalidGrantException", Status: 400})
		done := make(chan error)
		go func() {
			_, err := g.retrieve("sso-dev")
			done <- err
		}()
		if err := g.fake.WaitCalls(context.Background(), "oidc:CreateToken", 1); err != nil {
			t.Fatal(err)
		}
		text, _ := g.fake.NewSSOLogin(time.Now().Add(time.Hour)).CacheFile(g.fake.URL()+"/start", "eu-west-1")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		close(gate)
		if err := <-done; err != nil {
			t.Errorf("the other program's token was not taken: %v", err)
		}
	})
	t.Run("portal rejects, file has another", func(t *testing.T) {
		g := newRig(t, fakeaws.Config{})
		path := signIn(g, time.Now().Add(time.Hour), nil)
		gate := make(chan struct{})
		g.fake.Script(fakeaws.Fault{Match: "sso:GetRoleCredentials", Until: gate, Times: 1, Code: "UnauthorizedException", Status: 401})
		done := make(chan error)
		go func() {
			_, err := g.retrieve("sso-dev")
			done <- err
		}()
		if err := g.fake.WaitCalls(context.Background(), "sso:GetRoleCredentials", 1); err != nil {
			t.Fatal(err)
		}
		text, _ := g.fake.NewSSOLogin(time.Now().Add(time.Hour)).CacheFile(g.fake.URL()+"/start", "eu-west-1")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		close(gate)
		if err := <-done; err != nil {
			t.Errorf("the other program's token was not taken: %v", err)
		}
		if n := g.fake.Calls("oidc:*"); n != 0 {
			t.Errorf("%d refreshes", n)
		}
	})
}

func TestSSOFailures(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fault fakeaws.Fault
		code  usererr.Code
	}{
		{"forbidden", fakeaws.Fault{Match: "sso:GetRoleCredentials", Status: 403, Code: "ForbiddenException", Message: "No access"}, usererr.AccessDenied},
		{"throttled", fakeaws.Fault{Match: "sso:GetRoleCredentials", Status: 429, Code: "TooManyRequestsException", RetryAfter: 7 * time.Second}, usererr.Throttled},
		{"empty keys", fakeaws.Fault{Match: "sso:GetRoleCredentials", EmptyKeys: true}, usererr.Unavailable},
		{"expired", fakeaws.Fault{Match: "sso:GetRoleCredentials", Expired: true}, usererr.Unavailable},
		{"garbage", fakeaws.Fault{Match: "sso:GetRoleCredentials", Body: []byte("<html>")}, usererr.Unavailable},
		{"empty object", fakeaws.Fault{Match: "sso:GetRoleCredentials", Body: []byte("{}")}, usererr.Unavailable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newRig(t, fakeaws.Config{})
			g.fake.Script(tt.fault)
			e := g.fails("sso-dev", tt.code)
			if e.RetryAfter != tt.fault.RetryAfter {
				t.Errorf("RetryAfter is %v", e.RetryAfter)
			}
		})
	}
	// A refresh that fails for a while does not ask anybody to sign in, and one
	// that was only ahead of time does no harm.
	g := newRig(t, fakeaws.Config{})
	g.fake.Script(fakeaws.Fault{Match: "oidc:CreateToken", Status: 500})
	signIn(g, time.Now().Add(-time.Minute), nil)
	g.fails("sso-dev", usererr.Unavailable, "CreateToken")
	signIn(g, time.Now().Add(tokenSlack/2), nil)
	g.must("sso-dev")
}
