package source

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rolecall/internal/creds"
	"rolecall/internal/fakeaws"
	"rolecall/internal/usererr"
)

func TestSpecs(t *testing.T) {
	arn := "arn:aws:iam::123456789012:role/path/x"
	for _, tt := range []struct{ text, canonical string }{
		{"dev", "profile:dev"},
		{"profile:dev", "profile:dev"},
		{"profile:a:b@c d", "profile:a:b@c d"},
		{"profile:imds", "profile:imds"},
		{"Dev.2_x", "profile:Dev.2_x"},
		{"imds", "imds"}, {"container", "container"}, {"env", "env"}, {"default", "default"},
		{"fake", "fake"}, {"fake:", "fake"}, {"fake:lifetime=30s,role=x", "fake:lifetime=30s,role=x"},
		{"role:" + arn, "role:" + arn},
		{"role:" + arn + "@fake:role=y", "role:" + arn + "@fake:role=y"},
		{"sso:corp/123456789012/ReadOnly", "sso:corp/123456789012/ReadOnly"}, {"sso:a/b c/123456789012/x@y", "sso:a/b c/123456789012/x@y"},
		{"role:" + arn + "@sso:corp/123456789012/x", "role:" + arn + "@sso:corp/123456789012/x"},
		{"role:" + arn + "@me@corp", "role:" + arn + "@profile:me@corp"},
	} {
		s, err := parseSpec(tt.text)
		if err != nil || s.String() != tt.canonical {
			t.Errorf("%q: %q, %v, want %q", tt.text, s.String(), err, tt.canonical)
		}
	}
	for _, text := range []string{"", "profile", "profile:", "role", "role:", "role:x", "role:" + arn + "@", "imds:x", "env:", "sso:dev", "sso:", "sso:corp/1/x", "sso:corp/123456789012", "sso:/123456789012/x", "sso:corp/123456789012/", "sso:corp/123456789012/a b", "a:b", "x\ny", "x\x00", "x\u202ey", "\xff", strings.Repeat("x", 5000),
		"role:arn:aws:iam::1:role/x", "role:arn:aws:iam::123456789012:user/x", "role:arn:aws:iam::123456789012:role/", "role:arn:aws:sts::123456789012:role/x", "role:arn:aws:iam:r:123456789012:role/x",
		"role:arn:aws:iam::123456789012:role/a b", "role:arn:aws:iam::123456789012:role/x%00", "fake:x", "fake:lifetime=0", "fake:lifetime=x", "fake:account=1", "fake:fail=x", "fake:role=", "fake:delay=-1s",
		strings.Repeat("role:"+arn+"@", 6) + "dev"} {
		_, err := parseSpec(text)
		if err == nil {
			t.Errorf("%q was taken", text)
			continue
		}
		e := isError(t, text, err, usererr.NotConfigured)
		if strings.ContainsFunc(e.Msg+e.Hint, unprintable) {
			t.Errorf("%q: the error shows it raw: %q", text, e.Msg)
		}
	}
	_, err := parseSpec("saml:dev")
	isError(t, "saml:dev", err, usererr.NotConfigured, "profile:NAME", "sso:SESSION/ACCOUNT/ROLE", "imds", "container", "env", "default", "role:ARN", "fake", "profile:saml:dev")
}

func FuzzParseSpec(f *testing.F) {
	for _, seed := range []string{"dev", "profile:x", "role:arn:aws:iam::123456789012:role/x@dev", "role:arn:aws:iam::123456789012:role/a%40b%25@role:arn:aws:iam::123456789012:role/x", "fake:lifetime=30s", "imds", "a:b", "@", "%40", "sso:corp/123456789012/x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parseSpec(text)
		if err != nil {
			return
		}
		again, err := parseSpec(s.String())
		if err != nil || again.String() != s.String() {
			t.Fatalf("%q: canonical %q parses to %q, %v", text, s.String(), again.String(), err)
		}
	})
}

