package mock_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"rolecall/internal/mock"
)

const (
	headerTTL   = "X-aws-ec2-metadata-token-ttl-seconds"
	headerToken = "X-aws-ec2-metadata-token"
	roles       = "/latest/meta-data/iam/security-credentials"
)

func faults(t *testing.T, texts ...string) (all []mock.Fault) {
	t.Helper()
	for _, text := range texts {
		f, err := mock.ParseFault(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		all = append(all, f)
	}
	return all
}

func start(t *testing.T, cfg mock.Config) *mock.Mock {
	t.Helper()
	m, err := mock.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// send is one request on a connection of its own. Pairs in header; "Host" is the request's.
func send(ctx context.Context, method, url, body string, header ...string) (int, string, http.Header, error) {
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return 0, "", nil, err
	}
	r.Close = true
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
		} else {
			r.Header.Add(header[i], header[i+1])
		}
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return 0, "", nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), resp.Header, err
}

func ask(t *testing.T, method, url string, header ...string) (int, string, http.Header) {
	t.Helper()
	status, body, h, err := send(within(t, 20*time.Second), method, url, "", header...)
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	return status, body, h
}

func tokenOf(t *testing.T, m *mock.Mock) string {
	t.Helper()
	status, token, _ := ask(t, "PUT", m.IMDS()+"/latest/api/token", headerTTL, "21600")
	if status != 200 || token == "" {
		t.Fatalf("no token: %d", status)
	}
	return token
}

