package source

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"rolecall/internal/creds"
	"rolecall/internal/fakeaws"
	"rolecall/internal/usererr"
)

func TestSTSFailures(t *testing.T) {
	const op = "sts:AssumeRole"
	for _, tt := range []struct {
		name  string
		fault fakeaws.Fault
		code  usererr.Code
		word  string
		calls int
	}{
		{"access denied", fakeaws.Fault{Status: 403, Code: "AccessDenied", Message: "User: x is not authorized"}, usererr.AccessDenied, "not authorized", 1},
		{"unknown key", fakeaws.Fault{Status: 403, Code: "InvalidClientTokenId"}, usererr.AccessDenied, "InvalidClientTokenId", 1},
		{"wrong secret", fakeaws.Fault{Status: 403, Code: "SignatureDoesNotMatch"}, usererr.AccessDenied, "SignatureDoesNotMatch", 1},
		{"expired base", fakeaws.Fault{Status: 403, Code: "ExpiredToken"}, usererr.LoginRequired, "ExpiredToken", 1},
		{"bad request", fakeaws.Fault{Status: 400, Code: "ValidationError"}, usererr.NotConfigured, "ValidationError", 1},
		{"throttled", fakeaws.Fault{Status: 400, Code: "Throttling", RetryAfter: 30 * time.Second}, usererr.Throttled, "too many requests", 1},
		{"429", fakeaws.Fault{Status: 429}, usererr.Throttled, "too many requests", 1},
		{"slow down", fakeaws.Fault{Status: 503, Code: "SlowDown"}, usererr.Throttled, "too many requests", 1},
		{"500", fakeaws.Fault{Status: 500, Code: "InternalFailure"}, usererr.Unavailable, "InternalFailure", 2},
		{"503", fakeaws.Fault{Status: 503, Code: "ServiceUnavailable"}, usererr.Unavailable, "ServiceUnavailable", 2},
		{"503 with a wish", fakeaws.Fault{Status: 503, Code: "ServiceUnavailable", RetryAfter: 20 * time.Second}, usererr.Unavailable, "ServiceUnavailable", 1},
		{"odd code", fakeaws.Fault{Status: 400, Code: "Odd<b>\u202e"}, usererr.Unavailable, "", 1},
		{"reset", fakeaws.Fault{Reset: true}, usererr.Unavailable, "not answered", 2},
		{"redirect", fakeaws.Fault{Redirect: "http://127.0.0.1:1/"}, usererr.Unavailable, "redirect (status 302)", 1},
		{"html", fakeaws.Fault{Body: []byte("<html>CANARY</html>")}, usererr.Unavailable, "", 1},
		{"html error", fakeaws.Fault{Status: 403, Body: []byte("<html>CANARY</html>")}, usererr.Unavailable, "no answer of AWS (status 403)", 1},
		{"empty body", fakeaws.Fault{Body: []byte{}}, usererr.Unavailable, "", 1},
		{"json", fakeaws.Fault{Body: []byte(`{"AccessKeyId":"CANARY"}`), ContentType: "application/json"}, usererr.Unavailable, "", 1},
		{"too large", fakeaws.Fault{Body: bytes.Repeat([]byte("<!-- CANARY -->"), 10_000)}, usererr.Unavailable, "more than 64 KiB", 1},
		{"truncated", fakeaws.Fault{Truncate: true}, usererr.Unavailable, "", 1},
		{"empty keys", fakeaws.Fault{EmptyKeys: true}, usererr.Unavailable, "without keys", 1},
		{"expired keys", fakeaws.Fault{Expired: true}, usererr.Unavailable, "keys that ended at", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newRig(t, fakeaws.Config{})
			tt.fault.Match = op
			g.fake.Script(tt.fault)
			e := g.fails("dev", tt.code, tt.word)
			if strings.Contains(e.Msg+e.Hint, "CANARY") || strings.ContainsAny(e.Msg, "<>\u202e") {
				t.Errorf("the answer is shown: %q", e.Msg)
			}
			if e.RetryAfter != tt.fault.RetryAfter {
				t.Errorf("RetryAfter is %v, want %v", e.RetryAfter, tt.fault.RetryAfter)
			}
			if n := g.fake.Calls(op); n != tt.calls {
				t.Errorf("%d calls, want %d", n, tt.calls)
			}
			if tt.code.NeedsPerson() && e.Hint == "" && tt.code != usererr.NotConfigured {
				t.Errorf("no hint with %q", e.Msg)
			}
			g.fake.ClearFaults()
			g.must("dev")
		})
	}
}

// TestSecondAttempt: one blip is not seen from outside.
func TestSecondAttempt(t *testing.T) {
	for name, fault := range map[string]fakeaws.Fault{"reset": {Reset: true}, "500": {Status: 500}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t, fakeaws.Config{})
			fault.Match, fault.Times = "*", 1
			g.fake.Script(fault)
			g.must("dev")
			g.fake.Script(fault)
			g.must("sso-dev")
			g.fake.Script(fault)
			g.must("imds")
			g.env["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = g.fake.ContainerURL("task")
			g.fake.Script(fault)
			g.must("container")
		})
	}
}