func TestFake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New(Config{Getenv: func(string) string { return "" }, Home: t.TempDir()})
		get := func(text string) (creds.Credentials, error) {
			s, err := r.Resolve(text)
			if err != nil {
				t.Fatal(err)
			}
			if s.Upstream != "" || s.Kind != "fake" {
				t.Errorf("%+v", s)
			}
			return s.Provider.Retrieve(context.Background())
		}
		a, err := get("fake")
		if err != nil || a.Check() != nil || a.Remaining(time.Now()) != time.Hour || !strings.HasPrefix(a.AccessKeyID, "ASIAFAKE") || !strings.HasPrefix(a.SecretAccessKey.Reveal(), "fake") || len(a.SecretAccessKey.Reveal()) != 40 || len(a.AccessKeyID) != 20 {
			t.Errorf("%+v, %v", a, err)
		}
		b, _ := get("fake")
		if a.AccessKeyID == b.AccessKeyID {
			t.Error("two answers have one key")
		}
		c, err := get("fake:lifetime=30s,account=111111111111,role=dev,delay=2s")
		if err != nil || c.Remaining(time.Now()) != 30*time.Second || c.RoleARN != "arn:aws:iam::111111111111:role/dev" || c.AccountID != "111111111111" || c.Source != "fake:lifetime=30s,account=111111111111,role=dev,delay=2s" {
			t.Errorf("%+v, %v", c, err)
		}
		if c, err := get("fake:lifetime=never"); err != nil || c.CanExpire() || !c.SessionToken.IsZero() {
			t.Errorf("%+v, %v", c, err)
		}
		start := time.Now()
		_, err = get("fake:delay=1m")
		isError(t, "delay", err, usererr.Unavailable)
		if time.Since(start) != callTimeout {
			t.Errorf("took %v", time.Since(start))
		}
		for _, code := range []usererr.Code{usererr.LoginRequired, usererr.AccessDenied, usererr.NotConfigured, usererr.Throttled, usererr.Unavailable, usererr.Internal} {
			_, err := get("fake:fail=" + string(code))
			isError(t, string(code), err, code)
		}
	})
}

func TestEnv(t *testing.T) {
	g := newRig(t, fakeaws.Config{})
	g.fails("env", usererr.NotConfigured, "AWS_ACCESS_KEY_ID is not set")
	g.env["AWS_ACCESS_KEY_ID"] = "AKIAFAKE"
	g.fails("env", usererr.NotConfigured, "AWS_SECRET_ACCESS_KEY is not set")
	g.env["AWS_SECRET_ACCESS_KEY"] = "s"
	if c := g.must("env"); c.CanExpire() || c.AccessKeyID != "AKIAFAKE" || c.Source != "env" {
		t.Errorf("%+v", c)
	}
	g.env["AWS_SESSION_TOKEN"], g.env["AWS_CREDENTIAL_EXPIRATION"] = "t", "2099-01-01T00:00:00Z"
	if c := g.must("env"); c.Expires.Year() != 2099 || c.SessionToken.Reveal() != "t" {
		t.Errorf("%+v", c)
	}
	g.env["AWS_CREDENTIAL_EXPIRATION"] = "2020-01-01T00:00:00Z"
	g.fails("env", usererr.LoginRequired, "ended at")
}