// The metadata service by the book: statuses, headers, bodies, no newline anywhere at an end.
func TestMetadataWire(t *testing.T) {
	t.Parallel()
	m := start(t, mock.Config{Role: "app", Account: "111122223333", Region: "cn-north-1"})
	v2 := start(t, mock.Config{Mode: mock.V2Only})
	v1 := start(t, mock.Config{Mode: mock.V1Only})
	for _, tt := range []struct {
		ttl    []string
		status int
	}{
		{nil, 400}, {[]string{headerTTL, "0"}, 400}, {[]string{headerTTL, "-1"}, 400}, {[]string{headerTTL, "21601"}, 400},
		{[]string{headerTTL, "abc"}, 400}, {[]string{headerTTL, strings.Repeat("9", 10_000)}, 400}, {[]string{headerTTL, "1"}, 200},
		{[]string{headerTTL, "21600"}, 200}, {[]string{headerTTL, "60", "X-Forwarded-For", "10.0.0.1"}, 403},
	} {
		for _, s := range []*mock.Mock{m, v2} {
			status, body, h := ask(t, "PUT", s.IMDS()+"/latest/api/token", tt.ttl...)
			if status != tt.status || status == 200 && (h.Get(headerTTL) != tt.ttl[1] || body != strings.TrimSpace(body) || h.Get("Content-Type") != "text/plain") {
				t.Errorf("PUT %v: %d %v", tt.ttl, status, h)
			}
		}
	}
	if status, _, _ := ask(t, "PUT", v1.IMDS()+"/latest/api/token", headerTTL, "60"); status != 404 {
		t.Errorf("v1-only: a PUT gets %d", status)
	}
	if status, _, _ := ask(t, "PUT", m.IMDS()+"/2021-07-15/api/token", headerTTL, "60"); status == 200 {
		t.Error("a token elsewhere than below /latest/")
	}
	for _, method := range []string{"GET", "POST", "DELETE"} {
		if status, _, _ := ask(t, method, m.IMDS()+"/latest/api/token", headerTTL, "60"); status != 405 {
			t.Errorf("%s of the token: %d", method, status)
		}
	}
	token := tokenOf(t, m)
	for path, want := range map[string]string{
		roles:                                "app",
		roles + "/":                          "app",
		"/" + roles + "/":                    "app", // Java's double slash
		"/2021-07-15" + roles[7:]:            "app",
		"/":                                  "1.0\n2007-01-19\n*latest",
		"/latest":                            "dynamic\nmeta-data",
		"/latest/":                           "dynamic\nmeta-data",
		"/1.0/":                              "dynamic\nmeta-data",
		"/latest/meta-data":                  "ami-id\n*iam/\n*placement/\nservices/",
		"/latest/meta-data/":                 "ami-id\n*iam/\n*placement/\nservices/",
		"/latest/meta-data/iam/":             "info\nsecurity-credentials/",
		"/latest/meta-data/iam/info":         `{"Code":"Success"*arn:aws-cn:iam::111122223333:instance-profile/app*`,
		"/latest/meta-data/placement/":       "availability-zone\navailability-zone-id\nregion",
		"/latest/meta-data/placement/region": "cn-north-1",
		"/latest/meta-data/placement/availability-zone":           "cn-north-1a",
		"/latest/meta-data/services/domain":                       "amazonaws.com.cn",
		"/latest/meta-data/services/partition":                    "aws-cn",
		"/latest/meta-data/instance-id":                           "i-*",
		"/latest/dynamic/":                                        "instance-identity/",
		"/latest/dynamic/instance-identity/document":              `{"accountId":"111122223333"*"region":"cn-north-1"*`,
		roles + "/app":                                            `{"Code":"Success","LastUpdated":"*Z","Type":"AWS-HMAC","AccessKeyId":"ASIA*","SecretAccessKey":"*","Token":"*","Expiration":"*Z"}`,
		roles + "/other":                                          "404",
		"/latest/meta-data/iam/security-credentials-extended/":    "404",
		"/latest/meta-data/iam/security-credentials-extended/app": "404",
		"/latest/user-data":                                       "404",
		"/1999-01-01/":                                            "404",
		"/container/app":                                          "404", // what else the fake AWS serves is not here
		"/v2/credentials/mock":                                    "404",
	} {
		status, body, h := ask(t, "GET", m.IMDS()+path, headerToken, token)
		if want == "404" {
			if status != 404 || h.Get("Content-Type") != "text/html" || !strings.Contains(body, "<h1>404 - Not Found</h1>") {
				t.Errorf("%s: %d %s", path, status, body)
			}
			continue
		}
		if status != 200 || !like(want, body) || strings.HasSuffix(body, "\n") || h.Get("Content-Type") != "text/plain" || h.Get("Server") != "EC2ws" {
			t.Errorf("%s: %d %q %v", path, status, body, h)
		}
		for _, wrong := range []string{"x", "", token + "x"} {
			if status, body, _ := ask(t, "GET", m.IMDS()+path, headerToken, wrong); status != 401 || !strings.Contains(body, "401 - Unauthorized") {
				t.Errorf("%s with a wrong token: %d", path, status)
			}
		}
		if status, _, _ := ask(t, "GET", m.IMDS()+path); status != 200 {
			t.Errorf("%s without a token: %d", path, status)
		}
		if status, _, _ := ask(t, "GET", v2.IMDS()+path); status != 401 {
			t.Errorf("%s of v2-only without a token: %d", path, status)
		}
		if status, _, _ := ask(t, "GET", v2.IMDS()+path, headerToken, token); status != 401 {
			t.Errorf("%s of v2-only with another's token: %d", path, status)
		}
		if !strings.Contains(path, "app") {
			if status, _, _ := ask(t, "GET", v1.IMDS()+path, headerToken, "any"); status != 200 {
				t.Errorf("%s of v1-only with a token: %d", path, status)
			}
		}
	}
	if status, _, _ := ask(t, "GET", m.IMDS()+roles+"/", "X-Forwarded-For", "10.0.0.1"); status != 403 {
		t.Errorf("v1 through a proxy: %d", status)
	}
}

// like matches with "*" for anything.
func like(pattern, s string) bool {
	parts := strings.Split(pattern, "*")
	if !strings.HasPrefix(s, parts[0]) {
		return false
	}
	for _, p := range parts {
		i := strings.Index(s, p)
		if i < 0 {
			return false
		}
		s = s[i+len(p):]
	}
	return s == "" || parts[len(parts)-1] == ""
}

