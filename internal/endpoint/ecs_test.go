package endpoint_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"rolecall/internal/creds"
	"rolecall/internal/endpoint"
	"rolecall/internal/peercred"
	"rolecall/internal/usererr"
)

const token = "0123456789abcdef0123456789abcdef"

// world is a real server with a shelf in memory.
type world struct {
	t     *testing.T
	addr  string
	guard *endpoint.Guard
	mu    sync.Mutex
	slots map[string]endpoint.Upload
	fail  error
	audit []endpoint.Record
}

// uidPeers says that every client is the given user.
type uidPeers struct {
	uid   uint32
	known bool
}

func (p uidPeers) TCP(_, _ netip.AddrPort) peercred.Peer {
	return peercred.Peer{UID: p.uid, Known: p.known}
}

func newWorld(t *testing.T, a endpoint.Access, change ...func(*endpoint.ServerConfig)) *world {
	t.Helper()
	w := &world{t: t, guard: endpoint.NewGuard(a), slots: map[string]endpoint.Upload{}}
	w.slots[""] = endpoint.Upload{ProfileName: "dev", Credentials: good()}
	w.slots["a/b"] = endpoint.Upload{ProfileName: "a/b", Credentials: good()}
	c := endpoint.ServerConfig{Peers: uidPeers{1000, true},
		Handler: endpoint.NewECS(endpoint.ECSConfig{Guard: w.guard, Slots: w, Shelf: w, Auditor: w})}
	for _, f := range change {
		f(&c)
	}
	w.addr = listen(t, c)
	return w
}

// listen serves on loopback until the test ends.
func listen(t *testing.T, c endpoint.ServerConfig) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := endpoint.NewServer(c)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	s.Add(ln)
	go func() { done <- s.Run(ctx, time.Second) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error("serve:", err)
		}
	})
	return ln.Addr().String()
}

func good() creds.Credentials {
	return creds.Credentials{AccessKeyID: "ASIAEXAMPLE000001", SecretAccessKey: creds.NewSecret("CANARYsecret"), SessionToken: creds.NewSecret("CANARYtoken"),
		AccountID: "123456789012", RoleName: "dev", Expires: time.Now().Add(2*time.Hour - time.Second)}
}

func (w *world) Document(_ context.Context, t endpoint.Target) (*endpoint.Document, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fail != nil {
		return nil, w.fail
	}
	u, there := w.slots[t.Name]
	if t.Kind != endpoint.DefaultSlot && t.Kind != endpoint.NamedSlot || !there {
		return nil, endpoint.NotFound("no such slot", "rolecall list shows them")
	}
	return endpoint.NewDocument(u.Credentials, u.Credentials.Expires), nil
}

func (w *world) Profile(name string) (endpoint.Profile, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	u, there := w.slots[name]
	if !there {
		return endpoint.Profile{}, endpoint.NotFound("no such slot", "")
	}
	return endpoint.Profile{ProfileName: u.ProfileName, AccountID: u.Credentials.AccountID, RoleName: u.Credentials.RoleName, Expires: u.Credentials.Expires}, nil
}

func (w *world) Profiles() (all []endpoint.Profile) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for name, u := range w.slots {
		if name != "" {
			all = append(all, endpoint.Profile{ProfileName: name, Expires: u.Credentials.Expires})
		}
	}
	return all
}

func (w *world) Push(name string, u endpoint.Upload) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.slots[name] = u
	return nil
}

func (w *world) Unload(name string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, there := w.slots[name]; !there {
		return endpoint.NotFound("no such slot", "")
	}
	delete(w.slots, name)
	return nil
}

func (w *world) UnloadNamed() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for name := range w.slots {
		if name != "" {
			delete(w.slots, name)
		}
	}
}

func (w *world) Audit(r endpoint.Record) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.audit = append(w.audit, r)
}

// raw sends bytes and reads one answer; nil when the server closed.
func (w *world) raw(request string) *answer {
	w.t.Helper()
	c, err := net.Dial("tcp", w.addr)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	go func() { _, _ = io.WriteString(c, request) }()
	method, _, _ := strings.Cut(request, " ")
	resp, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: method})
	if err != nil {
		return nil
	}
	defer func() { _ = resp.Body.Close() }()
	body, _ := io.ReadAll(resp.Body)
	return &answer{resp, string(body)}
}

type answer struct {
	*http.Response
	body string
}

