package doctor

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rolecall/internal/control"
	"rolecall/internal/fakeaws"
	"rolecall/internal/usererr"
	"rolecall/test/world"
)

const canary = "CANARYdoctor"

// look runs all checks of a program with this environment, less what needs a
// daemon.
func look(t *testing.T, c Config, env ...string) Report {
	t.Helper()
	if c.Resolve == nil {
		c.Resolve = names
	}
	has := strings.Join(env, "\n")
	for name, value := range map[string]string{"HOME": t.TempDir(), "AWS_REGION": "eu-west-1", "AWS_EC2_METADATA_DISABLED": "true"} {
		if !strings.Contains(has, name+"=") {
			env = append(env, name+"="+value)
		}
	}
	r := Run(t.Context(), Inspect(Program{Name: "it", Env: NewEnviron(env)}, c))
	checkSafe(t, r)
	return r
}

// checkSafe fails when a report holds a secret, or a fault without a cause,
// evidence or fix.
func checkSafe(t *testing.T, r Report) {
	t.Helper()
	if text := fmt.Sprintf("%+v", r); strings.Contains(text, canary) {
		t.Error("a secret is in the report")
	}
	for _, res := range r.Results {
		if (res.Outcome == Failed || res.Outcome == Warning) && (res.Cause == "" || res.Summary == "" || len(res.Fixes) == 0) {
			t.Errorf("a fault without cause, summary or fix: %+v", res)
		}
		if res.Outcome == Skipped && res.Why == "" {
			t.Errorf("skipped without saying why: %+v", res)
		}
		if strings.ContainsAny(res.Summary, "\n\x1b") {
			t.Errorf("a summary is one line: %q", res.Summary)
		}
	}
}

func fake(t *testing.T, c fakeaws.Config) *fakeaws.Server {
	t.Helper()
	c.Canary = canary
	s, err := fakeaws.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestContainerAnswers(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		fault fakeaws.Fault // of container:credentials
		env   []string
		want  string
	}{
		{"good", fakeaws.Fault{Match: "nothing"}, nil, ""},
		{"401", fakeaws.Fault{Status: 401}, nil, "container.unauthorized"},
		{"403", fakeaws.Fault{Status: 403}, nil, "container.unauthorized"},
		{"404", fakeaws.Fault{Status: 404}, nil, "container.not-found"},
		{"400", fakeaws.Fault{Status: 400}, nil, "container.not-found"},
		{"429", fakeaws.Fault{Status: 429}, nil, "container.throttled"},
		{"500", fakeaws.Fault{Status: 500}, nil, "container.unavailable"},
		{"503", fakeaws.Fault{Status: 503}, nil, "container.unavailable"},
		{"redirect", fakeaws.Fault{Redirect: "http://127.0.0.1:1/"}, nil, "container.redirect"},
		{"hang", fakeaws.Fault{Hang: true}, nil, "container.timeout"},
		{"reset", fakeaws.Fault{Reset: true}, nil, "container.broken"},
		{"drip", fakeaws.Fault{Drip: 200 * time.Millisecond}, nil, "container.timeout"},
		{"half", fakeaws.Fault{Truncate: true}, nil, "container.not-json"},
		{"empty keys", fakeaws.Fault{EmptyKeys: true}, nil, "container.incomplete"},
		{"expired", fakeaws.Fault{Expired: true}, nil, "container.expired"},
		{"ten minutes", fakeaws.Fault{Lifetime: 10 * time.Minute}, nil, "container.short-life"},
		{"html", fakeaws.Fault{Body: []byte("<html>" + canary)}, nil, "container.not-json"},
		{"an array", fakeaws.Fault{Body: []byte(`["` + canary + `"]`)}, nil, "container.not-json"},
		{"no expiration", fakeaws.Fault{Body: []byte(`{"AccessKeyId":"a","SecretAccessKey":"` + canary + `","Token":"t"}`)}, nil, "container.incomplete"},
		{"expiration is none", fakeaws.Fault{Body: []byte(`{"AccessKeyId":"a","SecretAccessKey":"b","Token":"t","Expiration":"` + canary + `"}`)}, nil, "container.expiration"},
		{"expiration with an offset", fakeaws.Fault{Body: []byte(`{"AccessKeyId":"a","SecretAccessKey":"b","Token":"t","Expiration":"2099-01-01T00:00:00+00:00"}`)}, nil, "container.expiration"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := fake(t, fakeaws.Config{})
			if tt.fault.Match == "" {
				tt.fault.Match = "container:credentials"
			}
			s.Script(tt.fault)
			r := look(t, Config{}, "AWS_CONTAINER_CREDENTIALS_FULL_URI="+s.ContainerURL("app"))
			if r.Cause() != tt.want {
				t.Errorf("%q, want %q: %+v", r.Cause(), tt.want, r.Results[0])
			}
		})
	}
}

