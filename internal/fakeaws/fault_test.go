package fakeaws_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/ec2rolecreds"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	"github.com/aws/aws-sdk-go-v2/service/sso"
	"github.com/aws/aws-sdk-go-v2/service/ssooidc"

	"rolecall/internal/fakeaws"
)

// operations runs one request of each kind that faults are mostly scripted for.
func operations(t *testing.T, s *fakeaws.Server) map[string]func(context.Context) error {
	login := s.NewSSOLogin(time.Now().Add(time.Hour))
	s.AddSSOAccount(fakeaws.SSOAccount{ID: "111111111111", Name: "Dev", Roles: []string{"Dev"}})
	return map[string]func(context.Context) error{
		"sts:AssumeRole": func(ctx context.Context) error {
			_, err := baseSTS(s).AssumeRole(ctx, assume(roleX))
			return err
		},
		"sso:GetRoleCredentials": func(ctx context.Context) error {
			_, err := portal(s).GetRoleCredentials(ctx, &sso.GetRoleCredentialsInput{
				AccessToken: &login.AccessToken, AccountId: str("111111111111"), RoleName: str("Dev")})
			return err
		},
		"oidc:CreateToken": func(ctx context.Context) error {
			_, err := oidc(s).CreateToken(ctx, &ssooidc.CreateTokenInput{ClientId: &login.ClientID,
				ClientSecret: &login.ClientSecret, GrantType: str("refresh_token"), RefreshToken: &login.RefreshToken})
			return err
		},
	}
}

func TestErrorsReachTheSDK(t *testing.T) {
	for _, tt := range []struct {
		fault fakeaws.Fault
		codes map[string]string // :: operation → code
	}{
		{fakeaws.Fault{Code: "MadeUp", Message: "because"}, map[string]string{
			"sts:AssumeRole": "MadeUp", "sso:GetRoleCredentials": "MadeUp", "oidc:CreateToken": "MadeUp"}},
		{fakeaws.Fault{Status: 403}, map[string]string{"sts:AssumeRole": "AccessDenied"}},
		{fakeaws.Fault{Status: 429}, map[string]string{"sts:AssumeRole": "Throttling", "sso:GetRoleCredentials": "TooManyRequestsException"}},
		{fakeaws.Fault{Status: 401}, map[string]string{"sso:GetRoleCredentials": "UnauthorizedException"}},
		{fakeaws.Fault{Status: 500}, map[string]string{"oidc:CreateToken": "InternalServerException", "sts:AssumeRole": "InternalFailure"}},
		{fakeaws.Fault{Status: 503}, map[string]string{"sts:AssumeRole": "ServiceUnavailable"}},
		{fakeaws.Fault{Code: "SlowDownException"}, map[string]string{"oidc:CreateToken": "SlowDownException"}},
	} {
		s := start(t, fakeaws.Config{})
		run := operations(t, s)
		for op, code := range tt.codes {
			f := tt.fault
			f.Match, f.Times = op, 1
			s.Script(f)
			ctx := within(t, 10*time.Second)
			wantCode(t, run[op](ctx), code)
			wantCode(t, run[op](ctx), "") // its one time is over
		}
	}
}

func TestDamagedAnswers(t *testing.T) {
	const html = "<html><body>502 Bad Gateway</body></html>"
	for name, f := range map[string]fakeaws.Fault{
		"garbage":  {Body: []byte{0xff, 0x00, 0x01}},
		"html":     {Body: []byte(html), ContentType: "text/html", Status: 502},
		"truncate": {Truncate: true},
		"reset":    {Reset: true},
	} {
		s := start(t, fakeaws.Config{})
		for op, run := range operations(t, s) {
			f.Match = op
			s.Script(f)
			if err := run(within(t, 10*time.Second)); err == nil {
				t.Errorf("%s: %s: no error", name, op)
			}
			if n := s.Calls(op); n != 1 {
				t.Errorf("%s: %s: %d calls", name, op, n)
			}
		}
	}
}

