package mock_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"rolecall/internal/mock"
)

const adminHeader = "X-Rolecall-Mock"

func TestClient(t *testing.T) {
	t.Parallel()
	m := start(t, mock.Config{Faults: faults(t, "reset"), Seed: 5, Mode: mock.V2Only})
	ctx := within(t, 20*time.Second)
	for _, url := range []string{m.IMDS(), m.ECS(), m.IMDS() + "/", strings.Replace(m.ECS(), "127.0.0.1", "localhost", 1)} {
		c, err := mock.NewClient(url)
		if err != nil {
			t.Fatal(err)
		}
		s, err := c.Set(ctx, []string{"throttle=20%", "delay=1ms count=2"}, false)
		if err != nil || len(s.Faults) != 2 || s.IMDS != m.IMDS() || s.ECS != m.ECS() || s.Seed != 5 || s.Mode != "v2-only" {
			t.Errorf("%s: %+v, %v", url, s, err)
		}
		ask(t, "GET", m.ECS())
		if s, err = c.Set(ctx, []string{"hang"}, true); err != nil || len(s.Faults) != 3 || *s.Faults[1].Left != 1 || s.Requests["container:credentials"] != 1 {
			t.Errorf("%+v, %v", s, err)
		}
		if s, err = c.Status(ctx); err != nil || len(s.Faults) != 3 {
			t.Errorf("%+v, %v", s, err)
		}
		var syntax *mock.SyntaxError
		if _, err = c.Set(ctx, []string{"reset", "nonsense"}, false); !errors.As(err, &syntax) || !strings.Contains(syntax.Hint(), "throttle") {
			t.Errorf("nonsense: %v", err)
		}
		if s, err = c.Status(ctx); err != nil || len(s.Faults) != 3 {
			t.Errorf("a refused set changed something: %+v, %v", s, err)
		}
		if s, err = c.Clear(ctx); err != nil || len(s.Faults) != 0 || len(s.Requests) != 0 || s.Mode != "v2-only" {
			t.Errorf("%+v, %v", s, err)
		}
	}
}

func TestURLsThatAreNoMock(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"", "127.0.0.1:80", "https://127.0.0.1:80", "http://", "http://127.0.0.1", "http://169.254.169.254:80",
		"http://example.com:80", "http://10.0.0.1:80", "http://0.0.0.0:80", "http://localhost.example.com:80", "http://%zz:1", "ftp://127.0.0.1:80"} {
		if _, err := mock.NewClient(url); err == nil {
			t.Errorf("%q was taken", url)
		}
	}
	ctx := within(t, 20*time.Second)
	for name, h := range map[string]http.HandlerFunc{
		"empty": func(http.ResponseWriter, *http.Request) {},
		"html":  func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) },
		"json":  func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{}")) },
		"404":   http.NotFound,
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:9/", http.StatusFound)
		},
	} {
		s := httptest.NewServer(h)
		c, err := mock.NewClient(s.URL)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Status(ctx); !errors.Is(err, mock.ErrNoMock) {
			t.Errorf("%s: %v", name, err)
		}
		s.Close()
		if _, err := c.Clear(ctx); !errors.Is(err, mock.ErrNoMock) {
			t.Errorf("%s, closed: %v", name, err)
		}
	}
	gone, cancel := context.WithCancel(ctx)
	cancel()
	c, err := mock.NewClient("http://127.0.0.1:9")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Status(gone); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}