// TestDefaultAgainstSDK takes away one link of the chain after the other.
func TestDefaultAgainstSDK(t *testing.T) {
	g := newRig(t, fakeaws.Config{})
	keyID, secret := g.fake.BaseUser()
	web := g.write("web", "token")
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "AKIAFAKEENV", "AWS_SECRET_ACCESS_KEY": "s", "AWS_WEB_IDENTITY_TOKEN_FILE": web, "AWS_ROLE_ARN": fakeaws.RoleStaging,
		"AWS_PROFILE": "dev", fullURI: g.fake.ContainerURL("task"),
	} {
		g.env[name] = value
	}
	g.add("[default]\naws_access_key_id=%s\naws_secret_access_key=%s\n", keyID, secret)
	for _, tt := range []struct{ without, identity string }{
		{"", "AKIAFAKEENV"},
		{"AWS_ACCESS_KEY_ID", fakeaws.RoleStaging},
		{"AWS_WEB_IDENTITY_TOKEN_FILE", fakeaws.RoleDev},
		{"AWS_PROFILE", keyID},
		{"default", "container"},
		{fullURI, "instance-role"},
	} {
		if tt.without == "default" {
			g.write(".aws/config", "[default]\nregion=eu-west-1\n")
		} else if tt.without != "" {
			g.env[tt.without] = ""
		}
		c := g.must("default")
		issued, _ := g.fake.Issued(c.AccessKeyID)
		if !strings.Contains(c.AccessKeyID+" "+issued.RoleARN+" "+issued.Op, tt.identity) {
			t.Errorf("without %q: %s %+v", tt.without, c.AccessKeyID, issued)
		}
		sdk, err := g.sdk("")
		if err != nil {
			t.Fatalf("without %q: the SDK says %v", tt.without, err)
		}
		other, _ := g.fake.Issued(sdk.AccessKeyID)
		if issued.RoleARN != other.RoleARN || issued.RoleARN == "" && c.AccessKeyID != sdk.AccessKeyID {
			t.Errorf("without %q: we are %s and the SDK is %s", tt.without, issued.RoleARN, other.RoleARN)
		}
	}
	g.env["AWS_EC2_METADATA_DISABLED"] = "true"
	g.fails("default", usererr.NotConfigured, "no credentials anywhere", "rolecall load")
	g.env["AWS_PROFILE"] = "gone"
	g.fails("default", usererr.NotConfigured, `no profile "gone"`)
}

// TestEndpoints: which setting says where STS is asked.
func TestEndpoints(t *testing.T) {
	const config = "[profile p]\nendpoint_url = https://profile\nservices = s\n[profile q]\nendpoint_url = https://profile\n" +
		"[services s]\nsts =\n  endpoint_url = https://section/\nsso_oidc =\n  endpoint_url = https://oidc-section\n[profile f]\nuse_fips_endpoint = true\n[profile i]\nendpoint_url = https://x\nignore_configured_endpoint_urls = true\n"
	for _, tt := range []struct {
		profile, service string
		env              map[string]string
		want             service
	}{
		{"q", "sts", nil, service{endpoint: "https://profile"}},
		{"p", "sts", nil, service{endpoint: "https://section"}},
		{"p", "oidc", nil, service{endpoint: "https://oidc-section"}},
		{"p", "sso", nil, service{endpoint: "https://profile"}},
		{"p", "sts", map[string]string{"AWS_ENDPOINT_URL": "https://env"}, service{endpoint: "https://env"}},
		{"p", "sts", map[string]string{"AWS_ENDPOINT_URL": "https://env", "AWS_ENDPOINT_URL_STS": "https://env-sts"}, service{endpoint: "https://env-sts"}},
		{"p", "oidc", map[string]string{"AWS_ENDPOINT_URL_SSO_OIDC": "http://127.0.0.1:1"}, service{endpoint: "http://127.0.0.1:1"}},
		{"p", "signin", map[string]string{"AWS_ENDPOINT_URL_SIGNIN": "http://localhost:1"}, service{endpoint: "http://localhost:1"}},
		{"p", "sts", map[string]string{"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true", "AWS_ENDPOINT_URL": "https://env"}, service{}},
		{"i", "sts", nil, service{}},
		{"f", "sts", nil, service{fips: true}},
		{"f", "sts", map[string]string{"AWS_USE_FIPS_ENDPOINT": "false", "AWS_USE_DUALSTACK_ENDPOINT": "TRUE"}, service{dualstack: true}},
		{"f", "sts", map[string]string{"AWS_ENDPOINT_URL": "https://env"}, service{endpoint: "https://env"}},
	} {
		g := newRig(t, fakeaws.Config{})
		g.env = map[string]string{}
		for k, v := range tt.env {
			g.env[k] = v
		}
		g.write(".aws/config", config)
		files, err := g.r.files()
		if err != nil {
			t.Fatal(err)
		}
		s, _ := files.Profile(tt.profile)
		sc := &scope{files: files}
		sc.sections = append(sc.sections, s)
		got, err := g.r.service(tt.service, "eu-west-1", sc)
		tt.want.name, tt.want.region = tt.service, "eu-west-1"
		if err != nil || got != tt.want {
			t.Errorf("%s %s %v: %+v, %v", tt.profile, tt.service, tt.env, got, err)
		}
	}
	for _, url := range []string{"http://example.com", "http://10.0.0.1", "ftp://localhost", "https://", "x", "https://u:p@h", "https://h?x=1", "https://h#x", "http://localhost.example.com", ":"} {
		if _, msg := checkEndpoint(url); msg == "" {
			t.Errorf("%q was taken", url)
		}
	}
}