func TestBodiesAsTheyAre(t *testing.T) {
	s := start(t, fakeaws.Config{})
	big := bytes.Repeat([]byte("x"), 10<<20)
	for _, body := range [][]byte{{}, []byte("<html>"), big} {
		s.Script(fakeaws.Fault{Match: "container:credentials", Body: body, Times: 1, RetryAfter: 1500 * time.Millisecond})
		status, got, header := ask(t, "GET", s.ContainerURL("x"))
		if status != 200 || got != string(body) || header.Get("Retry-After") != "2" {
			t.Errorf("%d, %d bytes of %d, Retry-After %s", status, len(got), len(body), header.Get("Retry-After"))
		}
	}
	s.Script(fakeaws.Fault{Match: "*", Redirect: "http://127.0.0.1:9/x", Status: 307, Times: 1})
	if status, _, header := ask(t, "GET", s.ContainerURL("x")); status != 307 || header.Get("Location") != "http://127.0.0.1:9/x" {
		t.Errorf("redirect: %d to %s", status, header.Get("Location"))
	}
	_, whole, _ := ask(t, "GET", s.ContainerURL("x"))
	s.Script(fakeaws.Fault{Match: "*", Truncate: true, Drip: time.Microsecond, Times: 1})
	if _, half, _ := ask(t, "GET", s.ContainerURL("x")); len(half) == 0 || len(half) > len(whole)/2 {
		t.Errorf("%d bytes of %d", len(half), len(whole))
	}
}

func TestDamagedCredentials(t *testing.T) {
	s := start(t, fakeaws.Config{})
	ctx := within(t, 10*time.Second)
	s.Script(
		fakeaws.Fault{Match: "sts:*", EmptyKeys: true, Times: 1},
		fakeaws.Fault{Match: "sts:*", Expired: true, Times: 1},
		fakeaws.Fault{Match: "sts:*", Lifetime: 10 * time.Minute, Times: 1},
	)
	for i, want := range []struct {
		empty bool
		life  time.Duration
	}{{true, time.Hour}, {false, -time.Minute}, {false, 10 * time.Minute}, {false, time.Hour}} {
		out, err := baseSTS(s).AssumeRole(ctx, assume(roleX))
		if err != nil {
			t.Fatal(err)
		}
		if empty := aws.ToString(out.Credentials.SecretAccessKey) == ""; empty != want.empty {
			t.Errorf("%d: empty %v", i, empty)
		}
		if left := time.Until(*out.Credentials.Expiration); left > want.life || left < want.life-10*time.Second {
			t.Errorf("%d: lives for %v, want %v", i, left, want.life)
		}
	}
}

func TestFaultMatching(t *testing.T) {
	s := start(t, fakeaws.Config{})
	ctx := within(t, 10*time.Second)
	s.Script(fakeaws.Fault{Match: "sts:AssumeRole", Role: fakeaws.RoleProd, Code: "ByARN"}, fakeaws.Fault{Match: "*", Role: "dev", Code: "ByName"})
	for role, code := range map[string]string{fakeaws.RoleProd: "ByARN", fakeaws.RoleDev: "ByName", roleX: ""} {
		_, err := baseSTS(s).AssumeRole(ctx, assume(role))
		wantCode(t, err, code)
	}
	s.ClearFaults()
	_, err := baseSTS(s).AssumeRole(ctx, assume(fakeaws.RoleProd))
	wantCode(t, err, "")
	if n := s.Calls("*"); n != 4 {
		t.Errorf("%d calls", n)
	}
	s.ResetCalls()
	if s.Calls("*") != 0 || len(s.Requests()) != 0 {
		t.Error("still something there")
	}
}

func TestHangEndsWithClientOrServer(t *testing.T) {
	for name, f := range map[string]fakeaws.Fault{
		"hang": {Hang: true}, "delay": {Delay: time.Hour}, "until": {Until: make(chan struct{})}, "drip": {Drip: time.Hour},
	} {
		finished := make(chan fakeaws.Request, 2)
		s := start(t, fakeaws.Config{OnRequest: func(r fakeaws.Request) { finished <- r }})
		f.Match = "sts:AssumeRole"
		s.Script(f)
		ctx, cancel := context.WithCancel(within(t, 20*time.Second))
		failed := make(chan error, 1)
		call := func(ctx context.Context) {
			_, err := baseSTS(s).AssumeRole(ctx, assume(roleX))
			failed <- err
		}
		go call(ctx)
		if err := s.WaitCalls(ctx, "sts:AssumeRole", 1); err != nil {
			t.Fatal(name, err)
		}
		cancel()
		if err := <-failed; !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
		if r := <-finished; !r.Faulted || f.Drip == 0 && r.Status != 0 {
			t.Errorf("%s: %+v", name, r)
		}
		ctx = within(t, 20*time.Second)
		go call(ctx)
		if err := s.WaitCalls(ctx, "sts:AssumeRole", 2); err != nil {
			t.Fatal(name, err)
		}
		s.Close()
		if err := <-failed; err == nil {
			t.Errorf("%s: an answer after Close", name)
		}
	}
}

