package control

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"rolecall/internal/creds"
	"rolecall/internal/usererr"
)

func serve(t *testing.T, h http.HandlerFunc) *Remote {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	r, err := NewRemote(s.URL, creds.NewSecret("a-token"))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestNewRemote(t *testing.T) {
	for server, want := range map[string]string{
		"http://127.0.0.1:4144":  "http://127.0.0.1:4144",
		"http://127.0.0.1:4144/": "http://127.0.0.1:4144",
		"localhost:4144":         "http://localhost:4144",
		"https://h":              "https://h",
		"http://[::1]:1":         "http://[::1]:1",
		"":                       "", "http://": "", "ftp://h": "", "http://u:p@h": "", "http://h/x": "", "http://h?x": "", "http://h#x": "", "http://h:x": "", "::": "",
	} {
		r, err := NewRemote(server, creds.Secret{})
		if (err == nil) != (want != "") {
			t.Errorf("%q: %v", server, err)
		} else if err == nil && r.URL() != want {
			t.Errorf("%q: %q, want %q", server, r.URL(), want)
		}
	}
}

func TestRemoteErrors(t *testing.T) {
	for _, c := range []struct {
		status int
		body   string
		want   usererr.Error
	}{
		{503, `{"code":"503","message":"m (h)","Code":"login_required","Message":"m (h)","hint":"h"}`, usererr.Error{Code: usererr.LoginRequired, Msg: "m", Hint: "h"}},
		{404, `{"code":"404","message":"m","Code":"not_found","Message":"m"}`, usererr.Error{Code: usererr.NotConfigured, Msg: "m"}},
		{403, `{"code":"403","message":"Invalid authorization token"}`, usererr.Error{Code: usererr.AccessDenied, Msg: "Invalid authorization token"}},
		{401, `{"Code":"no_token","Message":"m"}`, usererr.Error{Code: usererr.AccessDenied, Msg: "m", Hint: "name the server's authorization token file with --token-file"}},
		{429, ``, usererr.Error{Code: usererr.Throttled, Msg: "URL answered with HTTP status 429 Too Many Requests"}},
		{503, `{"status":"no credentials loaded"}`, usererr.Error{Code: usererr.Unavailable, Msg: "no credentials loaded"}},
		{502, `<html>`, usererr.Error{Code: usererr.Unavailable, Msg: "URL answered with HTTP status 502 Bad Gateway"}},
		{302, ``, usererr.Error{Code: usererr.Internal, Msg: "URL answered with HTTP status 302 Found"}},
		{400, `{"Code":400,"Message":["x"],"message":7}`, usererr.Error{Code: usererr.Internal, Msg: "URL answered with HTTP status 400 Bad Request"}},
	} {
		r := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "http://192.0.2.1/")
			w.WriteHeader(c.status)
			_, _ = io.WriteString(w, c.body)
		})
		err := r.Check(t.Context(), "/creds")
		var e *usererr.Error
		if !errors.As(err, &e) {
			t.Fatalf("%d %s: %v", c.status, c.body, err)
		}
		if got := strings.ReplaceAll(e.Msg, r.URL(), "URL"); e.Code != c.want.Code || got != c.want.Msg || e.Hint != c.want.Hint {
			t.Errorf("%d %s: %s, %q, %q", c.status, c.body, e.Code, got, e.Hint)
		}
	}
}

func TestRemotePush(t *testing.T) {
	end := time.UnixMilli(1893456000123).UTC()
	var method, path, auth string
	var body struct {
		ProfileName string
		Creds       map[string]any
	}
	r := serve(t, func(w http.ResponseWriter, q *http.Request) {
		method, path, auth = q.Method, q.URL.EscapedPath(), q.Header.Get("Authorization")
		if err := json.NewDecoder(q.Body).Decode(&body); err != nil {
			t.Error(err)
		}
	})
	err := r.Push(t.Context(), "a b/c", "dev", creds.Credentials{AccessKeyID: "ASIA", SecretAccessKey: creds.NewSecret("s"), SessionToken: creds.NewSecret("t"),
		AccountID: "000000000042", RoleName: "r", Expires: end})
	if err != nil || method != http.MethodPut || path != "/slot/a%20b%2Fc" || auth != "Bearer a-token" {
		t.Errorf("%v: %s %s %s", err, method, path, auth)
	}
	if body.ProfileName != "dev" || body.Creds["accountId"] != 42.0 || body.Creds["expiration"] != 1893456000123.0 || body.Creds["secretAccessKey"] != "s" {
		t.Errorf("%+v", body)
	}
}

func TestRemoteUnreachable(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	s.Close()
	r, err := NewRemote(s.URL, creds.Secret{})
	if err != nil {
		t.Fatal(err)
	}
	var e *usererr.Error
	if err := r.Health(t.Context(), ""); !errors.As(err, &e) || e.Code != usererr.Unavailable || !strings.HasPrefix(e.Msg, "no answer from "+s.URL) {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Health(ctx, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func FuzzRemoteRefusal(f *testing.F) {
	f.Add(503, `{"Code":"unavailable","Message":"x (y)","hint":"y"}`)
	f.Add(401, `{"Code":null}`)
	f.Add(500, "\xff")
	f.Add(404, `[]`)
	r, err := NewRemote("http://127.0.0.1:1", creds.Secret{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, status int, body string) {
		err := r.refusal(&http.Response{StatusCode: status, Status: "x", Header: http.Header{}}, json.NewDecoder(strings.NewReader(body)))
		var e *usererr.Error
		if !errors.As(err, &e) || e.Code == "" || e.Msg == "" {
			t.Errorf("%d %q: %#v", status, body, e)
		}
	})
}
