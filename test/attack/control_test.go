package attack_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"rolecall/internal/fakeaws"
	"rolecall/test/world"
)

func socket(w *world.World) string { return filepath.Join(w.Dir(), "control.sock") }

func quoted(text string) string {
	b, _ := json.Marshal(text)
	return string(b)
}

// ask is one request at the control socket.
func ask(t testing.TB, w *world.World, method, path, body string) (status int, answer string) {
	t.Helper()
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket(w))
	}}
	req, err := http.NewRequest(method, "http://rolecall"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// commands are all that the control socket offers.
func commands() []string {
	host := "Host: rolecall"
	post := func(path, body string) string {
		return lines("POST "+path+" HTTP/1.1", host, "Content-Type: application/json", "Connection: close", fmt.Sprint("Content-Length: ", len(body))) + body
	}
	return []string{
		lines("GET /v1/status HTTP/1.1", host, "Connection: close"), lines("GET /metrics HTTP/1.1", host, "Connection: close"),
		post("/v1/load", `{"slot":"evil","source":"profile:dev"}`), post("/v1/load", `{"slot":"","source":"fake"}`),
		post("/v1/unload", `{"slot":"","all":true}`), post("/v1/refresh", `{"slot":""}`), post("/v1/reload", `{}`),
	}
}

func TestControlSocketIsItsOwnersAlone(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows files have no mode bits")
	}
	w := world.New(t, fakeaws.Config{})
	d := w.Serve("--load", "dev")
	works(t, d)
	for path, want := range map[string]os.FileMode{w.Dir(): 0o700 | os.ModeDir, socket(w): 0o600 | os.ModeSocket, socket(w) + ".lock": 0o600, w.TokenFile(): 0o600} {
		if info, err := os.Lstat(path); err != nil || info.Mode() != want {
			t.Errorf("%s: %v %v, want %v", filepath.Base(path), info.Mode(), err, want)
		}
	}
	if os.Geteuid() != 0 {
		t.Skip("only root can act as another user")
	}
	b := bombard(t, "unix", socket(w), commands())
	if b.Failed != len(commands()) {
		t.Errorf("%d of %d connections of another user were refused", b.Failed, len(commands()))
	}
	// Even where somebody has opened the modes.
	for _, path := range []string{w.Home, w.Dir(), socket(w)} {
		if err := os.Chmod(path, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	defer func() { _ = os.Chmod(w.Dir(), 0o700) }()
	for i, answer := range bombard(t, "unix", socket(w), commands()).Answers {
		if !strings.HasPrefix(answer, "HTTP/1.1 403") || strings.Contains(answer, "pid") {
			t.Errorf("%.30q: %.100q", commands()[i], answer)
		}
	}
	works(t, d)
	if status, text := ask(t, w, http.MethodGet, "/v1/status", ""); status != 200 || strings.Contains(text, "evil") {
		t.Errorf("%d %s", status, text)
	}
	if n := strings.Count(d.Log(), "control socket: refused"); n != len(commands()) {
		t.Errorf("%d of %d refusals are in the log", n, len(commands()))
	}
}

func TestControlSocketGarbage(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("this dials a unix socket by its path")
	}
	w := world.New(t, fakeaws.Config{})
	d := w.Serve("--load", "dev", "--log-level", "debug")
	works(t, d)
	sent := 0
	for name, request := range oddities("rolecall") {
		answer, _ := exchange("unix", socket(w), request)
		if sent++; credentials(answer) {
			t.Errorf("%s: credentials", name)
		}
	}
	for _, body := range []string{"", "[]", "0", `"x"`, "{", `{"slot":1}`, `{"slot":"a","source":["b"]}`, `{"unknown":1}`, `{"slot":"x","source":"fake"}{`, `{"slot":"x","source":"fake"} x`, `{"slot":""}{"slot":""}`, strings.Repeat("[", 60_000), `{"slot":"` + strings.Repeat("a", 100_000) + `"}`,
		`{"slot":"\ud800"}`, "\xff\xfe", `{"slot":"a\u0000b","source":"dev"}`, `{"slot":"..","source":"dev"}`, `{"slot":"x","source":""}`, `{"slot":"x","source":"role:"}`, `{"slot":"x","source":"fake:lifetime=-1s"}`} {
		for _, path := range []string{"/v1/load", "/v1/refresh", "/v1/nothing", "/", "/v1/../v1/load", "/debug/pprof/", "/v1/load/"} {
			answer, _ := exchange("unix", socket(w), lines("POST "+path+" HTTP/1.1", "Host: rolecall", fmt.Sprint("Content-Length: ", len(body)))+body)
			if sent++; !strings.HasPrefix(answer, "HTTP/1.1 4") && !strings.HasPrefix(answer, "HTTP/1.1 3") {
				t.Errorf("POST %s %.60q: %.100q", path, body, answer)
			}
		}
	}
	for _, method := range []string{"GET", "PUT", "DELETE", "OPTIONS", "PATCH"} {
		if status, _ := ask(t, w, method, "/v1/load", `{"slot":"x","source":"fake"}`); status != http.StatusMethodNotAllowed {
			t.Errorf("%s /v1/load: %d", method, status)
		}
	}
	works(t, d)
	status, text := ask(t, w, http.MethodGet, "/v1/status", "")
	var st struct{ Slots []struct{ Name string } }
	if err := json.Unmarshal([]byte(text), &st); status != 200 || err != nil || len(st.Slots) != 1 {
		t.Errorf("%d %s", status, text)
	}
	if strings.Contains(d.Log(), "panic") {
		t.Error("something panicked")
	}
	t.Logf("%d requests", sent)
}

// What the control socket offers is not to be had over TCP.
func TestNothingToCommandOverTCP(t *testing.T) {
	w := world.New(t, fakeaws.Config{})
	d := w.Serve("--load", "dev")
	works(t, d)
	before, calls := slots(t, d), w.AWS.Calls("sts:AssumeRole")
	for _, path := range []string{"/v1/status", "/v1/load", "/v1/unload", "/v1/refresh", "/v1/reload", "/v1/", "/metrics", "/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/goroutine?debug=2", "/debug/vars", "/debug/requests",
		"/admin", "/reload", "/-/reload", "/quit", "/shutdown", "/config", "/status", "/env", "/actuator/env", "/log", "/token", "/.well-known/", "/favicon.ico", "/robots.txt", "/index.html", "/healthz", "/readyz"} {
		for _, method := range []string{"GET", "POST", "PUT", "DELETE"} {
			body := ""
			if method == "POST" || method == "PUT" {
				body = `{"slot":"evil","source":"fake"}`
			}
			answer, err := exchange("tcp", d.Addr(), lines(method+" "+path+" HTTP/1.1", "Host: "+d.Addr(), fmt.Sprint("Content-Length: ", len(body)))+body)
			if err != nil || !strings.HasPrefix(answer, "HTTP/1.1 4") || strings.Contains(answer, "goroutine") {
				t.Errorf("%s %s: %.100q %v", method, path, answer, err)
			}
		}
	}
	if after := slots(t, d); after != before || w.AWS.Calls("sts:AssumeRole") != calls {
		t.Errorf("the slots were %s and are %s, after %d calls", before, after, w.AWS.Calls("sts:AssumeRole")-calls)
	}
}