func TestUntilLetsGo(t *testing.T) {
	s := start(t, fakeaws.Config{})
	ctx := within(t, 20*time.Second)
	gate := make(chan struct{})
	s.Script(fakeaws.Fault{Match: "*", Until: gate})
	const n = 20
	failed := make(chan error, n)
	for range n {
		go func() {
			_, err := baseSTS(s).GetCallerIdentity(ctx, nil)
			failed <- err
		}()
	}
	if err := s.WaitCalls(ctx, "sts:GetCallerIdentity", n); err != nil {
		t.Fatal(err)
	}
	if len(s.Requests()) != 0 {
		t.Error("answered too early")
	}
	close(gate)
	for range n {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
}

func TestResetIsAReset(t *testing.T) {
	s := start(t, fakeaws.Config{})
	s.Script(fakeaws.Fault{Match: "*", Reset: true})
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	io.WriteString(conn, "GET /container/x HTTP/1.1\r\nHost: x\r\n\r\n")
	if _, err = conn.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("read: %v, want a reset", err)
	}
}

// The SDK's metadata client meets each fault of the three steps.
func TestMetadataFaults(t *testing.T) {
	for _, tt := range []struct {
		fault fakeaws.Fault
		fine  bool
	}{
		{fakeaws.Fault{Match: "imds:token", Status: 403}, false},
		{fakeaws.Fault{Match: "imds:token", Status: 400}, false},
		{fakeaws.Fault{Match: "imds:list", Status: 404}, false},
		{fakeaws.Fault{Match: "imds:credentials", Code: "AssumeRoleUnauthorizedAccess"}, false},
		{fakeaws.Fault{Match: "imds:credentials", Truncate: true}, false},
		{fakeaws.Fault{Match: "imds:credentials", Status: 503}, false},
		{fakeaws.Fault{Match: "imds:list", Status: 401, Times: 1}, true}, // the SDK fetches a new token
		{fakeaws.Fault{Match: "imds:*", Drip: time.Microsecond}, true},
	} {
		s := start(t, fakeaws.Config{})
		s.Script(tt.fault)
		client := imds.New(imds.Options{Endpoint: s.URL(), EnableFallback: aws.FalseTernary}, func(o *imds.Options) {
			if tt.fault.Times == 0 {
				o.Retryer = aws.NopRetryer{}
			}
		})
		_, err := ec2rolecreds.New(func(o *ec2rolecreds.Options) { o.Client = client }).Retrieve(within(t, 10*time.Second))
		if (err == nil) != tt.fine {
			t.Errorf("%+v: %v", tt.fault, err)
		}
	}
}

func TestContainerErrorHasBothSpellings(t *testing.T) {
	s := start(t, fakeaws.Config{})
	s.Script(fakeaws.Fault{Match: "container:credentials", Status: 503, Message: "later"})
	status, body, header := ask(t, "GET", s.ContainerURL("x"))
	var got map[string]string
	if err := json.Unmarshal([]byte(body), &got); err != nil || status != 503 || header.Get("Content-Type") != "application/json" ||
		got["code"] != "ServiceUnavailable" || got["Code"] != got["code"] || got["message"] != "later" || got["Message"] != "later" {
		t.Errorf("%d %s %v", status, body, err)
	}
}

func TestBodyLimit(t *testing.T) {
	s := start(t, fakeaws.Config{})
	resp, err := http.Post(s.URL()+"/token", "application/json", bytes.NewReader(make([]byte, 1<<20+1)))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("%d", resp.StatusCode)
	}
}

// Mounted on a recorder the fake needs no network, so that synctest can run its time.
func TestDelayInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := fakeaws.New(fakeaws.Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		s.Script(fakeaws.Fault{Match: "container:credentials", Delay: 3 * time.Second, Times: 1}, fakeaws.Fault{Match: "*", Reset: true})
		began := time.Now()
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/container/x", nil))
		if took := time.Since(began); took != 3*time.Second || w.Code != 200 {
			t.Errorf("%d after %v", w.Code, took)
		}
		if w.Header().Get("Date") != time.Now().UTC().Format(http.TimeFormat) {
			t.Errorf("Date %s", w.Header().Get("Date"))
		}
		w = httptest.NewRecorder()
		s.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/container/x", nil))
		if w.Code != http.StatusBadGateway {
			t.Errorf("reset on a recorder: %d", w.Code)
		}
		s.Close()
		w = httptest.NewRecorder()
		s.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/container/x", nil))
		if w.Code != http.StatusServiceUnavailable {
			t.Errorf("after Close: %d", w.Code)
		}
	})
}