// The token that is set goes as it is; without one, the server's refusal is
// told apart from that of a wrong one.
func TestContainerToken(t *testing.T) {
	t.Parallel()
	s := fake(t, fakeaws.Config{ContainerAuthorization: canary})
	url := "AWS_CONTAINER_CREDENTIALS_FULL_URI=" + s.ContainerURL("app")
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(canary), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ token, cause, words string }{
		{"AWS_CONTAINER_AUTHORIZATION_TOKEN=" + canary, "", ""},
		{"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=" + file, "", ""},
		{"AWS_CONTAINER_AUTHORIZATION_TOKEN=" + canary + "x", "container.unauthorized", "refuses the authorization token"},
		{"AWS_PAGER=", "container.unauthorized", "none is set"},
	} {
		r := look(t, Config{}, url, tt.token)
		if r.Cause() != tt.cause || !strings.Contains(r.Results[0].Summary, tt.words) {
			t.Errorf("%s: %q: %s", strings.ReplaceAll(tt.token, canary, "…"), r.Cause(), r.Results[0].Summary)
		}
	}
}

func TestContainerNotThere(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "http://" + l.Addr().String() + "/creds"
	_ = l.Close()
	if r := look(t, Config{}, "AWS_CONTAINER_CREDENTIALS_FULL_URI="+url); r.Cause() != "container.refused" {
		t.Error(r.Cause())
	}
	if r := look(t, Config{Offline: true}, "AWS_CONTAINER_CREDENTIALS_FULL_URI="+url); r.Cause() != "" || r.Count(Skipped) != 1 {
		t.Errorf("offline: %+v", r)
	}
	// Something that is no HTTP.
	l, err = net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, "220 "+canary+" ESMTP\r\n")
			_ = c.Close()
		}
	}()
	if r := look(t, Config{}, "AWS_CONTAINER_CREDENTIALS_FULL_URI=http://"+l.Addr().String()+"/"); r.Cause() != "container.broken" {
		t.Error(r.Cause())
	}
}

