package source

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rolecall/internal/creds"
	"rolecall/internal/fakeaws"
	"rolecall/internal/usererr"
)

func TestInstance(t *testing.T) {
	g := newRig(t, fakeaws.Config{})
	c := g.must("imds")
	issued, ok := g.fake.Issued(c.AccessKeyID)
	if !ok || c.RoleName != creds.RoleNameFromARN(issued.RoleARN) || !c.Expires.Equal(issued.Expires.Truncate(time.Second)) || c.ObservedAt.IsZero() {
		t.Errorf("%+v, issued %+v", c, issued)
	}
	if c.Remaining(time.Now()) < 5*time.Hour {
		t.Errorf("the expiration is understated: %v", c.Expires) // as the SDK's own provider does
	}
	s, err := g.r.Resolve("imds")
	if err != nil || s.Kind != "imds" || s.Text != "imds" || s.Upstream != "imds" {
		t.Errorf("%+v, %v", s, err)
	}
	for _, tt := range []struct {
		name  string
		setUp func()
		code  usererr.Code
		word  string
	}{
		{"no role", func() { g.fake.SetInstanceRole("") }, usererr.NotConfigured, "has no role"},
		{"switched off on the instance", func() { g.fake.Script(fakeaws.Fault{Match: "imds:*", Status: 403}) }, usererr.NotConfigured, "switched off"},
		{"role not assumable", func() {
			g.fake.Script(fakeaws.Fault{Match: "imds:credentials", Code: "AssumeRoleUnauthorizedAccess"})
		}, usererr.AccessDenied, "trust policy"},
		{"failure document", func() { g.fake.Script(fakeaws.Fault{Match: "imds:credentials", Code: "Failed"}) }, usererr.Unavailable, "Failed"},
		{"throttled", func() { g.fake.Script(fakeaws.Fault{Match: "imds:credentials", Status: 429}) }, usererr.Throttled, "too many requests"},
		{"5xx", func() { g.fake.Script(fakeaws.Fault{Match: "imds:credentials", Status: 500}) }, usererr.Unavailable, "status 500"},
		{"empty keys", func() { g.fake.Script(fakeaws.Fault{Match: "imds:credentials", EmptyKeys: true}) }, usererr.Unavailable, "without keys"},
		{"expired", func() { g.fake.Script(fakeaws.Fault{Match: "imds:credentials", Expired: true}) }, usererr.Unavailable, "ended at"},
		{"garbage", func() { g.fake.Script(fakeaws.Fault{Match: "imds:credentials", Body: []byte("CANARY")}) }, usererr.Unavailable, "not the JSON"},
		{"garbage list", func() { g.fake.Script(fakeaws.Fault{Match: "imds:list", Body: []byte("<html>CANARY")}) }, usererr.Unavailable, "named no role"},
		{"HTML for a token", func() { g.fake.Script(fakeaws.Fault{Match: "imds:token", Body: []byte("<html>CANARY</html>")}) }, usererr.Unavailable, "no token"},
		{"no token", func() { g.fake.Script(fakeaws.Fault{Match: "imds:token", EmptyKeys: true}) }, usererr.Unavailable, "no token"},
		{"token 5xx", func() { g.fake.Script(fakeaws.Fault{Match: "imds:token", Status: 500}) }, usererr.Unavailable, "status 500"},
		{"10 MB for a token", func() {
			g.fake.Script(fakeaws.Fault{Match: "imds:token", Body: bytes.Repeat([]byte("CANARY7890"), 1<<20)})
		}, usererr.Unavailable, "more than 64 KiB"},
		{"10 MB list", func() {
			g.fake.Script(fakeaws.Fault{Match: "imds:list", Body: bytes.Repeat([]byte("CANARY7890"), 1<<20)})
		}, usererr.Unavailable, "more than 64 KiB"},
		{"10 MB document", func() {
			g.fake.Script(fakeaws.Fault{Match: "imds:credentials", Body: bytes.Repeat([]byte("CANARY7890"), 1<<20)})
		}, usererr.Unavailable, "more than 64 KiB"},
		{"dripping token", func() { g.fake.Script(fakeaws.Fault{Match: "imds:token", Drip: time.Second}) }, usererr.Unavailable, "hop limit of 1"},
		{"dripping list", func() { g.fake.Script(fakeaws.Fault{Match: "imds:list", Drip: time.Second}) }, usererr.Unavailable, "timed out"},
		{"dripping document", func() { g.fake.Script(fakeaws.Fault{Match: "imds:credentials", Drip: time.Second}) }, usererr.Unavailable, "timed out"},
		{"hanging token", func() { g.fake.Script(fakeaws.Fault{Match: "imds:token", Hang: true}) }, usererr.Unavailable, "hop limit of 1"},
		{"hanging list", func() { g.fake.Script(fakeaws.Fault{Match: "imds:list", Hang: true}) }, usererr.Unavailable, "linklocal_allowance_exceeded"},
		{"reset", func() { g.fake.Script(fakeaws.Fault{Match: "imds:*", Reset: true}) }, usererr.Unavailable, "does this run on EC2"},
		{"HTML document", func() {
			g.fake.Script(fakeaws.Fault{Match: "imds:credentials", Body: []byte("<html>CANARY")})
		}, usererr.Unavailable, "something else listen"},
		{"empty list", func() { g.fake.Script(fakeaws.Fault{Match: "imds:list", Body: []byte{}}) }, usererr.Unavailable, "named no role"},
		{"empty document", func() { g.fake.Script(fakeaws.Fault{Match: "imds:credentials", Body: []byte{}}) }, usererr.Unavailable, "not the JSON"},
		{"cut document", func() { g.fake.Script(fakeaws.Fault{Match: "imds:credentials", Truncate: true}) }, usererr.Unavailable, "not the JSON"},
		{"no content", func() { g.fake.Script(fakeaws.Fault{Match: "imds:credentials", Body: []byte{}, Status: 204}) }, usererr.Unavailable, "status 204"},
		{"redirect", func() { g.fake.Script(fakeaws.Fault{Match: "imds:list", Redirect: "http://127.0.0.1:1/"}) }, usererr.Unavailable, "redirect (status 302)"},
		{"the role vanishes", func() { g.fake.Script(fakeaws.Fault{Match: "imds:credentials", Status: 404}) }, usererr.Unavailable, "names a role and does not have it"},
		{"forbidden list", func() { g.fake.Script(fakeaws.Fault{Match: "imds:list", Status: 403}) }, usererr.NotConfigured, "switched off"},
		{"odd refusal", func() { g.fake.Script(fakeaws.Fault{Match: "imds:list", Status: 418}) }, usererr.Unavailable, "status 418"},
		{"throttled token", func() { g.fake.Script(fakeaws.Fault{Match: "imds:token", Status: 429}) }, usererr.Throttled, "too many requests"},
		{"token 400", func() { g.fake.Script(fakeaws.Fault{Match: "imds:token", Status: 400}) }, usererr.NotConfigured, "status 400"},
		{"token 401", func() { g.fake.Script(fakeaws.Fault{Match: "imds:token", Status: 401}) }, usererr.Unavailable, "status 401"},
		{"token 404", func() { g.fake.Script(fakeaws.Fault{Match: "imds:token", Status: 404}) }, usererr.NotConfigured, "has no IMDSv2 (status 404)"},
		{"token 405", func() { g.fake.Script(fakeaws.Fault{Match: "imds:token", Status: 405}) }, usererr.NotConfigured, "AWS_EC2_METADATA_V1_DISABLED=false"},
		{"token refused everywhere", func() { g.fake.Script(fakeaws.Fault{Match: "imds:list", Status: 401}) }, usererr.Unavailable, "refuses the tokens that it gives out"},
		{"switched off here", func() { g.env["AWS_EC2_METADATA_DISABLED"] = "True" }, usererr.NotConfigured, "AWS_EC2_METADATA_DISABLED"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g.fake.SetInstanceRole("arn:aws:iam::123456789012:role/instance-role")
			g.fake.ClearFaults()
			g.configure(Config{}) // which knows no token yet
			g.env[imdsTimeout], g.env[imdsAttempts] = "0.3", "2"
			tt.setUp()
			_, err := g.retrieve("imds")
			e := isError(t, "imds", err, tt.code, tt.word)
			if strings.Contains(e.Msg+e.Hint, "CANARY") {
				t.Errorf("the answer is shown: %s", e.Msg)
			}
			if e.Hint == "" {
				t.Errorf("no hint with %q", e.Msg)
			}
		})
	}
}