func TestContainerWire(t *testing.T) {
	t.Parallel()
	m := start(t, mock.Config{Role: "task", ECSToken: "open-sesame", Lifetime: 20 * time.Minute})
	pod := strings.TrimSuffix(m.ECS(), mock.ContainerPath) + "/v1/credentials"
	for _, url := range []string{m.ECS(), pod} {
		status, body, h := ask(t, "GET", url, "Authorization", "open-sesame")
		var got map[string]string
		if err := json.Unmarshal([]byte(body), &got); err != nil || status != 200 || h.Get("Content-Type") != "application/json" ||
			got["RoleArn"] != "arn:aws:iam::123456789012:role/task" || got["AccessKeyId"] == "" || got["SecretAccessKey"] == "" || got["Token"] == "" {
			t.Errorf("%s: %d %v", url, status, err)
		}
		ends, err := time.Parse("2006-01-02T15:04:05Z", got["Expiration"])
		if left := time.Until(ends); err != nil || left > 20*time.Minute || left < 19*time.Minute {
			t.Errorf("they live for %v, %v", left, err)
		}
	}
	for _, auth := range []string{"", "wrong", "open-sesame\t"} {
		status, body, _ := ask(t, "GET", m.ECS(), "Authorization", auth)
		if auth != "open-sesame\t" && (status != 401 || !strings.Contains(body, `"Code"`) || !strings.Contains(body, `"code"`)) {
			t.Errorf("with %q: %d %s", auth, status, body)
		}
	}
	if status, _, _ := ask(t, "POST", m.ECS(), "Authorization", "open-sesame"); status != 405 {
		t.Errorf("POST: %d", status)
	}
	for _, path := range []string{"/", "/v2/credentials/", "/v2/credentials/other", "/latest/meta-data/", "/container/task", "/latest/api/token"} {
		if status, _, _ := ask(t, "GET", strings.TrimSuffix(m.ECS(), mock.ContainerPath)+path, "Authorization", "open-sesame"); status != 404 {
			t.Errorf("%s: %d", path, status)
		}
	}
}

// What a plain client sees of each fault.
func TestFaultsOnTheWire(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		fault     string
		token     int    // status of the PUT; 0: none comes
		imds, ecs int    // of the credentials, IMDS without a token
		body      string // of both, when it is the same; "*" for anything
	}{
		{"throttle", 429, 429, 429, "*"},
		{"throttle status=503", 503, 503, 503, "*"},
		{"error=500", 500, 500, 500, "*"},
		{"delay=10ms", 200, 200, 200, `{*"Expiration":*`},
		{"hang", 0, 0, 0, ""},
		{"reset", 0, 0, 0, ""},
		{"token=400", 400, 200, 200, "*"},
		{"token=403", 403, 200, 200, "*"},
		{"token=404", 404, 200, 200, "*"},
		{"token=405", 405, 200, 200, "*"},
		{"token=timeout", 0, 200, 200, "*"},
		{"forget", 200, 200, 200, "*"},
		{"expire=90s", 200, 200, 200, `{*"Expiration":*`},
		{"expired", 200, 200, 200, `{*"Expiration":*`},
		{"norole", 200, 404, 404, "*"},
		{"not-success", 200, 200, 200, `{"Code":"AssumeRoleUnauthorizedAccess",*`},
		{"not-success=Other", 200, 200, 200, `{"Code":"Other",*`},
		{"garbage", 200, 200, 200, "\x1f\x8b*"},
		{"empty", 200, 200, 200, ""},
		{"truncated", 200, 200, 200, `{*`},
		{"v2-only", 200, 401, 200, "*"},
		{"v1-only", 404, 200, 200, "*"},
	} {
		t.Run(tt.fault, func(t *testing.T) {
			t.Parallel()
			m := start(t, mock.Config{Faults: faults(t, tt.fault), Role: "app"})
			var urls = []struct {
				method, url string
				want        int
			}{{"PUT", m.IMDS() + "/latest/api/token", tt.token}, {"GET", m.IMDS() + roles + "/app", tt.imds}, {"GET", m.ECS(), tt.ecs}}
			for i, u := range urls {
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				if u.want == 0 && tt.fault != "reset" {
					cancel()
					ctx, cancel = context.WithTimeout(t.Context(), 150*time.Millisecond)
				}
				status, body, _, err := send(ctx, u.method, u.url, "", headerTTL, "60")
				cancel()
				switch {
				case u.want == 0 && (err == nil || tt.fault != "reset" && !errors.Is(err, context.DeadlineExceeded)):
					t.Errorf("%s: %d, %v; no answer was expected", u.url, status, err)
				case u.want != 0 && (err != nil || status != u.want):
					t.Errorf("%s: %d, %v; want %d", u.url, status, err, u.want)
				case i > 0 && u.want == 200 && !like(tt.body, body):
					t.Errorf("%s: %q, want %q", u.url, body, tt.body)
				}
				if i == 0 || u.want != 200 {
					continue
				}
				var doc struct{ Expiration time.Time }
				err = json.Unmarshal([]byte(body), &doc)
				left := time.Until(doc.Expiration)
				switch tt.fault {
				case "truncated", "garbage", "empty":
					if err == nil {
						t.Errorf("%s: the answer is JSON", u.url)
					}
				case "expire=90s":
					if left > 90*time.Second || left < 60*time.Second {
						t.Errorf("%s: lives for %v", u.url, left)
					}
				case "expired":
					if left > -50*time.Second {
						t.Errorf("%s: lives for %v", u.url, left)
					}
				}
			}
		})
	}
}