func TestIMDSAnswers(t *testing.T) {
	t.Parallel()
	held := fakeaws.Fault{Hang: true}
	match := func(f fakeaws.Fault, m string) fakeaws.Fault { f.Match = m; return f }
	tests := []struct {
		name   string
		v1     bool
		norole bool
		faults []fakeaws.Fault
		want   string
	}{
		{"good", false, false, nil, ""},
		{"good, v1 on", true, false, nil, ""},
		{"hop limit", false, false, []fakeaws.Fault{match(held, "imds:token")}, "imds.hop-limit"},
		{"hop limit, v1 on", true, false, []fakeaws.Fault{match(held, "imds:token")}, "imds.hop-limit"},
		{"black hole", false, false, []fakeaws.Fault{match(held, "imds:*")}, "imds.timeout"},
		{"switched off", false, false, []fakeaws.Fault{{Match: "imds:*", Status: 403}}, "imds.off"},
		{"throttled token", false, false, []fakeaws.Fault{{Match: "imds:token", Status: 429}}, "imds.throttled"},
		{"throttled document", false, false, []fakeaws.Fault{{Match: "imds:credentials", Status: 503}}, "imds.throttled"},
		{"token fails", false, false, []fakeaws.Fault{{Match: "imds:token", Status: 500}}, "imds.unavailable"},
		{"v1 only", true, false, []fakeaws.Fault{{Match: "imds:token", Status: 404}}, "imds.v1-only"},
		{"no token", false, false, []fakeaws.Fault{{Match: "imds:token", Status: 404}}, "imds.no-token"},
		{"empty token", false, false, []fakeaws.Fault{{Match: "imds:token", EmptyKeys: true}}, "imds.token-empty"},
		{"a token that the fake does not know", false, false, []fakeaws.Fault{{Match: "imds:token", Body: []byte("x")}}, "imds.token-forgotten"},
		{"no role", false, true, nil, "imds.no-role"},
		{"list hangs", false, false, []fakeaws.Fault{{Match: "imds:list", Times: 1, Status: 401}, match(held, "imds:list")}, "imds.slow"},
		{"list is html", false, false, []fakeaws.Fault{{Match: "imds:list", Body: []byte("<html>" + canary + "</html>")}}, "imds.broken"},
		{"role cannot be assumed", false, false, []fakeaws.Fault{{Match: "imds:credentials", Code: "AssumeRoleUnauthorizedAccess"}}, "imds.role-refused"},
		{"document is no json", false, false, []fakeaws.Fault{{Match: "imds:credentials", Body: []byte("x" + canary)}}, "imds.not-json"},
		{"document is empty", false, false, []fakeaws.Fault{{Match: "imds:credentials", EmptyKeys: true}}, "imds.incomplete"},
		{"expired", false, false, []fakeaws.Fault{{Match: "imds:credentials", Expired: true}}, "imds.expired"},
		{"ten minutes", false, false, []fakeaws.Fault{{Match: "imds:credentials", Lifetime: 10 * time.Minute}}, "imds.short-life"},
		{"newline", false, false, []fakeaws.Fault{{Match: "imds:list", Body: []byte("role\n")}}, "imds.newline"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := fake(t, fakeaws.Config{IMDSv1: tt.v1})
			if tt.norole {
				s.SetInstanceRole("")
			}
			s.Script(tt.faults...)
			r := look(t, Config{Only: KindIMDS}, "AWS_EC2_METADATA_SERVICE_ENDPOINT="+s.URL(), "AWS_EC2_METADATA_DISABLED=false")
			if r.Cause() != tt.want {
				t.Errorf("%q, want %q: %+v", r.Cause(), tt.want, r.Results[0])
			}
			if r.Took > 1200*time.Millisecond {
				t.Errorf("took %s", r.Took)
			}
		})
	}
}

func TestIMDSTokenWithoutTTL(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodPut:
			_, _ = io.WriteString(w, canary)
		case r.Header.Get(headToken) == "":
			w.WriteHeader(401)
		case r.URL.Path == pathRoles:
			_, _ = io.WriteString(w, "dev")
		default:
			fmt.Fprintf(w, `{"Code":"Success","AccessKeyId":"A","SecretAccessKey":"%s","Token":"t","Expiration":"2099-01-01T00:00:00Z"}`, canary)
		}
	}))
	defer s.Close()
	r := Report{Results: IMDS{Base: s.URL, Now: time.Now}.Check(t.Context())}
	if checkSafe(t, r); r.Cause() != "imds.token-no-ttl" {
		t.Errorf("%+v", r)
	}
}

// What stands in a URL beside the host is a secret there, too.
func TestIMDSWithAPassword(t *testing.T) {
	t.Parallel()
	s := fake(t, fakeaws.Config{})
	r := look(t, Config{Only: KindIMDS}, "AWS_EC2_METADATA_SERVICE_ENDPOINT="+strings.Replace(s.URL(), "//", "//u:"+canary+"@", 1), "AWS_EC2_METADATA_DISABLED=false")
	if r.Cause() != "" {
		t.Errorf("%+v", r.Results[0])
	}
}

func TestClockSkew(t *testing.T) {
	t.Parallel()
	s := fake(t, fakeaws.Config{Now: func() time.Time { return time.Now().Add(-time.Hour) }, Lifetime: 12 * time.Hour})
	r := look(t, Config{}, "AWS_EC2_METADATA_SERVICE_ENDPOINT="+s.URL(), "AWS_EC2_METADATA_DISABLED=false")
	if r.Cause() != "clock.skew" || !strings.Contains(r.Results[0].Summary, "ahead") {
		t.Errorf("%+v", r.Results[0])
	}
	r = look(t, Config{}, "AWS_CONTAINER_CREDENTIALS_FULL_URI="+s.ContainerURL("app"))
	if r.Cause() != "clock.skew" {
		t.Errorf("%+v", r.Results[0])
	}
}

