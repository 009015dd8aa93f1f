package source

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"rolecall/internal/creds"
	"rolecall/internal/fakeaws"
	"rolecall/internal/usererr"
)

// recorder is a proxy-less stand-in for STS that keeps what was asked and
// passes it on to the fake.
func recordForms(g *rig) *[]url.Values {
	var forms []url.Values
	handler := g.fake.Handler()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := make([]byte, r.ContentLength)
		_, _ = r.Body.Read(body)
		form, _ := url.ParseQuery(string(body))
		form.Set("header User-Agent", r.UserAgent())
		forms = append(forms, form)
		r.Body = http.NoBody
		r2 := r.Clone(r.Context())
		r2.Body = readCloser{strings.NewReader(string(body))}
		handler.ServeHTTP(w, r2)
	}))
	g.Cleanup(server.Close)
	g.env["AWS_ENDPOINT_URL_STS"] = server.URL
	return &forms
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }

func TestAssumeRoleRequest(t *testing.T) {
	g := newRig(t, fakeaws.Config{})
	forms := recordForms(g)
	g.configure(Config{UserAgent: "rolecall/1.2"})
	role := "role_arn = arn:aws:iam::111111111111:role/x\n"
	g.add("[profile plain]\n%[1]ssource_profile=base\n[profile full]\n%[1]ssource_profile=base\nrole_session_name=me@host\nexternal_id=ext\nduration_seconds=43200\n"+
		"[profile chained12]\n%[1]ssource_profile=dev\nduration_seconds=43200\n[profile low]\n%[1]ssource_profile=base\nduration_seconds=5\n"+
		"[profile high]\n%[1]ssource_profile=base\nduration_seconds=99999\n[profile words]\n%[1]ssource_profile=base\nduration_seconds=1h\n", role)
	for _, tt := range []struct{ profile, session, external, duration, warning string }{
		{"plain", "rolecall", "", "", ""},
		{"full", "me@host", "ext", "43200", ""},
		{"chained12", "rolecall", "", "3600", "cut to 3600"},
		{"low", "rolecall", "", "900", "900 is used"},
		{"high", "rolecall", "", "43200", "43200 is used"},
		{"words", "rolecall", "", "", "not a number"},
	} {
		for range 2 {
			g.must(tt.profile)
		}
		last := (*forms)[len(*forms)-1]
		if last.Get("RoleSessionName") != tt.session || last.Get("ExternalId") != tt.external || last.Get("DurationSeconds") != tt.duration {
			t.Errorf("%s: sent %v", tt.profile, last)
		}
		if !strings.Contains(last.Get("header User-Agent"), "rolecall/1.2") {
			t.Errorf("%s: user agent %q", tt.profile, last.Get("header User-Agent"))
		}
		var told int
		for _, w := range g.warned {
			if tt.warning != "" && strings.Contains(w, tt.warning) && (strings.Contains(w, "config:") || strings.Contains(w, tt.profile)) {
				told++
			}
		}
		if tt.warning != "" && told != 1 {
			t.Errorf("%s: told %d times of %q: %q", tt.profile, told, tt.warning, g.warned)
		}
	}
}

func TestRoleTexts(t *testing.T) {
	g := newRig(t, fakeaws.Config{})
	g.env["AWS_PROFILE"] = "base"
	for _, tt := range []struct{ text, canonical, role string }{
		{"role:" + fakeaws.RoleDev, "role:" + fakeaws.RoleDev, fakeaws.RoleDev},
		{"role:" + fakeaws.RoleDev + "@base", "role:" + fakeaws.RoleDev + "@profile:base", fakeaws.RoleDev},
		{"role:" + fakeaws.RoleProd + "@role:" + fakeaws.RoleStaging + "@profile:dev", "role:" + fakeaws.RoleProd + "@role:" + fakeaws.RoleStaging + "@profile:dev", fakeaws.RoleProd},
		{"role:arn:aws:iam::111111111111:role/a%40b@dev", "role:arn:aws:iam::111111111111:role/a%40b@profile:dev", "arn:aws:iam::111111111111:role/a@b"},
		{"role:" + fakeaws.RoleDev + "@default", "role:" + fakeaws.RoleDev, fakeaws.RoleDev},
	} {
		s, err := g.r.Resolve(tt.text)
		if err != nil {
			t.Errorf("%s: %v", tt.text, err)
			continue
		}
		c, err := s.Provider.Retrieve(context.Background())
		if err != nil || s.Text != tt.canonical || s.Kind != "role" || c.RoleARN != tt.role || c.Source != tt.canonical {
			t.Errorf("%s: %+v, %+v, %v", tt.text, s, c, err)
		}
	}
	g.fails("role:"+fakeaws.RoleDev+"@nobody", usererr.NotConfigured, `no profile "nobody"`)
}

