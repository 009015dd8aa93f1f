package source

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"rolecall/internal/awsconfig"
	"rolecall/internal/creds"
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
	var e *creds.RetrieveError
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
	i := &instance{host: "127.0.0.1:1"}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := i.parse(text)
		if err == nil {
			c, err = complete(c, "x")
		}
		judged(t, text, c, err)
	})
}

type answering func(*http.Request) (*http.Response, error)

func (a answering) RoundTrip(r *http.Request) (*http.Response, error) { return a(r) }

func FuzzContainerAnswer(f *testing.F) {
	for i, s := range answers() {
		f.Add([]byte(s), uint16([]int{200, 200, 404, 503, 429, 302}[i%6]), "application/json")
	}
	f.Fuzz(func(t *testing.T, text []byte, status uint16, contentType string) {
		direct := &http.Client{Transport: answering(func(r *http.Request) (*http.Response, error) {
			if r.Header.Get("Authorization") != "CANARY7CANARY8" {
				t.Error("the token was not sent")
			}
			return &http.Response{StatusCode: int(status), Header: http.Header{"Content-Type": {contentType}, "Retry-After": {contentType}}, Body: io.NopCloser(strings.NewReader(string(text))), Request: r}, nil
		}), CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		k := &container{r: &Resolver{direct: direct}, url: &url.URL{Scheme: "http", Host: "127.0.0.1:1", Path: "/"}}
		ctx, seen := watch(t.Context())
		c, _, err := k.fetch(ctx, "CANARY7CANARY8", seen)
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