// TestInstanceV1: IMDSv1 is asked only where a setting says so.
func TestInstanceV1(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodPut:
			w.WriteHeader(http.StatusNotFound)
		case strings.HasSuffix(r.URL.Path, "/"):
			_, _ = w.Write([]byte("old\n"))
		default:
			_, _ = w.Write([]byte(`{"Code":"Success","AccessKeyId":"ASIAFAKE","SecretAccessKey":"s","Token":"t","Expiration":"2099-01-01T00:00:00Z"}`))
		}
	}))
	defer server.Close()
	g := newRig(t, fakeaws.Config{})
	g.env["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = server.URL
	g.fails("imds", usererr.NotConfigured)
	g.env["AWS_EC2_METADATA_V1_DISABLED"] = "false"
	if c := g.must("imds"); c.RoleName != "old" {
		t.Errorf("role is %q", c.RoleName)
	}
}

func TestContainer(t *testing.T) {
	g := newRig(t, fakeaws.Config{ContainerAuthorization: "tok"})
	g.env[fullURI] = g.fake.ContainerURL("task")
	g.fails("container", usererr.AccessDenied, tokenFile)
	g.env[tokenVar] = "tok"
	c := g.must("container")
	if issued, ok := g.fake.Issued(c.AccessKeyID); !ok || c.AccountID != issued.Account || c.ObservedAt.IsZero() || !c.CanExpire() {
		t.Errorf("%+v, issued %+v", c, issued)
	}
	// The file goes first and is read each time.
	path := g.write("token", "wrong")
	g.env[tokenFile] = path
	g.fails("container", usererr.AccessDenied)
	g.write("token", "tok")
	g.must("container")
	g.write("token", "tok\n")
	e := g.fails("container", usererr.NotConfigured, "newline", "printf", path)
	g.write("token", "to")
	if e.Changed == nil || !e.Changed() {
		t.Error("a change of the token file was not seen")
	}
	g.env[tokenFile] = path + "-missing"
	g.fails("container", usererr.NotConfigured, tokenFile, "is not there")
	delete(g.env, tokenFile)

	for _, tt := range []struct {
		name  string
		fault fakeaws.Fault
		code  usererr.Code
	}{
		{"404", fakeaws.Fault{Status: 404}, usererr.NotConfigured},
		{"400", fakeaws.Fault{Status: 400}, usererr.NotConfigured},
		{"429", fakeaws.Fault{Status: 429, RetryAfter: 3 * time.Second}, usererr.Throttled},
		{"503", fakeaws.Fault{Status: 503, RetryAfter: 3 * time.Second}, usererr.Unavailable},
		{"302", fakeaws.Fault{Redirect: "http://127.0.0.1:1/"}, usererr.Unavailable},
		{"307", fakeaws.Fault{Redirect: "http://127.0.0.1:1/", Status: 307}, usererr.Unavailable},
		{"garbage", fakeaws.Fault{Body: []byte("<html>")}, usererr.Unavailable},
		{"empty keys", fakeaws.Fault{EmptyKeys: true}, usererr.Unavailable},
		{"expired", fakeaws.Fault{Expired: true}, usererr.Unavailable},
		{"truncated", fakeaws.Fault{Truncate: true}, usererr.Unavailable},
		{"reset", fakeaws.Fault{Reset: true}, usererr.Unavailable},
		{"empty", fakeaws.Fault{Body: []byte{}}, usererr.Unavailable},
		{"10 MB", fakeaws.Fault{Body: bytes.Repeat([]byte("CANARY7890"), 1<<20)}, usererr.Unavailable},
		{"Code other than Success", fakeaws.Fault{Body: []byte(`{"Code":"Failed","AccessKeyId":"a","SecretAccessKey":"b"}`)}, usererr.Unavailable},
		{"Go's zero time", fakeaws.Fault{Body: []byte(`{"AccessKeyId":"a","SecretAccessKey":"b","Token":"c","Expiration":"0001-01-01T00:00:00Z"}`)}, usererr.Unavailable},
		{"no end in a word", fakeaws.Fault{Body: []byte(`{"AccessKeyId":"a","SecretAccessKey":"b","Token":"c","Expiration":""}`)}, usererr.Unavailable},
		{"403", fakeaws.Fault{Status: 403}, usererr.AccessDenied},
		{"405", fakeaws.Fault{Status: 405}, usererr.Unavailable},
		{"500", fakeaws.Fault{Status: 500}, usererr.Unavailable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g.fake.ClearFaults()
			tt.fault.Match = "container:credentials"
			g.fake.Script(tt.fault)
			_, err := g.retrieve("container")
			e := isError(t, "container", err, tt.code)
			if e.RetryAfter != tt.fault.RetryAfter {
				t.Errorf("RetryAfter is %v", e.RetryAfter)
			}
			if e.Hint == "" {
				t.Errorf("no hint with %q", e.Msg)
			}
		})
	}
}