func (a *answer) field(key string) string {
	var m map[string]any
	if json.Unmarshal([]byte(a.body), &m) != nil {
		return ""
	}
	return fmt.Sprint(m[key])
}

// ask makes a plain request; lines are further header lines.
func (w *world) ask(method, path string, lines ...string) *answer {
	w.t.Helper()
	body := ""
	if n := len(lines); n > 0 && !strings.Contains(lines[n-1], ": ") || n > 0 && strings.HasPrefix(lines[n-1], "{") {
		body, lines = lines[n-1], lines[:n-1]
		lines = append(lines, fmt.Sprintf("Content-Length: %d", len(body)))
	}
	host := "Host: " + w.addr
	for _, l := range lines {
		if strings.HasPrefix(l, "Host:") {
			host = ""
		}
	}
	if host != "" {
		lines = append([]string{host}, lines...)
	}
	a := w.raw(method + " " + path + " HTTP/1.1\r\n" + strings.Join(lines, "\r\n") + "\r\n\r\n" + body)
	if a == nil {
		w.t.Fatalf("%s %s: no answer", method, path)
	}
	return a
}

func open() endpoint.Access {
	return endpoint.Access{Mode: endpoint.AuthAuto, Tokens: []string{token}, UIDs: []uint32{1000}}
}

func TestCredentialsOnTheWire(t *testing.T) {
	w := newWorld(t, open())
	for _, path := range []string{"/", "/creds", "/v1/credentials", "/slot/a%2Fb", "/creds?x=1&x=2"} {
		a := w.ask("GET", path)
		if a.StatusCode != 200 || a.Header.Get("Content-Type") != "application/json" || a.Header.Get("Cache-Control") != "no-store" {
			t.Fatalf("%s: %d %v", path, a.StatusCode, a.Header)
		}
		for key, want := range map[string]string{"AccessKeyId": "ASIAEXAMPLE000001", "SecretAccessKey": "CANARYsecret", "Token": "CANARYtoken",
			"AccountId": "123456789012", "RoleArn": "arn:aws:iam::123456789012:role/dev"} {
			if got := a.field(key); got != want {
				t.Errorf("%s: %s = %q", path, key, got)
			}
		}
		if exp := a.field("Expiration"); len(exp) != 20 || exp[19] != 'Z' {
			t.Errorf("%s: Expiration %q", path, exp)
		}
		if len(a.Header) != 6 { // Date, Content-Length and the four set here
			t.Errorf("%s: headers %v", path, a.Header)
		}
	}
}

func TestPathsAndMethods(t *testing.T) {
	w := newWorld(t, open())
	for _, c := range []struct {
		request string
		status  int
	}{
		{"GET /nothing", 404}, {"GET //", 404}, {"GET /creds/", 404}, {"GET /slot/nope", 404}, {"GET /slot/a/b", 404}, {"GET /../creds", 404},
		{"GET /slot/%zz", 400}, {"GET /slot/..%2f..%2fetc", 404}, {"GET /slot/%00", 404}, {"GET /metrics", 404},
		{"POST /", 405}, {"HEAD /", 405}, {"PATCH /slot/x", 405}, {"PUT /profile", 405}, {"DELETE /source/x", 405}, {"TRACE /", 405},
		{"OPTIONS /", 403}, {"OPTIONS *", 403},
		{"GET /profile", 200}, {"GET /slot", 200}, {"GET /slot/", 200}, {"GET /healthcheck", 200}, {"HEAD /healthcheck", 200},
		{"GET /healthcheck/slot/a%2Fb", 200}, {"GET /healthcheck/slot/nope", 503}, {"POST /healthcheck", 405},
		{"DELETE /slot/nope", 404}, {"DELETE /slot/a%2Fb", 200}, {"GET /slot/a%2Fb", 404}, {"DELETE /slot", 200}, {"DELETE /", 200}, {"GET /", 404}, {"GET /profile", 404}, {"GET /healthcheck", 503},
	} {
		method, path, _ := strings.Cut(c.request, " ")
		a := w.ask(method, path)
		if a.StatusCode != c.status {
			t.Errorf("%s: %d %s, want %d", c.request, a.StatusCode, a.body, c.status)
		}
		if strings.Contains(a.body, "CANARY") {
			t.Errorf("%s: a secret in %s", c.request, a.body)
		}
		if method != "HEAD" && a.StatusCode >= 400 && path != "/slot/%zz" && c.status != 503 {
			if a.field("code") != fmt.Sprint(c.status) || a.field("message") == "" || a.field("message") != a.field("Message") || a.Header.Get("Content-Type") != "application/json" {
				t.Errorf("%s: error body %s", c.request, a.body)
			}
		}
	}
}

