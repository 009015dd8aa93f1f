package source

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rolecall/internal/fakeaws"
	"rolecall/internal/usererr"
)

const loginARN = "arn:aws:sts::123456789012:assumed-role/admin/me"

// loginRig has the profile cli, signed in with `aws login`, and a stand-in for
// the sign-in service that answers with status and body.
type loginRig struct {
	*rig
	status int
	body   string
	calls  int
}

func newLoginRig(t *testing.T) *loginRig {
	g := &loginRig{rig: newRig(t, fakeaws.Config{}), status: http.StatusOK}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.calls++
		if r.Header.Get("DPoP") == "" || r.URL.Path != "/v1/token" {
			t.Errorf("%s %s without a proof", r.Method, r.URL)
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(g.status)
		fmt.Fprint(w, g.body)
	}))
	t.Cleanup(server.Close)
	g.env["AWS_ENDPOINT_URL_SIGNIN"] = server.URL
	g.body = `{"accessToken":{"accessKeyId":"ASIAFAKENEW","secretAccessKey":"new","sessionToken":"new"},"tokenType":"aws_sigv4","expiresIn":900,"refreshToken":"r2"}`
	g.add("[profile cli]\nlogin_session = %s\nregion = eu-west-1\n[profile over-cli]\nrole_arn=%s\nsource_profile=cli\n", loginARN, fakeaws.RoleDev)
	return g
}

// signIn writes the CLI's cache file with keys that end at expires.
func (g *loginRig) signIn(expires time.Time, key string) {
	g.Helper()
	text, err := json.Marshal(map[string]any{
		"accessToken": map[string]any{"accessKeyId": "ASIAFAKEOLD", "secretAccessKey": "CANARY", "sessionToken": "CANARY", "accountId": "123456789012", "expiresAt": expires.UTC().Format(time.RFC3339)},
		"tokenType":   "aws_sigv4", "refreshToken": "CANARY", "clientId": "c", "dpopKey": key,
	})
	if err != nil {
		g.Fatal(err)
	}
	g.cache(string(text))
}

func (g *loginRig) cache(text string) {
	g.Helper()
	sum := sha256.Sum256([]byte(loginARN))
	g.write(filepath.Join(".aws", "login", "cache", hex.EncodeToString(sum[:])+".json"), text)
}

func dpopKey(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}))
}

func TestLoginSession(t *testing.T) {
	g := newLoginRig(t)
	g.signIn(time.Now().Add(10*time.Minute), dpopKey(t))
	c := g.must("cli")
	if c.AccessKeyID != "ASIAFAKEOLD" || c.AccountID != "123456789012" || c.RoleName != "admin" || g.calls != 0 {
		t.Errorf("%+v %s after %d calls", c, c.AccessKeyID, g.calls)
	}
	if sdk, err := g.sdk("cli"); err != nil || sdk.AccessKeyID != c.AccessKeyID || sdk.AccountID != c.AccountID {
		t.Errorf("the SDK: %+v, %v", sdk, err)
	}
	s, err := g.r.Resolve("cli")
	if err != nil || s.Upstream != "signin/eu-west-1" {
		t.Errorf("%+v, %v", s, err)
	}
	g.signIn(time.Now().Add(-time.Minute), dpopKey(t))
	if c := g.must("cli"); c.AccessKeyID != "ASIAFAKENEW" || c.Remaining(time.Now()) < 14*time.Minute || g.calls != 1 {
		t.Errorf("%+v %s after %d calls", c, c.AccessKeyID, g.calls)
	}
	g.must("cli") // from the file that was written back
	if g.calls != 1 {
		t.Errorf("%d calls", g.calls)
	}
}

func TestLoginFailures(t *testing.T) {
	past := time.Now().Add(-time.Minute)
	for _, tt := range []struct {
		name  string
		setUp func(g *loginRig)
		code  usererr.Code
		word  string
	}{
		{"nobody signed in", func(*loginRig) {}, usererr.LoginRequired, "aws login --profile cli"},
		{"damaged", func(g *loginRig) { g.cache(`{"accessToken":"CANARY`) }, usererr.LoginRequired, "damaged"},
		{"null", func(g *loginRig) { g.cache(`null`) }, usererr.LoginRequired, "damaged"},
		{"incomplete", func(g *loginRig) { g.cache(`{"accessToken":{"secretAccessKey":"CANARY"}}`) }, usererr.LoginRequired, "incomplete"},
		{"a key that is none", func(g *loginRig) { g.signIn(past, "CANARY") }, usererr.LoginRequired, "incomplete"},
		{"session ended", func(g *loginRig) {
			g.signIn(past, dpopKey(t))
			g.status, g.body = 400, `{"error":"TOKEN_EXPIRED","message":"CANARY"}`
		}, usererr.LoginRequired, "has ended"},
		{"throttled", func(g *loginRig) { g.signIn(past, dpopKey(t)); g.status, g.body = 429, `{}` }, usererr.Throttled, "too many requests"},
		{"5xx", func(g *loginRig) { g.signIn(past, dpopKey(t)); g.status, g.body = 500, `CANARY` }, usererr.Unavailable, ""},
		{"empty answer", func(g *loginRig) { g.signIn(past, dpopKey(t)); g.body = `{}` }, usererr.Unavailable, ""},
		{"empty keys", func(g *loginRig) {
			g.signIn(past, dpopKey(t))
			g.body = strings.ReplaceAll(strings.ReplaceAll(g.body, `"new"`, `""`), "ASIAFAKENEW", "")
		}, usererr.Unavailable, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newLoginRig(t)
			tt.setUp(g)
			_, err := g.retrieve("cli")
			e := isError(t, "cli", err, tt.code, tt.word)
			if out := printed(t, err); strings.Contains(out, "CANARY") {
				t.Errorf("a secret is in the error: %s", out)
			}
			if tt.code == usererr.LoginRequired && (e.Changed == nil || e.Changed()) {
				t.Fatal("Changed is nil or says yes")
			}
			if tt.code == usererr.LoginRequired {
				g.signIn(time.Now().Add(time.Hour), dpopKey(t))
				if !e.Changed() {
					t.Error("a new sign-in was not seen")
				}
				g.must("cli")
			}
		})
	}
}