// Nothing that a browser, a proxy or a rebound name sends changes the mock, and no page may read its state.
func TestOnlyTheClientChangesIt(t *testing.T) {
	t.Parallel()
	m := start(t, mock.Config{Faults: faults(t, "delay=1us")})
	base := strings.TrimSuffix(m.ECS(), mock.ContainerPath)
	host := strings.TrimPrefix(m.IMDS(), "http://")
	_, port, _ := strings.Cut(host, ":")
	good := []string{adminHeader, "1"}
	ctx := within(t, 60*time.Second)
	for name, header := range map[string][]string{
		"no header":       nil,
		"wrong value":     {adminHeader, "2"},
		"empty value":     {adminHeader, ""},
		"content type":    {"Content-Type", "application/json"},
		"Origin":          append([]string{"Origin", "http://" + host}, good...),
		"null Origin":     append([]string{"Origin", "null"}, good...),
		"Referer":         append([]string{"Referer", "http://evil.example/"}, good...),
		"Sec-Fetch-Site":  append([]string{"Sec-Fetch-Site", "same-origin"}, good...),
		"Sec-Fetch-Mode":  append([]string{"Sec-Fetch-Mode", "cors"}, good...),
		"X-Forwarded-For": append([]string{"X-Forwarded-For", "127.0.0.1"}, good...),
		"Forwarded":       append([]string{"Forwarded", "for=127.0.0.1"}, good...),
		"Via":             append([]string{"Via", "1.1 x"}, good...),
		"foreign Host":    append([]string{"Host", "evil.example:" + port}, good...),
		"Host, no port":   append([]string{"Host", "127.0.0.1"}, good...),
		"other port":      append([]string{"Host", "127.0.0.1:1"}, good...),
		"trailing dot":    append([]string{"Host", "localhost.:" + port}, good...),
		"case":            append([]string{"Host", "LOCALHOST:" + port}, good...),
		"decimal Host":    append([]string{"Host", "2130706433:" + port}, good...),
		"IPv6":            append([]string{"Host", "[::1]:" + port}, good...),
		"other loopback":  append([]string{"Host", "127.0.0.2:" + port}, good...),
	} {
		for _, r := range []struct{ method, path, body string }{
			{"POST", "/_mock/faults", `{"faults":["reset"]}`}, {"DELETE", "/_mock/faults", ""}, {"GET", "/_mock/status", ""}, {"OPTIONS", "/_mock/faults", ""},
		} {
			status, body, h, err := send(ctx, r.method, m.IMDS()+r.path, r.body, header...)
			if err != nil || status != http.StatusForbidden || strings.Contains(body, "delay") {
				t.Errorf("%s: %s %s: %d %s %v", name, r.method, r.path, status, body, err)
			}
			for k := range h {
				if strings.HasPrefix(k, "Access-Control-") {
					t.Errorf("%s: %s", name, k)
				}
			}
		}
	}
	for _, r := range []struct {
		method, path, body string
		want               int
	}{
		{"POST", "/_mock/faults", "", 400},
		{"POST", "/_mock/faults", "{", 400},
		{"POST", "/_mock/faults", "[]", 400},
		{"POST", "/_mock/faults", `{"faults":["reset"]}{}`, 400},
		{"POST", "/_mock/faults", `{"faults":"reset"}`, 400},
		{"POST", "/_mock/faults", "{}", 400},
		{"POST", "/_mock/faults", "null", 400},
		{"POST", "/_mock/faults", `{"faults":[]}}`, 400},
		{"POST", "/_mock/faults", `{"faults":["reset"],"more":1}`, 400},
		{"POST", "/_mock/faults", `{"faults":["reset","x"]}`, 400},
		{"POST", "/_mock/faults", `{"faults":["v1-only","v2-only"]}`, 400},
		{"POST", "/_mock/faults", `{"faults":["` + strings.Repeat("x", 300<<10) + `"]}`, 400},
		{"POST", "/_mock/faults", `{"faults":["reset"` + strings.Repeat(`,"reset"`, 100) + `]}`, 400},
		{"PUT", "/_mock/faults", `{"faults":["reset"]}`, 404},
		{"GET", "/_mock/faults", "", 404},
		{"POST", "/_mock/status", "", 404},
		{"GET", "/_mock/", "", 404},
		{"GET", "/_mock/status/", "", 404},
		{"GET", "/_mock/status", "", 200},
	} {
		status, _, _, err := send(ctx, r.method, base+r.path, r.body, good...)
		if err != nil || status != r.want {
			t.Errorf("%s %s %.60s: %d, want %d, %v", r.method, r.path, r.body, status, r.want, err)
		}
	}
	if s := m.Status(); len(s.Faults) != 1 || s.Faults[0].Fault != "delay=1us" {
		t.Errorf("something was changed: %+v", s.Faults)
	}
}

// A listener that others can reach has no control requests, not even for this machine.
func TestNoControlBeyondLoopback(t *testing.T) {
	t.Parallel()
	m := start(t, mock.Config{IMDS: netip.MustParseAddrPort("0.0.0.0:0"), Mode: mock.V2Only})
	_, port, _ := strings.Cut(strings.TrimPrefix(m.IMDS(), "http://"), ":")
	for _, host := range []string{"127.0.0.1:" + port, "0.0.0.0:" + port, "localhost:" + port} {
		status, body, _ := ask(t, "GET", "http://127.0.0.1:"+port+"/_mock/status", adminHeader, "1", "Host", host)
		if status != http.StatusUnauthorized || strings.Contains(body, "seed") {
			t.Errorf("%s: %d %s", host, status, body)
		}
	}
	c, err := mock.NewClient(m.ECS())
	if err != nil {
		t.Fatal(err)
	}
	if s, err := c.Status(within(t, 20*time.Second)); err != nil || s.IMDS != m.IMDS() {
		t.Errorf("%+v, %v", s, err)
	}
}