func TestNobodyThere(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "http://" + l.Addr().String()
	l.Close()
	g := newRig(t, fakeaws.Config{})
	g.env["AWS_ENDPOINT_URL"], g.env["AWS_ENDPOINT_URL_STS"], g.env["AWS_ENDPOINT_URL_SSO"] = url, "", ""
	g.env["AWS_EC2_METADATA_SERVICE_ENDPOINT"], g.env["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = url, url+"/x"
	for _, text := range []string{"dev", "sso-dev", "imds", "container"} {
		g.fails(text, usererr.Unavailable, "connection was refused")
	}
	// A server that does not speak TLS.
	g.env["AWS_ENDPOINT_URL"] = strings.Replace(g.fake.URL(), "http:", "https:", 1)
	g.fails("dev", usererr.Unavailable, "not answered")
}

// TestDeadline: the caller's end is obeyed at once, and an upstream that hangs
// is given up in the time that Timeout tells.
func TestDeadline(t *testing.T) {
	for _, fault := range []fakeaws.Fault{{Match: "*", Hang: true}, {Match: "*", Drip: time.Second}} {
		g := newRig(t, fakeaws.Config{})
		g.env["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = g.fake.ContainerURL("task")
		g.fake.Script(fault)
		for _, text := range []string{"dev", "sso-dev", "imds", "container"} {
			s, err := g.r.Resolve(text)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
			start := time.Now()
			_, err = s.Provider.Retrieve(ctx)
			cancel()
			isError(t, text, err, usererr.Unavailable, map[bool]string{true: "timed out", false: "not answered in time"}[text == "imds"])
			if took := time.Since(start); took > 3*time.Second {
				t.Errorf("%s took %v", text, took)
			}
		}
	}
}

func TestHangIsGivenUp(t *testing.T) {
	t.Parallel()
	g := newRig(t, fakeaws.Config{})
	g.fake.Script(fakeaws.Fault{Match: "sts:AssumeRole", Hang: true})
	start := time.Now()
	g.fails("dev", usererr.Unavailable, "not answered in time")
	if took := time.Since(start); took > callTimeout+time.Second {
		t.Errorf("took %v", took)
	}
	if n := g.fake.Calls("sts:AssumeRole"); n != 1 {
		t.Errorf("a slow upstream was called %d times", n)
	}
}

func TestSlowUpstreamWorks(t *testing.T) {
	t.Parallel()
	g := newRig(t, fakeaws.Config{})
	g.fake.Script(fakeaws.Fault{Match: "sts:AssumeRole", Delay: 3 * time.Second})
	g.must("dev")
}

func TestMessagesAreCutAndClean(t *testing.T) {
	op := operation{name: "x", secrets: []creds.Secret{creds.NewSecret("SENT"), {}}}
	got := op.safe("a\r\nb\x1b[31m\u202eSENT " + strings.Repeat("ü", 200))
	if strings.ContainsAny(got, "\r\n\x1b\u202e") || strings.Contains(got, "SENT") || len(got) > 210 || !strings.HasSuffix(got, "…") {
		t.Errorf("%q", got)
	}
	for code, want := range map[string]string{"AccessDenied": "AccessDenied", "sso.Foo": "sso.Foo", "ns#X": "an unreadable code", "X:http://x": "X", strings.Repeat("x", 65): "an unreadable code"} {
		if got := safeCode(code); got != want {
			t.Errorf("%q: %q", code, got)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"": 0, "30": 30 * time.Second, "-1": 0, "x": 0, "1e9": 0, "99999999": time.Hour,
		now.Add(time.Minute).Format(http.TimeFormat): time.Minute, now.Add(-time.Minute).Format(http.TimeFormat): 0,
	} {
		if got := parseRetryAfter(text, now); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

// TestBoundedBody: exactly 64 KiB are fine, one byte more is not.
func TestBoundedBody(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := maxBody
		if r.URL.Path == "/more" {
			n++
		}
		w.Header().Set("Content-Encoding", "gzip") // must not be undone
		_, _ = w.Write(bytes.Repeat([]byte("x"), n))
	}))
	defer server.Close()
	client := newClient(nil, nil)
	for path, ok := range map[string]bool{"/": true, "/more": false} {
		resp, err := client.Get(server.URL + path)
		if !ok {
			if !errors.Is(err, errTooLarge) {
				t.Errorf("%s: %v", path, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		if len(text) != maxBody || err != nil {
			t.Errorf("%s: %d bytes, %v", path, len(text), err)
		}
	}
}

func TestLocalHost(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "127.0.0.1": true, "127.9.9.9": true, "::1": true, "169.254.169.254": true, "169.254.170.2": true, "fd00:ec2::254": true, "fe80::1": true, "::ffff:127.0.0.1": true,
		"sts.amazonaws.com": false, "10.0.0.1": false, "fd00:ec3::1": false, "localhost.example.com": false, "0.0.0.0": false, "": false,
	} {
		if got := localHost(host); got != want {
			t.Errorf("%q: %v", host, got)
		}
	}
}
