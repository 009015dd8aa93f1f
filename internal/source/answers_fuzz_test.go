package source

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"rolecall/internal/awsconfig"
	"rolecall/internal/creds"
	"rolecall/internal/usererr"
)

// answers are what programs and services might say instead of credentials.
func answers() []string {
	return []string{
		`{"Version":1,"AccessKeyId":"AKIAFAKE","SecretAccessKey":"CANARY7CANARY8"}`,
		`{"Version":1,"Code":"Success","AccessKeyId":"ASIAFAKE","SecretAccessKey":"CANARY7CANARY8","SessionToken":"CANARY7CANARY8","Token":"CANARY7CANARY8","Expiration":"2099-01-02T03:04:05Z","AccountId":"111111111111","RoleArn":"arn:aws:iam::111111111111:role/x"}`,
		`{"Code":"AssumeRoleUnauthorizedAccess","Message":"CANARY7CANARY8"}`, `{"Code":"CANARY7CANARY8"}`, `{"Version":1,"AccessKeyId":"a\u0000b","SecretAccessKey":"CANARY7CANARY8"}`, `{"Version":1e9}`, `{"Expiration":"2099-01-02T03:04:05+99:99"}`,
		`{"Version":1,"AccessKeyId":"AKIAFAKE","SecretAccessKey":"CANARY7CANARY8","SessionToken":"t","Expiration":"2001-01-02T03:04:05Z"}`, "null", "[]", "{", "", "\xff", `<html>CANARY7CANARY8`, `"CANARY7CANARY8"`,
	}
}

// judged fails the test unless what was taken is usable, and what was refused is
// refused without a secret.
func judged(t *testing.T, text []byte, c creds.Credentials, err error) {
	t.Helper()
	if err == nil {
		if e := c.Check(); e != nil || c.CanExpire() && c.Remaining(time.Now()) <= 0 {
			t.Fatalf("%q was taken: %v", text, e)
		}
		return
	}
	var e *usererr.Error
	if !errors.As(err, &e) || e.Code == "" || e.Msg == "" {
		t.Fatalf("%q: %#v", text, err)
	}
	if strings.Contains(e.Msg+e.Hint, "CANARY7CANARY8") || strings.ContainsAny(e.Msg+e.Hint, "\n\r\x00\x1b") || !utf8.ValidString(e.Msg) {
		t.Fatalf("%q: the error is %q", text, e.Msg+e.Hint)
	}
}

func FuzzProcessAnswer(f *testing.F) {
	for _, s := range answers() {
		f.Add([]byte(s))
	}
	p := &process{r: &Resolver{}, label: "x", profile: "p", command: awsconfig.Value{}}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := p.parse(text)
		judged(t, text, c, err)
	})
}

func FuzzInstanceAnswer(f *testing.F) {
	for _, s := range answers() {
		f.Add([]byte(s))
	}
	i := &instance{set: imdsSettings{host: "127.0.0.1:1"}}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := i.parse(text)
		if err == nil {
			c, err = complete(c, "the service")
		}
		judged(t, text, c, err)
	})
}

// FuzzInstanceRole: what is taken from a list is a role's name and nothing that
// would lead to another path.
func FuzzInstanceRole(f *testing.F) {
	for _, s := range []string{"role", "role\n", " role \r\nother", "", "\n\n", "<html>", "a/b", "../x", "r\x00", "é", "a%2Fb", "a?b", "a#b", strings.Repeat("r", 600), "role_+=,.@-"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		role, ok := parseIMDSRole(body)
		if !ok {
			return
		}
		u, err := url.Parse("http://h" + imdsRolesPath + role)
		if err != nil || u.Path != imdsRolesPath+role || u.RawQuery != "" || u.Fragment != "" || strings.Contains(role, "/") || !strings.Contains(string(body), role) {
			t.Fatalf("%q gave %q: %v, %v", body, role, u, err)
		}
	})
}