func TestForeignRequestsGetNothing(t *testing.T) {
	w := newWorld(t, open())
	_, port, _ := net.SplitHostPort(w.addr)
	for _, line := range []string{
		"Origin: https://evil.example", "Origin: null", "Referer: http://evil.example/", "Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: none",
		"Forwarded: for=1.2.3.4", "X-Forwarded-For: 127.0.0.1", "x-forwarded-for:", "Via: 1.1 proxy", "X-Real-Ip: 1.2.3.4", "Upgrade: websocket", "origin:",
		"Access-Control-Request-Private-Network: true",
		"Host: evil.example", "Host: evil.example:" + port, "Host: LOCALHOST:" + port, "Host: localhost.:" + port, "Host: 127.0.0.1.:" + port,
		"Host: 127.1:" + port, "Host: 2130706433:" + port, "Host: 0.0.0.0:" + port, "Host: [::ffff:7f00:1]:" + port, "Host: [::1]:" + port, "Host: 127.0.0.1:1",
		"Host: localhost:80", "Host: 169.254.169.254", "Host:", "Host: 127.0.0.1:" + port + "@evil.example", "Host: 0x7f.1:" + port,
	} {
		for _, path := range []string{"/", "/slot/a%2Fb", "/profile", "/slot", "/healthcheck"} {
			for _, auth := range []string{"", "Authorization: " + token} {
				a := w.ask("GET", path, line, "X-Nothing: "+auth, auth+"X: y")
				if a.StatusCode < 400 || strings.Contains(a.body, "CANARY") || a.Header.Get("Access-Control-Allow-Origin") != "" {
					t.Errorf("%s with %q: %d", path, line, a.StatusCode)
				}
			}
		}
	}
	for _, host := range []string{w.addr, "127.0.0.1", "localhost", "localhost:" + port} {
		if a := w.ask("GET", "/", "Host: "+host); a.StatusCode != 200 {
			t.Errorf("Host %s: %d", host, a.StatusCode)
		}
	}
	if a := w.raw("GET http://" + w.addr + "/ HTTP/1.1\r\nHost: " + w.addr + "\r\n\r\n"); a != nil && a.StatusCode == 200 {
		t.Error("an absolute URI was answered")
	}
	if a := w.raw("GET / HTTP/1.0\r\n\r\n"); a != nil && a.StatusCode == 200 {
		t.Error("HTTP/1.0 without Host was answered")
	}
}

func TestFurtherHosts(t *testing.T) {
	a := open()
	a.Hosts = []string{"rolecall.example", "other.example:99"}
	w := newWorld(t, a)
	_, port, _ := net.SplitHostPort(w.addr)
	for host, want := range map[string]int{"rolecall.example": 200, "rolecall.example:" + port: 200, "other.example:99": 200,
		"rolecall.example:1": 403, "other.example": 403, "other.example:" + port: 403, ":" + port: 403} {
		if got := w.ask("GET", "/", "Host: "+host); got.StatusCode != want {
			t.Errorf("Host %s: %d, want %d", host, got.StatusCode, want)
		}
	}
}