func TestForgottenTokens(t *testing.T) {
	t.Parallel()
	m := start(t, mock.Config{Faults: faults(t, "forget count=1 after=1")})
	token := tokenOf(t, m)
	url := m.IMDS() + roles + "/"
	for i, want := range []int{200, 401, 401} {
		if status, _, _ := ask(t, "GET", url, headerToken, token); status != want {
			t.Errorf("%d: %d, want %d", i, status, want)
		}
	}
	if status, _, _ := ask(t, "GET", url, headerToken, tokenOf(t, m)); status != 200 {
		t.Errorf("with a new token: %d", status)
	}
}

// The first two lines, then a line for each request, no token and no whole key in any.
func TestJournal(t *testing.T) {
	t.Parallel()
	for _, asJSON := range []bool{false, true} {
		var out bytes.Buffer
		m, err := mock.Start(mock.Config{Out: &out, JSON: asJSON, ECSToken: "hush-hush", Faults: faults(t, "delay=1ms on=ecs", "throttle on=ecs after=1"), Seed: 1})
		if err != nil {
			t.Fatal(err)
		}
		token := tokenOf(t, m)
		_, body, _ := ask(t, "GET", m.IMDS()+roles+"/mock-role", headerToken, token)
		var doc struct{ AccessKeyId, SecretAccessKey, Token string }
		if err := json.Unmarshal([]byte(body), &doc); err != nil {
			t.Fatal(err)
		}
		ask(t, "GET", m.IMDS()+"/latest/%1b[31m%0aX?secret=1")
		ask(t, "GET", m.ECS(), "Authorization", "hush-hush")
		ask(t, "GET", m.ECS(), "Authorization", "hush-hush")
		m.Close()
		text := out.String()
		for _, secret := range []string{token, doc.AccessKeyId, doc.SecretAccessKey, doc.Token, "hush", "secret=1", "\x1b"} {
			if strings.Contains(text, secret) {
				t.Errorf("%q is in the journal", secret)
			}
		}
		lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
		if len(lines) != 7 || lines[0] != "imds "+m.IMDS() || lines[1] != "ecs "+m.ECS() {
			t.Fatalf("%d lines:\n%s", len(lines), text)
		}
		want := []string{
			"*imds PUT /latest/api/token 200 token *ms",
			"*imds GET " + roles + "/mock-role 200 credentials ..." + doc.AccessKeyId[len(doc.AccessKeyId)-4:] + " until *Z *ms",
			"*imds GET /latest/?[31m?X 401 *ms", // no token where the fake has v1, and 404
			"*ecs  GET /v2/credentials/mock 200 credentials ...???? until *Z [delay=1ms on=ecs] *ms",
			"*ecs  GET /v2/credentials/mock 429 too many requests [throttle on=ecs after=1; delay=1ms on=ecs] *ms",
		}
		want[2] = "*imds GET /latest/?[31m?X 404 not found *ms"
		want[3] = strings.Replace(want[3], "????", "*", 1)
		for i, line := range lines[2:] {
			if !asJSON && !like(want[i], line) {
				t.Errorf("line %d: %s, want %s", i, line, want[i])
			}
			var l struct {
				Time, Endpoint, Method, Path, Answer, Expires string
				Status                                        int
				Faults                                        []string
				MS                                            float64
			}
			if !asJSON {
				continue
			}
			d := json.NewDecoder(strings.NewReader(line))
			d.DisallowUnknownFields()
			if err := d.Decode(&l); err != nil || l.Time == "" || l.Method == "" || l.Status == 0 || l.Answer == "" {
				t.Errorf("line %d: %s, %v", i, line, err)
			}
			if i == 4 && (l.Endpoint != "ecs" || len(l.Faults) != 2 || l.Faults[0] != "throttle on=ecs after=1" || l.Expires != "") {
				t.Errorf("%+v", l)
			}
		}
	}
}