func TestRegions(t *testing.T) {
	for arn, want := range map[string]string{"arn:aws:iam::1:role/x": "us-east-1", "arn:aws-cn:iam::1:role/x": "cn-north-1", "arn:aws-us-gov:iam::1:role/x": "us-gov-west-1", "": "us-east-1", "arn:aws-eusc:iam::1:role/x": "eusc-de-east-1"} {
		region := mainRegion(arn)
		if region != want || !validRegion(region) || arn != "" && partitionOf(region) != partition(arn) {
			t.Errorf("%q: %s", arn, region)
		}
	}
	for _, bad := range []string{"", "eu-west-1.evil.example", "EU", "-x", "a/b", "a b", strings.Repeat("x", 64)} {
		if validRegion(bad) {
			t.Errorf("%q was taken", bad)
		}
	}
}

// TestCABundle: AWS_CA_BUNDLE decides whom AWS's services may be.
func TestCABundle(t *testing.T) {
	g := newRig(t, fakeaws.Config{})
	server := httptest.NewTLSServer(g.fake.Handler())
	defer server.Close()
	g.env["AWS_ENDPOINT_URL_STS"] = server.URL
	g.fails("dev", usererr.Unavailable, "certificate is not trusted")
	g.env["AWS_CA_BUNDLE"] = g.write("ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	g.configure(Config{})
	g.must("dev")
	g.write("ca.pem", "junk")
	g.configure(Config{})
	g.fails("dev", usererr.NotConfigured, "AWS_CA_BUNDLE")

	old := httptest.NewUnstartedServer(http.NotFoundHandler())
	old.TLS = &tls.Config{MaxVersion: tls.VersionTLS11}
	old.StartTLS()
	defer old.Close()
	g.env["AWS_CA_BUNDLE"] = ""
	g.configure(Config{})
	g.env["AWS_ENDPOINT_URL_STS"] = old.URL
	g.fails("dev", usererr.Unavailable)
}

func TestBrokenAWSFiles(t *testing.T) {
	g := newRig(t, fakeaws.Config{})
	g.add("[profile dev#x\nrole_arn = arn:aws:iam::999999999999:role/evil\njunk\n")
	if c := g.must("dev"); c.RoleARN != fakeaws.RoleDev { // the other profiles still work
		t.Errorf("role is %s", c.RoleARN)
	}
	g.write(".aws/config", "\xff\xfe[\x00")
	e := g.fails("dev", usererr.NotConfigured, "UTF-16")
	g.write(".aws/config", "")
	if e.Changed == nil || !e.Changed() {
		t.Error("the mended file was not seen")
	}
}

func TestCanceled(t *testing.T) {
	g := newRig(t, fakeaws.Config{})
	s, err := g.r.Resolve("dev")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = s.Provider.Retrieve(ctx)
	if e := isError(t, "dev", err, usererr.Unavailable, "cancelled"); !errors.Is(e, context.Canceled) {
		t.Errorf("the cause is lost: %v", e.Err)
	}
}