// FuzzInstanceToken: what is taken for a token can be sent as a header's value,
// and is never used for longer than it was given for.
func FuzzInstanceToken(f *testing.F) {
	for _, s := range []string{"AQAEAPtokenAA==", "AQAEAP==\n", "", " ", "a b", "a\nb", "<html>", "a\x00", "é", strings.Repeat("t", maxIMDSToken+1)} {
		for _, ttl := range []string{"", "21600", "300", "1", "0", "-1", "1e3", "99999999999", " 60", "x"} {
			f.Add([]byte(s), ttl)
		}
	}
	f.Fuzz(func(t *testing.T, body []byte, ttl string) {
		if token, ok := parseIMDSToken(body); ok && (token == "" || len(token) > maxIMDSToken || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' })) {
			t.Fatalf("%q gave %q", body, token)
		}
		life := imdsTokenLife(ttl)
		if life < 0 || life > imdsTTL {
			t.Fatalf("%q: %v", ttl, life)
		}
		if n, err := strconv.Atoi(ttl); err == nil && n < 21600 && life > time.Duration(max(n, 0))*time.Second {
			t.Fatalf("%q: %v", ttl, life)
		}
	})
}

type answering func(*http.Request) (*http.Response, error)

func (a answering) RoundTrip(r *http.Request) (*http.Response, error) { return a(r) }

func FuzzContainerAnswer(f *testing.F) {
	for i, s := range answers() {
		f.Add([]byte(s), uint16([]int{200, 200, 404, 503, 429, 302}[i%6]), "application/json")
	}
	r := New(Config{Home: "/nowhere", Getenv: func(name string) string { return map[string]string{tokenVar: "CANARY7CANARY8"}[name] }})
	f.Fuzz(func(t *testing.T, text []byte, status uint16, contentType string) {
		direct := &http.Client{Transport: answering(func(r *http.Request) (*http.Response, error) {
			if r.Header.Get("Authorization") != "CANARY7CANARY8" {
				t.Error("the token was not sent")
			}
			return &http.Response{StatusCode: int(status), Header: http.Header{"Content-Type": {contentType}, "Retry-After": {contentType}}, Body: io.NopCloser(strings.NewReader(string(text))), Request: r}, nil
		}), CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		k := &container{r: r, url: &url.URL{Scheme: "http", Host: "127.0.0.1:1", Path: "/"}, ask: asker{client: direct, attempts: 1, timeout: time.Minute, total: time.Minute}}
		c, err := k.Retrieve(t.Context())
		judged(t, text, c, err)
	})
}

// FuzzUpstreamMessage: what an upstream says is shown as one short line without
// what it was sent.
func FuzzUpstreamMessage(f *testing.F) {
	for _, s := range []string{"", "not authorized to perform: sts:AssumeRole", "a\nb", "\x1b[2J", "\u202e", "\xff", strings.Repeat("é", 300), strings.Repeat("A1b2", 30)} {
		f.Add(s, "secret0123456789")
		f.Add(s+"secret0123456789"+s, "secret0123456789")
	}
	f.Fuzz(func(t *testing.T, text, secret string) {
		if len(secret) < 8 || strings.Contains("[redacted]", secret) || strings.Contains("[redacted][redacted]", secret) {
			return
		}
		got := operation{secrets: []creds.Secret{creds.NewSecret(secret)}}.safe(text)
		if strings.Contains(got, secret) && !strings.Contains(secret, "[redacted]") && !strings.ContainsFunc(secret, func(r rune) bool { return r == ' ' || unprintable(r) || r == utf8.RuneError }) {
			t.Fatalf("%q is in %q", secret, got)
		}
		if strings.ContainsFunc(got, unprintable) || !utf8.ValidString(got) || len(got) > 210 {
			t.Fatalf("%q", got)
		}
	})
}

func FuzzRetryAfter(f *testing.F) {
	for _, s := range []string{"", "30", "-1", "99999999999", "Fri, 31 Dec 1999 23:59:59 GMT", "Fri, 31 Dec 9999 23:59:59 GMT", "1e3", " 5"} {
		f.Add(s, int64(1_700_000_000))
	}
	f.Fuzz(func(t *testing.T, text string, now int64) {
		if d := parseRetryAfter(text, time.Unix(now, 0)); d < 0 || d > time.Hour {
			t.Fatalf("%q: %v", text, d)
		}
	})
}