// Whoever starts a mock may read its first lines and nothing more, or close the pipe: it answers all the same.
func TestNobodyReads(t *testing.T) {
	t.Parallel()
	for _, closed := range []bool{false, true} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = r.Close() }()
		defer func() { _ = w.Close() }()
		m := start(t, mock.Config{Out: w})
		if closed {
			_ = r.Close()
		}
		client := &http.Client{Timeout: 20 * time.Second}
		for range 8000 { // more than the pipe and the queue hold
			resp, err := client.Get(m.ECS())
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
		began := time.Now()
		m.Close()
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("closing took %v", took)
		}
	}
}

func TestSameAddressTwice(t *testing.T) {
	t.Parallel()
	m := start(t, mock.Config{})
	at := netip.MustParseAddrPort(strings.TrimPrefix(m.IMDS(), "http://"))
	for _, cfg := range []mock.Config{{IMDS: at}, {ECS: at}} {
		if n, err := mock.Start(cfg); err == nil {
			n.Close()
			t.Errorf("%+v: two mocks at one address", cfg)
		}
	}
	for _, cfg := range []mock.Config{{Account: "1"}, {Lifetime: -1}, {Faults: faults(t, "v1-only", "v2-only")}} {
		if n, err := mock.Start(cfg); err == nil {
			n.Close()
			t.Errorf("%+v was taken", cfg)
		}
	}
}

// Run ends with its context, hanging requests or not.
func TestRunEnds(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(within(t, 30*time.Second))
	r, w := io.Pipe()
	defer func() { _ = w.Close() }()
	done := make(chan error, 1)
	go func() { done <- mock.Run(ctx, mock.Config{Out: w, Faults: faults(t, "hang")}) }()
	b := make([]byte, 4096)
	n, err := r.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.Copy(io.Discard, r) }()
	url, _, _ := strings.Cut(strings.TrimPrefix(string(b[:n]), "imds "), "\n")
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	c, err := mock.NewClient(url)
	if err != nil {
		t.Fatal(err)
	}
	for { // until the request hangs
		s, err := c.Status(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if s.Requests["imds:listing"] == 1 {
			break
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := conn.Read(b); err == nil {
		t.Error("an answer after the end")
	}
}

// Faults change under load; counts are exact, and whatever comes is an answer of one of the faults.
func TestChangesUnderLoad(t *testing.T) {
	t.Parallel()
	m := start(t, mock.Config{Seed: 1})
	c, err := mock.NewClient(m.IMDS())
	if err != nil {
		t.Fatal(err)
	}
	ctx := within(t, 60*time.Second)
	sets := [][]string{{"throttle=50%"}, {"error=503 count=20", "expire=90s"}, {"reset chance=20%", "v1-only"}, {"garbage path=/latest/*"},
		{"throttle=1000/s", "delay=1us..1ms"}, {"forget", "truncated"}, {"v2-only", "norole"}}
	stop := make(chan struct{})
	var load, change sync.WaitGroup
	for range 8 {
		load.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				_, token, _, _ := send(ctx, "PUT", m.IMDS()+"/latest/api/token", "", headerTTL, "60")
				if strings.ContainsAny(token, "\r\n \x00\x1f<") {
					token = "x"
				}
				for _, url := range []string{m.IMDS() + roles + "/mock-role", m.ECS()} {
					status, _, _, err := send(ctx, "GET", url, "", headerToken, token)
					switch status {
					case 0:
						if err == nil {
							t.Error("no status and no error")
						}
					case 200, 401, 404, 429, 503:
					default:
						t.Errorf("status %d", status)
					}
				}
			}
		})
	}
	for i := range 3 {
		change.Go(func() {
			for n := range 40 {
				if _, err := c.Set(ctx, sets[(n+i)%len(sets)], n%10 == 1 && i == 0); err != nil && !strings.Contains(err.Error(), "exclude") {
					t.Error(err)
				}
				if _, err := c.Status(ctx); err != nil {
					t.Error(err)
				}
				if n%13 == 0 {
					if _, err := c.Clear(ctx); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	change.Wait()
	close(stop)
	load.Wait()

	if _, err := c.Set(ctx, []string{"error=503 count=100"}, false); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	failed := 0
	for range 10 {
		wg.Go(func() {
			for range 30 {
				if status, _, _, _ := send(ctx, "GET", m.ECS(), ""); status == 503 {
					mu.Lock()
					failed++
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	s := m.Status()
	if failed != 100 || s.Faults[0].Hits != 100 || *s.Faults[0].Left != 0 {
		t.Errorf("%d of 300 drew count=100: %+v", failed, s.Faults)
	}
}
