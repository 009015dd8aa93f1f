package control

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"rolecall/internal/peercred"
	"rolecall/internal/usererr"
)

// FuzzControl sends any request through the handler of the control socket: who
// may not command the daemon reaches nothing of it, and every answer of ours is
// JSON.
func FuzzControl(f *testing.F) {
	for _, seed := range []struct{ method, path, body string }{
		{"GET", "/v1/status", ""}, {"POST", "/v1/load", `{"slot":"a","source":"dev"}`}, {"POST", "/v1/load", `{"slot":"a","source":"dev"} {}`}, {"POST", "/v1/load", `{"other":1}`}, {"POST", "/v1/unload", `{"all":true}`},
		{"POST", "/v1/unload", "null"}, {"POST", "/v1/refresh", `{"slot":"fail"}`}, {"POST", "/v1/reload", "{}"}, {"GET", "/metrics", ""}, {"PUT", "/v1/load", "{}"}, {"POST", "/v1/../v1/load", "{}"}, {"POST", "//v1/load", "{}"}, {"GET", "/v1/status/", ""}, {"CONNECT", "x:1", ""}, {"OPTIONS", "*", ""},
	} {
		f.Add(seed.method, seed.path, "Host: rolecall", seed.body, true)
		f.Add(seed.method, seed.path, "Host: rolecall", seed.body, false)
	}
	f.Fuzz(func(t *testing.T, method, path, head, body string, own bool) {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(method + " " + path + " HTTP/1.1\r\n" + head + "\r\n\r\n")))
		if err != nil {
			return
		}
		r.Body = http.NoBody
		if body != "" {
			r.Body = readCloser{strings.NewReader(body)}
		}
		calls, denied := 0, 0
		count := func() error {
			calls++
			if strings.Contains(body, "fail") {
				return &usererr.Error{Code: usererr.Throttled, Msg: "later", Hint: "wait"}
			}
			return nil
		}
		handler := NewServer(HandlerConfig{
			Daemon: Daemon{
				Status:  func(context.Context) (Status, error) { return Status{}, count() },
				Load:    func(context.Context, LoadRequest) (LoadResult, error) { return LoadResult{}, count() },
				Unload:  func(context.Context, UnloadRequest) ([]string, error) { return []string{}, count() },
				Refresh: func(context.Context, RefreshRequest) (Slot, error) { return Slot{}, count() },
				Reload:  func(context.Context) (ReloadResult, error) { return ReloadResult{}, count() },
			},
			Allowed: func(p peercred.Peer) bool { return p.Is(1000) },
			Metrics: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { calls++ }),
			Denied:  func(peercred.Peer) { denied++ },
		}).Handler
		p := peercred.Peer{UID: 33, Known: true}
		if own {
			p.UID = 1000
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r.WithContext(context.WithValue(context.Background(), peerKey{}, p)))
		if !own && (calls != 0 || denied != 1 || w.Code != http.StatusForbidden) {
			t.Fatalf("another user: %d calls, %d denials, status %d", calls, denied, w.Code)
		}
		if calls > 1 || calls == 1 && w.Code != http.StatusOK && w.Code != http.StatusServiceUnavailable {
			t.Fatalf("%d calls, status %d", calls, w.Code)
		}
		if w.Header().Get("Content-Type") == "application/json" && !json.Valid(w.Body.Bytes()) {
			t.Fatalf("%q is no JSON", w.Body)
		}
	})
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }
