package endpoint_test

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rolecall/internal/endpoint"
	"rolecall/internal/peercred"
	"rolecall/internal/usererr"
)

// imds is a real server of instance metadata with one role in memory.
type imds struct {
	*world
	handler *endpoint.IMDS

	mu       sync.Mutex
	role     *endpoint.RoleDocument
	fail     error
	instance endpoint.Instance
}

func (m *imds) Role(context.Context) (*endpoint.RoleDocument, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.role, m.fail
}

func (m *imds) Instance() endpoint.Instance {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.instance
}

var (
	arrived = time.Date(2026, 11, 21, 3, 4, 5, 600e6, time.FixedZone("", 3600))
	ends    = time.Date(2126, 11, 21, 9, 4, 5, 700e6, time.UTC)
)

func newIMDS(t *testing.T, a endpoint.IMDSAccess, p endpoint.Peers) *imds {
	t.Helper()
	m := &imds{world: &world{t: t, guard: endpoint.NewGuard(open())}}
	c := good()
	c.RoleARN = "arn:aws:iam::123456789012:role/dev"
	m.role = endpoint.NewRoleDocument("dev", c, ends, arrived)
	m.instance = endpoint.Instance{RoleName: "dev", AccountID: "123456789012", Region: "eu-west-1", Host: "host", Started: arrived}
	m.handler = endpoint.NewIMDS(endpoint.IMDSConfig{Guard: m.guard, Metadata: m, Auditor: m, Access: a})
	m.addr = listen(t, endpoint.ServerConfig{Handler: m.handler, Peers: p, AskAll: true, Hosts: endpoint.MetadataHosts()})
	return m
}

var us = uidPeers{1000, true}

func (m *imds) token(lines ...string) string {
	m.t.Helper()
	a := m.ask("PUT", "/latest/api/token", append([]string{"X-aws-ec2-metadata-token-ttl-seconds: 21600"}, lines...)...)
	if a.StatusCode != 200 || len(a.body) != 48 {
		m.t.Fatalf("PUT: %d %q", a.StatusCode, a.body)
	}
	return "X-aws-ec2-metadata-token: " + a.body
}

const (
	document = `{"Code":"Success","LastUpdated":"2026-11-21T02:04:05Z","Type":"AWS-HMAC","AccessKeyId":"ASIAEXAMPLE000001",` +
		`"SecretAccessKey":"CANARYsecret","Token":"CANARYtoken","Expiration":"2126-11-21T09:04:05Z"}`
	info = `{"Code":"Success","LastUpdated":"2026-11-21T02:04:05Z","InstanceProfileArn":"arn:aws:iam::123456789012:instance-profile/dev",` +
		`"InstanceProfileId":"AIPA…"}`
	identity = `{"accountId":"123456789012","architecture":null,"availabilityZone":"eu-west-1a","imageId":null,"instanceId":"i-…","instanceType":null,` +
		`"pendingTime":"2026-11-21T02:04:05Z","privateIp":null,"region":"eu-west-1","version":"2017-09-30"}`
	needed   = "401 - Unauthorized: an IMDS token is needed (PUT /latest/api/token)"
	notFound = "404 - Not Found"
	list     = "/latest/meta-data/iam/security-credentials/"
)

var madeUp = regexp.MustCompile(`(AIPA|i-)[A-Z0-9a-f]{17}`)

// Every path there is, to the byte, with the right token and without one.
func TestMetadataOnTheWire(t *testing.T) {
	m := newIMDS(t, endpoint.IMDSAccess{}, us)
	right := m.token()
	versions := m.ask("GET", "/", right).body
	if !strings.HasPrefix(versions, "1.0\n2007-01-19\n") || !strings.HasSuffix(versions, "\nlatest") {
		t.Errorf("GET /: %q", versions)
	}
	for _, c := range []struct{ path, body string }{
		{list, "dev"},
		{"/latest/meta-data/iam/security-credentials", "dev"}, // C++
		{"//latest/meta-data/iam/security-credentials/", "dev"},
		{list + "dev", document},
		{"//latest/meta-data/iam/security-credentials/dev", document}, // Java
		{list + "%64ev", document},                                    // PHP
		{"/2021-07-15/meta-data/iam/security-credentials/dev", document},
		{"/1.0/meta-data/iam/security-credentials/dev?x=1&x=2", document},
		{"/latest/meta-data/iam/info", info},
		{"/latest/dynamic/instance-identity/document", identity},
		{"/latest/dynamic/instance-identity/document/", identity},
		{"/latest/meta-data/placement/region", "eu-west-1"},
		{"/latest/meta-data/placement/availability-zone", "eu-west-1a"},
		{"/latest/meta-data/placement/availability-zone/", "eu-west-1a"}, // botocore
		{"/latest/meta-data/instance-id", "i-…"},
		{"/latest/meta-data/services/domain", "amazonaws.com"},
		{"/latest/meta-data/services/partition", "aws"},
		{"/latest", "dynamic\nmeta-data"},
		{"/latest/", "dynamic\nmeta-data"},
		{"/2009-04-04/", "dynamic\nmeta-data"},
		{"/latest/meta-data", "iam/\ninstance-id\nplacement/\nservices/"},
		{"/latest/meta-data/", "iam/\ninstance-id\nplacement/\nservices/"},
		{"/latest/meta-data/iam/", "info\nsecurity-credentials/"},
		{"/latest/meta-data/placement/", "availability-zone\nregion"},
		{"/latest/meta-data/services/", "domain\npartition"},
		{"/latest/dynamic/", "instance-identity/"},
		{"/latest/dynamic/instance-identity/", "document"},
		{"/", versions},
		{"//", versions},

		{list + "other", ""},
		{list + "DEV", ""},
		{list + "dev/", ""},
		{list + "dev%2f", ""},
		{list + "..%2fdev", ""},
		{list + "dev%00", ""},
		{list + "dev%0d%0a", ""},
		{"/latest/meta-data/iam/security-credentials-extended", ""},
		{"/latest/meta-data/iam/security-credentials-extended/", ""},
		{"/latest/meta-data/iam/security-credentials-extended/dev", ""},
		{"/latest//meta-data/iam/security-credentials/dev", ""},
		{"/latest/./meta-data/iam/security-credentials/dev", ""},
		{"/latest/meta-data/../meta-data/iam/security-credentials/dev", ""},
		{"/latest/meta-data/iam/security-credentials//", ""},
		{"/latest/%6deta-data/instance-id", ""},
		{"/LATEST/meta-data/instance-id", ""},
		{"/2006-01-01/meta-data/", ""},
		{"/2999-01-01/meta-data/", ""},
		{"/latest/user-data", ""},
		{"/latest/api", ""},
		{"/latest/meta-data/public-keys/", ""},
		{"/creds", ""},
		{"/v1/credentials", ""},
		{"/metrics", ""},
	} {
		status, body := 200, c.body
		if body == "" {
			status, body = 404, notFound
		}
		a := m.ask("GET", c.path, right)
		told := madeUp.ReplaceAllString(a.body, "$1…")
		want := http.Header{"Content-Type": {"text/plain"}, "Content-Length": {fmt.Sprint(len(a.body))}, "Cache-Control": {"no-store"},
			"X-Content-Type-Options": {"nosniff"}, "Cross-Origin-Resource-Policy": {"same-origin"}, "Date": a.Header["Date"]}
		if a.StatusCode != status || told != body || fmt.Sprint(a.Header) != fmt.Sprint(want) {
			t.Errorf("%s: %d %v %q, want %d %v %q", c.path, a.StatusCode, a.Header, told, status, want, body)
		}
		if a := m.ask("HEAD", c.path, right); a.StatusCode != status || a.body != "" || a.Header.Get("Content-Length") == "" {
			t.Errorf("HEAD %s: %d %v %q", c.path, a.StatusCode, a.Header, a.body)
		}
		if a := m.ask("GET", c.path); a.StatusCode != 401 || a.body != needed {
			t.Errorf("%s without a token: %d %q", c.path, a.StatusCode, a.body)
		}
		for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "TRACE", "FOO"} {
			if a := m.ask(method, c.path, right); a.StatusCode != 405 || a.Header.Get("Allow") != "GET, HEAD" {
				t.Errorf("%s %s: %d, Allow %q", method, c.path, a.StatusCode, a.Header.Get("Allow"))
			}
		}
	}
	for _, r := range m.audit {
		if r.Endpoint != "imds" || r.IMDSv1 || !r.Peer.Is(1000) {
			t.Fatalf("audit: %+v", r)
		}
		if handedOut := r.Method == "GET" && r.Status == 200 && r.Target.Kind == endpoint.MetadataCredentials; r.Expires.IsZero() == handedOut {
			t.Errorf("audit: %+v", r)
		}
		if r.Status == 401 && !r.Denied() {
			t.Errorf("audit does not call it denied: %+v", r)
		}
	}
}

func TestTokenTTL(t *testing.T) {
	m := newIMDS(t, endpoint.IMDSAccess{}, us)
	for _, ttl := range []string{"1", "60", "300", "21600", "00300"} {
		for _, path := range []string{"/latest/api/token", "//latest/api/token", "/2021-07-15/api/token", "/latest/api/token/"} {
			a := m.ask("PUT", path, "X-aws-ec2-metadata-token-ttl-seconds: "+ttl)
			want := strings.TrimLeft(ttl, "0")
			if a.StatusCode != 200 || a.Header.Get("X-Aws-Ec2-Metadata-Token-Ttl-Seconds") != want || a.Header.Get("Content-Type") != "text/plain" ||
				len(a.body) != 48 || strings.Trim(a.body, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "" {
				t.Errorf("%s %s: %d %v %q", path, ttl, a.StatusCode, a.Header, a.body)
			}
			if a := m.ask("GET", list, "X-aws-ec2-metadata-token: "+a.body); a.StatusCode != 200 {
				t.Errorf("its token: %d", a.StatusCode)
			}
		}
	}
	bad := []string{"0", "-1", "21601", "abc", "", "1.5", "1e3", "0x10", "+60", " ", "6 0", "60,60", "٣٠٠", "99999999999999999999", "18446744073709551617", "NaN", "60s",
		strings.Repeat("9", 10<<10), strings.Repeat("0", 10<<10) + "60"}
	for _, ttl := range bad {
		a := m.ask("PUT", "/latest/api/token", "X-aws-ec2-metadata-token-ttl-seconds: "+ttl)
		if a.StatusCode != 400 || a.Header.Get("X-Aws-Ec2-Metadata-Token-Ttl-Seconds") != "" || len(a.body) > 200 || strings.Contains(a.body, "99999") {
			t.Errorf("%.30q: %d %v %.300q", ttl, a.StatusCode, a.Header, a.body)
		}
	}
	if a := m.ask("PUT", "/latest/api/token"); a.StatusCode != 400 {
		t.Errorf("missing: %d", a.StatusCode)
	}
	if a := m.ask("PUT", "/latest/api/token", "X-aws-ec2-metadata-token-ttl-seconds: 60", "X-aws-ec2-metadata-token-ttl-seconds: 60"); a.StatusCode != 400 {
		t.Errorf("twice: %d", a.StatusCode)
	}
	for _, method := range []string{"GET", "HEAD", "POST", "DELETE", "PATCH"} {
		if a := m.ask(method, "/latest/api/token", "X-aws-ec2-metadata-token-ttl-seconds: 60"); a.StatusCode != 405 || a.Header.Get("Allow") != "PUT" {
			t.Errorf("%s: %d %v", method, a.StatusCode, a.Header)
		}
	}
}

// Tokens that look like ours and are not are 401, also where none is needed.
func TestWrongIMDSTokens(t *testing.T) {
	for _, v1 := range []bool{false, true} {
		m, other := newIMDS(t, endpoint.IMDSAccess{V1: v1}, us), newIMDS(t, endpoint.IMDSAccess{V1: v1}, us)
		theirs, right := other.token(), m.token()
		const name = "X-aws-ec2-metadata-token: "
		value := strings.TrimPrefix(right, name)
		for _, l := range []string{theirs, name, name + "x", name + value[:47], name + value + "=", name + strings.ToLower(value), name + " " + value[1:], name + strings.Repeat("A", 48),
			name + strings.Repeat("A", 46) + "==", name + strings.Repeat("A", 10<<10), right + "," + value} {
			if a := m.ask("GET", list+"dev", l); a.StatusCode != 401 || strings.Contains(a.body, "CANARY") {
				t.Errorf("v1 %v, %.90q: %d", v1, l, a.StatusCode)
			}
		}
		if a := m.ask("GET", list+"dev", right, right); a.StatusCode != 401 {
			t.Errorf("v1 %v, twice: %d", v1, a.StatusCode)
		}
		if a := m.ask("GET", list+"dev", right); a.StatusCode != 200 {
			t.Errorf("v1 %v, the right one: %d", v1, a.StatusCode)
		}
	}
}

func TestIMDSv1(t *testing.T) {
	m := newIMDS(t, endpoint.IMDSAccess{V1: true}, us)
	if a := m.ask("GET", list); a.StatusCode != 200 || a.body != "dev" {
		t.Errorf("list: %d %q", a.StatusCode, a.body)
	}
	if a := m.ask("GET", list+"dev"); a.StatusCode != 200 || a.body != document {
		t.Errorf("document: %d %q", a.StatusCode, a.body)
	}
	if r := m.audit[len(m.audit)-1]; !r.IMDSv1 || r.Expires.IsZero() {
		t.Errorf("audit: %+v", r)
	}
	if a := m.ask("GET", list+"dev", "User-Agent: Mozilla/5.0 wkhtmltopdf"); a.StatusCode != 403 {
		t.Errorf("a renderer of pages: %d", a.StatusCode)
	}
	if a := m.ask("GET", list+"dev", "User-Agent: Mozilla/5.0 (PowerShell)", m.token()); a.StatusCode != 200 {
		t.Errorf("one that has a token: %d", a.StatusCode)
	}
	m.handler.Set(endpoint.IMDSAccess{})
	if a := m.ask("GET", list+"dev"); a.StatusCode != 401 {
		t.Errorf("once it is off: %d", a.StatusCode)
	}
}

// What browsers and proxies send gets nothing, on PUT and GET, with the right
// token and where none is needed.
func TestForeignRequestsForMetadata(t *testing.T) {
	m := newIMDS(t, endpoint.IMDSAccess{V1: true}, us)
	right := m.token()
	port := m.addr[strings.LastIndexByte(m.addr, ':'):]
	foreign := []string{"X-Forwarded-For: 10.0.0.1", "x-forwarded-for:", "X-Forwarded-Host: 169.254.169.254", "X-Real-IP: 127.0.0.1", "Forwarded: for=1.2.3.4", "Via: 1.1 squid",
		"Origin: http://127.0.0.1", "Origin: null", "Referer: http://x/", "Cookie: a=b", "Sec-Fetch-Site: same-origin", "Upgrade: websocket", "Proxy-Connection: x",
		"Access-Control-Request-Private-Network: true"}
	for _, host := range []string{"evil.example", "127.0.0.1.nip.io" + port, "169.254.169.254.nip.io", "0x7f.1" + port, "2130706433" + port, "[::ffff:127.0.0.1]" + port, "127.0.0.1:1", "169.254.169.254:1",
		"169.254.169.254.", "127.0.0.1" + port + ".", "LOCALHOST" + port, "169.254.170.2", ""} {
		foreign = append(foreign, "Host: "+host)
	}
	for _, h := range foreign {
		for _, req := range []struct{ method, path string }{{"PUT", "/latest/api/token"}, {"GET", list}, {"GET", list + "dev"}} {
			for _, token := range []string{right, "Accept: */*"} {
				a := m.ask(req.method, req.path, h, "X-aws-ec2-metadata-token-ttl-seconds: 60", token)
				if a.StatusCode != 403 || strings.Contains(a.body, "CANARY") || len(a.body) == 48 || a.Header.Get("Access-Control-Allow-Origin") != "" {
					t.Errorf("%s %s with %q: %d %q", req.method, req.path, h, a.StatusCode, a.body)
				}
			}
		}
	}
	for _, host := range []string{m.addr, "localhost" + port, "localhost", "127.0.0.1", "169.254.169.254", "169.254.169.254" + port, "[fd00:ec2::254]"} {
		if a := m.ask("GET", list, "Host: "+host, right); a.StatusCode != 200 {
			t.Errorf("Host %q: %d %q", host, a.StatusCode, a.body)
		}
	}
	if a := m.ask("GET", "http://"+m.addr+list, right); a.StatusCode != 400 {
		t.Errorf("a full URL: %d", a.StatusCode)
	}
	if a := m.ask("PUT", "/latest/api/token", "X-aws-ec2-metadata-token-ttl-seconds: 60", "x=1"); a.StatusCode != 400 || !a.Close {
		t.Errorf("a body: %d", a.StatusCode)
	}
	if a := m.ask("OPTIONS", list, right); a.StatusCode != 403 || a.Header.Get("Allow") != "" {
		t.Errorf("OPTIONS: %d %v", a.StatusCode, a.Header)
	}
}

// changing says who the next client is.
type changing struct {
	mu sync.Mutex
	p  peercred.Peer
}

func (c *changing) TCP(_, _ netip.AddrPort) peercred.Peer {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.p
}

func (c *changing) be(p peercred.Peer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.p = p
}

func TestWhoGetsMetadata(t *testing.T) {
	own, www, stranger := peercred.Peer{UID: 1000, Known: true}, peercred.Peer{UID: 33, Known: true}, peercred.Peer{UID: 65534, Known: true}
	everybody := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	who := &changing{p: own}
	m := newIMDS(t, endpoint.IMDSAccess{V1: true}, who)
	m.guard.Set(endpoint.Access{Mode: endpoint.AuthNone, Tokens: []string{token}, UIDs: []uint32{1000, 33}})
	right := m.token()
	for _, c := range []struct {
		peer    peercred.Peer
		allow   []netip.Prefix
		status  int // of anything without an IMDS token
		token   int // with that of uid 1000
		outcome string
	}{
		{own, nil, 200, 200, "ok"},
		{www, nil, 200, 401, "ok"},
		{stranger, nil, 403, 403, "other_user"},
		{peercred.Peer{}, nil, 403, 403, "unknown_peer"},
		{peercred.Peer{UID: 1000}, nil, 403, 403, "unknown_peer"},
		{stranger, everybody, 403, 403, "other_user"}, // an address is no way round the user
		{peercred.Peer{}, everybody, 200, 401, "ok"},
		{peercred.Peer{}, []netip.Prefix{netip.MustParsePrefix("172.17.0.0/16"), netip.MustParsePrefix("::1/128")}, 403, 403, "unknown_peer"},
	} {
		who.be(c.peer)
		m.handler.Set(endpoint.IMDSAccess{V1: true, Allow: c.allow})
		for _, path := range []string{list, list + "dev", "/latest/meta-data/placement/region", "/"} {
			// The authorization token of the container endpoint means nothing here.
			if a := m.ask("GET", path, "Authorization: "+token); a.StatusCode != c.status {
				t.Errorf("%+v: %s: %d, want %d", c, path, a.StatusCode, c.status)
			}
			if a := m.ask("GET", path, right); a.StatusCode != c.token {
				t.Errorf("%+v: %s with uid 1000's token: %d", c, path, a.StatusCode)
			}
		}
		a := m.ask("PUT", "/latest/api/token", "X-aws-ec2-metadata-token-ttl-seconds: 60")
		if a.StatusCode != c.status {
			t.Errorf("%+v: PUT: %d", c, a.StatusCode)
		}
		if r := m.audit[len(m.audit)-1]; r.Outcome != c.outcome || r.Denied() != (c.status == 403) {
			t.Errorf("%+v: audit %+v", c, r)
		}
	}
}

func TestMetadataWithoutCredentials(t *testing.T) {
	m := newIMDS(t, endpoint.IMDSAccess{}, us)
	right := m.token()
	for _, c := range []struct {
		err           error
		list, doc     int
		listed, told  string
		retry         string
		other, otherD int // of another role
	}{
		{endpoint.NotFound("the default slot is empty", ""), 404, 404, "the default slot is empty", "the default slot is empty", "", 404, 404},
		{&usererr.Error{Code: usererr.Unavailable, Msg: "down", RetryAfter: 7 * time.Second}, 503, 503, "down", "down", "7", 503, 503},
		{&usererr.Error{Code: usererr.LoginRequired, Msg: "log in"}, 503, 503, "log in", "log in", "1", 503, 503},
		{&usererr.Error{Code: usererr.AccessDenied, Msg: "AWS says no"}, 200, 200, "dev", `"Code":"AssumeRoleUnauthorizedAccess","Message":"AWS says no","LastUpdated":"`, "", 404, 404},
	} {
		m.fail = c.err
		a, d := m.ask("GET", list, right), m.ask("GET", list+"dev", right)
		if a.StatusCode != c.list || a.body != c.listed || a.Header.Get("Retry-After") != c.retry {
			t.Errorf("%v: list: %d %v %q", c.err, a.StatusCode, a.Header, a.body)
		}
		if d.StatusCode != c.doc || !strings.Contains(d.body, c.told) || strings.Contains(d.body, "SecretAccessKey") || strings.Contains(d.body, "Expiration") {
			t.Errorf("%v: document: %d %q", c.err, d.StatusCode, d.body)
		}
		if o := m.ask("GET", list+"other", right); o.StatusCode != c.other {
			t.Errorf("%v: another role: %d", c.err, o.StatusCode)
		}
		if r := m.ask("GET", "/latest/meta-data/placement/region", right); r.StatusCode != 200 {
			t.Errorf("%v: region: %d", c.err, r.StatusCode)
		}
		if !slices.ContainsFunc(m.audit, func(r endpoint.Record) bool { return r.Target.Kind == endpoint.MetadataCredentials }) {
			t.Error("no record of the document")
		}
		for _, r := range m.audit {
			if !r.Expires.IsZero() {
				t.Errorf("%v: credentials are on record: %+v", c.err, r)
			}
		}
	}
	m.fail, m.instance.Region, m.instance.AccountID = nil, "", ""
	for _, path := range []string{"/latest/meta-data/placement/region", "/latest/meta-data/placement/availability-zone/", "/latest/dynamic/instance-identity/document"} {
		if a := m.ask("GET", path, right); a.StatusCode != 404 {
			t.Errorf("%s without a region: %d %q", path, a.StatusCode, a.body)
		}
	}
	c := good()
	c.AccountID = ""
	m.role = endpoint.NewRoleDocument("dev", c, ends, arrived)
	if a := m.ask("GET", "/latest/meta-data/iam/info", right); a.StatusCode != 404 {
		t.Errorf("info without an account: %d %q", a.StatusCode, a.body)
	}
	for region, want := range map[string][2]string{"cn-north-1": {"aws-cn", "amazonaws.com.cn"}, "us-gov-west-1": {"aws-us-gov", "amazonaws.com"}, "us-iso-east-1": {"aws-iso", "c2s.ic.gov"}} {
		m.instance.Region = region
		if p, d := m.ask("GET", "/latest/meta-data/services/partition", right).body, m.ask("GET", "/latest/meta-data/services/domain", right).body; p != want[0] || d != want[1] {
			t.Errorf("%s: %s %s", region, p, d)
		}
	}
}

// With 25 minutes left or less, Expiration has a fraction, which keeps botocore
// from using the set beyond its end.
func TestShortLivedMetadata(t *testing.T) {
	m := newIMDS(t, endpoint.IMDSAccess{}, us)
	right := m.token()
	for _, c := range []struct {
		left  time.Duration
		exact bool
	}{{6 * time.Hour, true}, {27 * time.Minute, true}, {25 * time.Minute, false}, {15 * time.Minute, false}, {time.Minute, false}} {
		end := time.Now().Add(c.left)
		m.role = endpoint.NewRoleDocument("dev", good(), end, time.Now())
		a := m.ask("GET", list+"dev", right)
		told := a.field("Expiration")
		_, err := time.Parse("2006-01-02T15:04:05Z", told)
		if exact := err == nil && len(told) == len("2006-01-02T15:04:05Z"); exact != c.exact {
			t.Errorf("%v left: Expiration %q", c.left, told)
		}
		at, err := time.Parse(time.RFC3339, told)
		if err != nil || at.After(end) || end.Sub(at) > time.Second {
			t.Errorf("%v left: Expiration %q is not %v: %v", c.left, told, end, err)
		}
	}
}