// With everything unreachable a run of all checks ends within 3 s, and each
// network check within one.
func TestBlackHoles(t *testing.T) {
	t.Parallel()
	began := time.Now()
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Skip("no unix sockets here: ", err)
	}
	defer l.Close()
	// Java goes on from a container endpoint to IMDS only where the first is
	// refused: here both kinds are asked by different SDKs.
	r := look(t, Config{Daemon: socket}, "AWS_CONTAINER_CREDENTIALS_FULL_URI="+"http://"+world.Silent(t, "tcp", "127.0.0.1:0")+"/creds", "AWS_EC2_METADATA_SERVICE_ENDPOINT="+"http://"+world.Silent(t, "tcp", "127.0.0.1:0"), "AWS_EC2_METADATA_DISABLED=false")
	if r.Cause() != "container.timeout" {
		t.Errorf("%+v", r.Results[0])
	}
	r2 := look(t, Config{Daemon: socket}, "AWS_EC2_METADATA_SERVICE_ENDPOINT="+"http://"+world.Silent(t, "tcp", "127.0.0.1:0"), "AWS_EC2_METADATA_DISABLED=false")
	if r2.Cause() != "imds.timeout" {
		t.Errorf("%+v", r2.Results[0])
	}
	for _, one := range []Report{r, r2} {
		if one.Took > 1200*time.Millisecond {
			t.Errorf("a run took %s", one.Took)
		}
	}
	t.Logf("two runs in %s: %s, %s", time.Since(began), r.Took, r2.Took)
}

type daemonSays struct {
	st  control.Status
	err error
}

func (d daemonSays) Status(context.Context) (control.Status, error) { return d.st, d.err }

func TestDaemon(t *testing.T) {
	t.Parallel()
	ends := time.Now().Add(time.Hour)
	login := &control.Error{Code: usererr.LoginRequired, Message: "the sign-in has ended", Hint: "aws sso login --profile dev"}
	listeners := []control.Listener{{Endpoint: "ecs", URL: "http://127.0.0.1:4144/"}}
	for _, tt := range []struct {
		name    string
		slots   []control.Slot
		uri     string
		outcome Outcome
		cause   string
	}{
		{"all is well", []control.Slot{{State: "valid", Source: "profile:dev", Expires: &ends}}, full, OK, ""},
		{"login needed, and gone", []control.Slot{{State: "expired", Source: "profile:dev", Error: login}}, full, Failed, "daemon.login-required"},
		{"login needed, and still held", []control.Slot{{State: "valid", Source: "profile:dev", Error: login, Expires: &ends, Remaining: 3600}}, full, Warning, "daemon.login-required"},
		{"login needed, of another slot", []control.Slot{{Name: "x", State: "empty", Source: "profile:dev", Error: login}, {State: "valid", Source: "s"}}, full, Warning, "daemon.login-required"},
		{"denied", []control.Slot{{State: "empty", Source: "profile:dev", Error: &control.Error{Code: usererr.AccessDenied, Message: "no"}}}, full, Failed, "daemon.slot-failing"},
		{"slot is empty", nil, fullWith + "http://localhost:4144/slot/prod", Failed, "daemon.slot-empty"},
		{"another server", nil, fullWith + "http://127.0.0.1:9/creds", OK, ""},
	} {
		s := Config{Resolve: names}.survey(Program{Env: NewEnviron([]string{"HOME=" + t.TempDir(), tt.uri, off})})
		r := s.daemon(t.Context(), daemonSays{st: control.Status{Slots: tt.slots, Listeners: listeners}})
		if len(r) != 1 || r[0].Outcome != tt.outcome || r[0].Cause != tt.cause {
			t.Errorf("%s: %+v", tt.name, r)
		}
	}
	s := Config{Resolve: names}.survey(Program{})
	if r := s.daemon(t.Context(), daemonSays{err: control.ErrNoDaemon}); r != nil {
		t.Errorf("no daemon is no fault: %+v", r)
	}
	if r := s.daemon(t.Context(), daemonSays{err: context.DeadlineExceeded}); len(r) != 1 || r[0].Cause != "daemon.silent" {
		t.Errorf("%+v", r)
	}
}