func TestAuthority(t *testing.T) {
	me, other, nobody := uidPeers{1000, true}, uidPeers{33, true}, uidPeers{}
	for _, c := range []struct {
		name   string
		mode   endpoint.AuthMode
		peer   uidPeers
		header string
		status int
	}{
		{"same user", endpoint.AuthAuto, me, "", 200},
		{"same user, empty header", endpoint.AuthAuto, me, "Authorization: ", 200},
		{"same user, right token", endpoint.AuthAuto, me, "Authorization: " + token, 200},
		{"same user, wrong token", endpoint.AuthAuto, me, "Authorization: wrong", 401},
		{"other user", endpoint.AuthAuto, other, "", 401},
		{"other user, empty header", endpoint.AuthAuto, other, "Authorization: ", 401},
		{"other user, right token", endpoint.AuthAuto, other, "Authorization: " + token, 200},
		{"other user, bearer", endpoint.AuthAuto, other, "Authorization: Bearer " + token, 200},
		{"other user, token and more", endpoint.AuthAuto, other, "Authorization: " + token + "x", 401},
		{"other user, part of the token", endpoint.AuthAuto, other, "Authorization: " + token[:31], 401},
		{"other user, two headers", endpoint.AuthAuto, other, "Authorization: " + token + "\r\nAuthorization: " + token, 401},
		{"other user, huge", endpoint.AuthAuto, other, "Authorization: " + strings.Repeat("a", 8000), 401},
		{"root", endpoint.AuthAuto, uidPeers{0, true}, "", 401},
		{"unknown", endpoint.AuthAuto, nobody, "", 401},
		{"unknown, right token", endpoint.AuthAuto, nobody, "Authorization: " + token, 200},
		{"token mode, same user", endpoint.AuthToken, me, "", 401},
		{"token mode, right token", endpoint.AuthToken, nobody, "Authorization: " + token, 200},
		{"none", endpoint.AuthNone, nobody, "", 200},
		{"none, wrong token", endpoint.AuthNone, nobody, "Authorization: wrong", 401},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := open()
			a.Mode = c.mode
			w := newWorld(t, a, func(s *endpoint.ServerConfig) { s.Peers = c.peer })
			for _, path := range []string{"/", "/slot", "/profile", "/nothing"} {
				want := c.status
				if path == "/nothing" && want == 200 {
					want = 404
				}
				if got := w.ask("GET", path, c.header, "X: y"); got.StatusCode != want {
					t.Errorf("GET %s: %d, want %d", path, got.StatusCode, want)
				}
			}
			if got := w.ask("DELETE", "/", c.header, "X: y"); got.StatusCode != c.status {
				t.Errorf("DELETE /: %d, want %d", got.StatusCode, c.status)
			}
			if got := w.ask("GET", "/healthcheck", c.header, "X: y"); got.StatusCode >= 400 && got.StatusCode < 500 {
				t.Errorf("healthcheck asks for authority: %d", got.StatusCode)
			}
		})
	}
}

func TestGuessingIsSlowedButGoodClientsAreNot(t *testing.T) {
	w := newWorld(t, open(), func(s *endpoint.ServerConfig) { s.Peers = uidPeers{33, true} })
	slowed := 0
	for range 200 {
		if a := w.ask("GET", "/", "Authorization: wrong", "X: y"); a.StatusCode == http.StatusTooManyRequests {
			slowed++
		} else if a.StatusCode != 401 {
			t.Fatal(a.StatusCode)
		}
		if a := w.ask("GET", "/", "Authorization: "+token, "X: y"); a.StatusCode != 200 {
			t.Fatalf("a good client got %d", a.StatusCode)
		}
	}
	if slowed == 0 {
		t.Error("200 guesses in a row were all answered 401")
	}
}

func TestUpload(t *testing.T) {
	w := newWorld(t, open())
	future := time.Now().Add(time.Hour).UnixMilli()
	body := func(account, expiration string) string {
		return `{"ProfileName":"up","Creds":{"accountId":` + account + `,"roleName":"r","accessKeyId":"ASIAUP0000000001","secretAccessKey":"CANARYs","sessionToken":"CANARYt","expiration":` + expiration + `}}`
	}
	for _, b := range []string{body("1234", fmt.Sprint(future)), body(`"1234"`, fmt.Sprintf("%q", fmt.Sprint(future)))} {
		if a := w.ask("PUT", "/slot/new", b); a.StatusCode != 200 || a.field("code") != "200" {
			t.Fatalf("%d %s", a.StatusCode, a.body)
		}
		if a := w.ask("GET", "/slot/new"); a.field("AccountId") != "000000001234" || a.field("AccessKeyId") != "ASIAUP0000000001" {
			t.Errorf("%s", a.body)
		}
	}
	past := fmt.Sprint(time.Now().Add(-time.Hour).UnixMilli())
	for name, c := range map[string]struct {
		body   string
		status int
	}{
		"empty object": {"{}", 400}, "null": {"{\"Creds\":null}", 400}, "expired": {body("1", past), 400}, "seconds": {body("1", fmt.Sprint(future/1000)), 400},
		"no expiration": {body("1", "0"), 400}, "bad number": {body("1", `"x"`), 400}, "float": {body("1", "1.5e12"), 400}, "truncated": {body("1", fmt.Sprint(future))[:60], 400},
		"not json": {"{CANARY", 400}, "no keys": {`{"Creds":{"expiration":` + fmt.Sprint(future) + `}}`, 400},
		"newline": {strings.Replace(body("1", fmt.Sprint(future)), "ASIAUP", `AS\nIA`, 1), 400},
		"10 MB":   {`{"ProfileName":"` + strings.Repeat("a", 10<<20) + `"}`, 413},
		"64 KiB":  {`{"ProfileName":"` + strings.Repeat("a", 64<<10) + `"}`, 413},
	} {
		a := w.raw(fmt.Sprintf("PUT / HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n%s", w.addr, len(c.body), c.body))
		if a == nil || a.StatusCode != c.status || strings.Contains(a.body, "CANARY") || a.field("message") == "" {
			t.Errorf("%s: %+v", name, a)
		}
	}
	if a := w.ask("PUT", "/"); a.StatusCode != 400 {
		t.Errorf("no body: %d", a.StatusCode)
	}
	if a := w.ask("GET", "/"); a.field("AccessKeyId") != "ASIAEXAMPLE000001" {
		t.Errorf("a bad upload changed the slot: %s", a.body)
	}
}