func TestContainerURLs(t *testing.T) {
	for _, tt := range []struct {
		relative, full, word string
	}{
		{"", "", "neither"},
		{"x", "", "does not begin with /"},
		{"", "x", "not a URL with a host"},
		{"", "ftp://localhost/x", "not a URL with a host"},
		{"", "http://10.0.0.1/x", "unencrypted to 10.0.0.1"},
		{"", "http://[::2]/x", "unencrypted"},
		{"", "http://0.0.0.0/x", "unencrypted"},
	} {
		g := newRig(t, fakeaws.Config{})
		g.env[relativeURI], g.env[fullURI] = tt.relative, tt.full
		g.fails("container", usererr.NotConfigured, tt.word)
	}
}

// TestContainerAddresses asks the rule itself, which must not be tried by asking
// the addresses.
func TestContainerAddresses(t *testing.T) {
	for text, want := range map[string]bool{
		"127.0.0.1": true, "127.9.9.9": true, "::1": true, "169.254.170.2": true, "169.254.170.23": true, "fd00:ec2::23": true,
		"169.254.169.254": false, "169.254.170.3": false, "fd00:ec2::254": false, "10.0.0.1": false, "0.0.0.0": false, "::2": false,
	} {
		if got := containerAddr(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
}

// TestSelf: a source that is the daemon itself would ask itself for ever.
func TestSelf(t *testing.T) {
	g := newRig(t, fakeaws.Config{})
	host := strings.TrimPrefix(g.fake.URL(), "http://")
	g.configure(Config{Self: func(h string) bool { return h == host || h == "127.0.0.1:80" }})
	g.env[fullURI] = g.fake.ContainerURL("x")
	for _, text := range []string{"container", "imds"} {
		g.fails(text, usererr.NotConfigured, "this daemon itself")
	}
	g.env["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = "http://127.0.0.1" // the port that goes without saying
	g.fails("imds", usererr.NotConfigured, "this daemon itself")
	if n := g.fake.Calls("*"); n != 0 {
		t.Errorf("%d calls", n)
	}
}

type vector struct {
	Docs             string            `json:"docs"`
	Env              map[string]string `json:"env"`
	FS               map[string]string `json:"fs"`
	EndpointOverride string            `json:"endpoint_override"`
	ModeOverride     string            `json:"mode_override"`
	Result           struct {
		OK            string `json:"Ok"`
		Err           string `json:"Err"`
		ErrorContains string `json:"ErrorContains"`
	} `json:"result"`
}

func vectors(t *testing.T, name string) []vector {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Tests []vector }
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.DisallowUnknownFields()
	if err := d.Decode(&file); err != nil || len(file.Tests) == 0 {
		t.Fatalf("%s: %v, %d tests", name, err, len(file.Tests))
	}
	return file.Tests
}

// TestContainerVectors runs the environments that AWS SDKs share; nothing is
// asked of any of the addresses.
func TestContainerVectors(t *testing.T) {
	for _, v := range vectors(t, "container-uri.json") {
		r := New(Config{Getenv: func(name string) string { return v.Env[name] }, Home: t.TempDir()})
		u, err := r.containerURL()
		switch {
		case v.Result.OK == "" && err == nil:
			t.Errorf("%s: %s was taken", v.Docs, u)
		case v.Result.OK != "" && (err != nil || u.String() != v.Result.OK):
			t.Errorf("%s: %v, %v, want %s", v.Docs, u, err, v.Result.OK)
		case err == nil:
			c := &container{r: r, url: u}
			if u.Hostname() == "localhost" {
				continue // would be looked up
			}
			if err := c.allowed(context.Background()); err != nil {
				t.Errorf("%s: %v", v.Docs, err)
			}
		}
	}
}

func TestInstanceVectors(t *testing.T) {
	tried := 0
	defer func() {
		if tried != 11 {
			t.Errorf("%d vectors were tried", tried)
		}
	}()
	for _, v := range vectors(t, "imds-endpoint.json") {
		if v.EndpointOverride != "" || v.ModeOverride != "" {
			continue // settings made in code, which there are none of here
		}
		tried++
		home := t.TempDir()
		for name, text := range v.FS {
			if err := os.WriteFile(filepath.Join(home, name), []byte(text+"\n[profile x]\nrole_arn = arn:aws:iam::111111111111:role/x\ncredential_source = Ec2InstanceMetadata\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		env := func(name string) string {
			if file := v.Env["AWS_CONFIG_FILE"]; name == "AWS_CONFIG_FILE" && file != "" {
				return filepath.Join(home, file)
			}
			return v.Env[name]
		}
		r := New(Config{Getenv: env, Home: home})
		files, err := r.files()
		if err != nil {
			t.Fatal(err)
		}
		s, _ := files.Profile("default")
		sc := &scope{files: files}
		if s != nil {
			sc.sections = append(sc.sections, s)
		}
		l, err := r.imdsLink(sc)
		if v.Result.OK == "" {
			if err == nil {
				t.Errorf("%s: was taken", v.Docs)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v, want %s", v.Docs, err, v.Result.OK)
			continue
		}
		if got := l.provider.(*instance).set.endpoint + imdsTokenPath; got != v.Result.OK {
			t.Errorf("%s: %s, want %s", v.Docs, got, v.Result.OK)
		}
	}
}