func TestAssumeRoleFromAnotherSlot(t *testing.T) {
	g := newRig(t, fakeaws.Config{})
	keyID, secret := g.fake.BaseUser()
	asked := 0
	base := creds.Credentials{AccessKeyID: keyID, SecretAccessKey: creds.NewSecret(secret)}
	provider := creds.ProviderFunc(func(context.Context) (creds.Credentials, error) {
		asked++
		return base, nil
	})
	s, err := g.r.AssumeRole(fakeaws.RoleDev, provider, "eu-central-1")
	if err != nil {
		t.Fatal(err)
	}
	if asked != 0 || s.Upstream != "sts/eu-central-1" || s.Region != "eu-central-1" {
		t.Errorf("asked %d times before the first Retrieve, source %+v", asked, s)
	}
	for range 2 {
		if c, err := s.Provider.Retrieve(context.Background()); err != nil || c.RoleARN != fakeaws.RoleDev {
			t.Fatalf("%+v, %v", c, err)
		}
	}
	if asked != 2 {
		t.Errorf("the base was asked %d times", asked)
	}
	if _, err := g.r.AssumeRole("arn:aws:iam::1:user/x", provider, ""); err == nil {
		t.Error("a user's ARN was taken")
	}

	failing := creds.ProviderFunc(func(context.Context) (creds.Credentials, error) {
		return creds.Credentials{}, &usererr.Error{Code: usererr.LoginRequired, Msg: "sign in"}
	})
	s, _ = g.r.AssumeRole(fakeaws.RoleDev, failing, "")
	_, err = s.Provider.Retrieve(context.Background())
	isError(t, "failing base", err, usererr.LoginRequired, "sign in")
	empty := creds.ProviderFunc(func(context.Context) (creds.Credentials, error) { return creds.Credentials{}, nil })
	s, _ = g.r.AssumeRole(fakeaws.RoleDev, empty, "")
	_, err = s.Provider.Retrieve(context.Background())
	isError(t, "empty base", err, usererr.Unavailable, "without keys")
}

func TestAssumeRoleName(t *testing.T) {
	g := newRig(t, fakeaws.Config{})
	keyID, secret := g.fake.BaseUser()
	for _, tt := range []struct {
		name, role   string
		base         creds.Credentials
		region, want string
		asked        int
	}{
		{"account known", "r", creds.Credentials{AccountID: "222222222222"}, "", "arn:aws:iam::222222222222:role/r", 0},
		{"role known", "path/r", creds.Credentials{RoleARN: "arn:aws-cn:iam::333333333333:role/b"}, "", "arn:aws-cn:iam::333333333333:role/path/r", 0},
		{"region tells the partition", "r", creds.Credentials{AccountID: "222222222222"}, "us-gov-west-1", "arn:aws-us-gov:iam::222222222222:role/r", 0},
		{"nothing known", "r", creds.Credentials{}, "", "arn:aws:iam::123456789012:role/r", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g.fake.ResetCalls()
			tt.base.AccessKeyID, tt.base.SecretAccessKey = keyID, creds.NewSecret(secret)
			s, err := g.r.AssumeRoleName(tt.role, creds.ProviderFunc(func(context.Context) (creds.Credentials, error) { return tt.base, nil }), tt.region)
			if err != nil {
				t.Fatal(err)
			}
			c, err := s.Provider.Retrieve(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			if tt.asked == 1 {
				tt.want = "arn:aws:iam::" + c.AccountID + ":role/r"
			}
			if c.RoleARN != tt.want || g.fake.Calls("sts:GetCallerIdentity") != tt.asked {
				t.Errorf("role %s with %d identity calls, want %s with %d", c.RoleARN, g.fake.Calls("sts:GetCallerIdentity"), tt.want, tt.asked)
			}
		})
	}
	for _, name := range []string{"", "/r", "r/", "a b", "a:b", strings.Repeat("x", 600)} {
		if _, err := g.r.AssumeRoleName(name, nil, ""); err == nil {
			t.Errorf("%q was taken as a role's name", name)
		}
	}
}

func TestWebIdentityToken(t *testing.T) {
	g := newRig(t, fakeaws.Config{})
	g.fake.AddRole("arn:aws:iam::111111111111:role/web", fakeaws.RoleConfig{WebIdentityToken: "first"})
	path := g.write("token", "first\n")
	g.add("[profile web]\nrole_arn=arn:aws:iam::111111111111:role/web\nweb_identity_token_file=%s\n", path)
	g.must("web")
	g.fake.AddRole("arn:aws:iam::111111111111:role/web", fakeaws.RoleConfig{WebIdentityToken: "rotated"})
	e := g.fails("web", usererr.LoginRequired, path)
	if e.Changed == nil || e.Changed() {
		t.Fatal("Changed is nil or says yes")
	}
	g.write("token", "rotated")
	if !e.Changed() {
		t.Error("the rotation was not seen")
	}
	g.must("web") // read at each Retrieve
	for text, word := range map[string]string{"": "is empty", " \n": "is empty", strings.Repeat("x", maxTokenFile+1): "larger than 65536 bytes"} {
		g.write("token", text)
		g.fails("web", usererr.NotConfigured, word)
	}
	g.env["AWS_WEB_IDENTITY_TOKEN_FILE"], g.env["AWS_ROLE_ARN"] = path+"-missing", "arn:aws:iam::111111111111:role/web"
	g.fails("default", usererr.NotConfigured, "is not there")
	g.write("token-missing", "rotated")
	if c := g.must("default"); c.RoleARN != "arn:aws:iam::111111111111:role/web" || c.Remaining(time.Now()) < 50*time.Minute {
		t.Errorf("default: %+v", c.RoleARN)
	}
}