func TestErrorsToStatuses(t *testing.T) {
	w := newWorld(t, open())
	for code, status := range map[usererr.Code]int{usererr.LoginRequired: 503, usererr.Unavailable: 503, usererr.Throttled: 503, usererr.AccessDenied: 403, usererr.NotConfigured: 404, usererr.Internal: 500} {
		w.mu.Lock()
		w.fail = &usererr.Error{Code: code, Msg: "why", Hint: "do this", RetryAfter: 1500 * time.Millisecond}
		w.mu.Unlock()
		a := w.ask("GET", "/")
		if a.StatusCode != status || a.field("Code") != string(code) || a.field("message") != "why (do this)" {
			t.Errorf("%s: %d %s", code, a.StatusCode, a.body)
		}
		if a.Header.Get("Retry-After") != "2" {
			t.Errorf("%s: Retry-After %q", code, a.Header.Get("Retry-After"))
		}
	}
	w.mu.Lock()
	w.fail = fmt.Errorf("raw CANARY text")
	w.mu.Unlock()
	if a := w.ask("GET", "/"); a.StatusCode != 500 || strings.Contains(a.body, "CANARY") {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
}

func TestLists(t *testing.T) {
	w := newWorld(t, open())
	if a := w.ask("GET", "/profile"); a.field("ProfileName") != "dev" || a.field("Expires") != "1h 59m" || !strings.Contains(a.body, `"Expiration":1`) {
		t.Errorf("%s", a.body)
	}
	if a := w.ask("GET", "/slot"); !strings.HasPrefix(a.body, `[{"ProfileName":"a/b","AccountId":""`) {
		t.Errorf("%s", a.body)
	}
	w.ask("DELETE", "/slot")
	if a := w.ask("GET", "/slot"); a.body != "[]" {
		t.Errorf("%s", a.body)
	}
}

func TestOldestIdleMakesRoom(t *testing.T) {
	w := newWorld(t, open(), func(s *endpoint.ServerConfig) { s.MaxConnections = 8 })
	var idle []net.Conn
	for range 8 {
		c, err := net.Dial("tcp", w.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		_, _ = fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", w.addr)
		if _, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil {
			t.Fatal(err)
		}
		idle = append(idle, c)
	}
	for range 20 {
		if a := w.ask("GET", "/"); a.StatusCode != 200 {
			t.Fatal(a.StatusCode)
		}
	}
	closed := 0
	for _, c := range idle {
		_ = c.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
		var b [4096]byte
		for {
			_, err := c.Read(b[:])
			if err == io.EOF {
				closed++
			}
			if err != nil {
				break
			}
		}
	}
	if closed == 0 {
		t.Error("no idle connection made room")
	}
}

func TestAudit(t *testing.T) {
	w := newWorld(t, open())
	w.ask("GET", "/", "User-Agent: sdk/1")
	w.ask("GET", "/slot/nope")
	w.ask("GET", "/", "Origin: x")
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.audit) != 3 {
		t.Fatalf("%d records", len(w.audit))
	}
	for i, want := range []struct {
		outcome string
		status  int
	}{{"ok", 200}, {"not_found", 404}, {"foreign_header", 403}} {
		r := w.audit[i]
		if r.Outcome != want.outcome || r.Status != want.status || !r.Peer.Is(1000) || r.Expires.IsZero() != (i > 0) {
			t.Errorf("%+v", r)
		}
	}
	if w.audit[0].Agent != "sdk/1" {
		t.Errorf("%+v", w.audit[0])
	}
}
