package fakeaws_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"rolecall/internal/fakeaws"
)

func TestConfigIsChecked(t *testing.T) {
	for _, cfg := range []fakeaws.Config{
		{Lifetime: -1}, {SSOTokenLifetime: -1}, {DeviceInterval: -1}, {SSOPageSize: -1},
		{Canary: "seventeenletters1"}, {Canary: "a b"}, {Account: "1"}, {Addr: "127.0.0.1:nothing"},
	} {
		if s, err := fakeaws.Start(cfg); err == nil {
			s.Close()
			t.Errorf("%+v was taken", cfg)
		}
	}
}

func TestStartAndClose(t *testing.T) {
	s, err := fakeaws.New(fakeaws.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if s.URL() != "" || s.Environ() != nil {
		t.Error("an address before Start")
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err == nil {
		t.Error("started twice")
	}
	if !strings.HasPrefix(s.URL(), "http://127.0.0.1:") {
		t.Error(s.URL())
	}
	for range 2 {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := s.Start(); err == nil {
		t.Error("started after Close")
	}
	if _, err := http.Get(s.URL()); err == nil {
		t.Error("answers after Close")
	}
}

func TestCanaryIsInEverySecret(t *testing.T) {
	const canary = "CANARY7d1"
	s := start(t, fakeaws.Config{Canary: canary})
	out, err := baseSTS(s).AssumeRole(within(t, 10*time.Second), assume(roleX))
	if err != nil {
		t.Fatal(err)
	}
	login := s.NewSSOLogin(time.Now())
	_, base := s.BaseUser()
	for _, secret := range []string{*out.Credentials.SecretAccessKey, *out.Credentials.SessionToken, login.AccessToken,
		login.RefreshToken, login.ClientSecret, base} {
		if !strings.Contains(secret, canary) {
			t.Errorf("%d characters without the canary", len(secret))
		}
	}
	if len(*out.Credentials.SecretAccessKey) != 40 {
		t.Error("the secret is not 40 characters long")
	}
}

// Thousands at once, over the handler: no lost count, no key twice, a bounded log.
func TestManyAtOnce(t *testing.T) {
	s, err := fakeaws.New(fakeaws.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.Script(fakeaws.Fault{Match: "container:credentials", Role: "throttled", Status: 429, Times: 100})
	const workers, each = 50, 250
	var wg sync.WaitGroup
	for i := range workers {
		wg.Go(func() {
			for range each {
				name := "x"
				if i%5 == 0 {
					name = "throttled"
				}
				s.Handler().ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/container/"+name, nil))
				s.Calls("container:*")
			}
		})
	}
	wg.Wait()
	log := s.Requests()
	if n := s.Calls("container:credentials"); n != workers*each || len(log) != 10_000 {
		t.Errorf("%d calls, %d logged", n, len(log))
	}
}

func TestLogIsInOrder(t *testing.T) {
	clock := newClock()
	s := start(t, fakeaws.Config{Now: clock.now})
	for range 3 {
		get(t, s.URL()+"/nothing?secret=1")
		clock.add(time.Second)
	}
	log := s.Requests()
	if len(log) != 3 || !log[0].Time.Before(log[2].Time) || log[0].Path != "/nothing" || log[0].Op != "unknown" {
		t.Errorf("%+v", log)
	}
}

// Whatever comes in, there is an answer, and a bounded number of names is counted.
func FuzzHandler(f *testing.F) {
	form := "application/x-www-form-urlencoded"
	f.Add("POST", "/", form, "Action=AssumeRole&RoleArn=arn:aws:iam::111122223333:role/x&RoleSessionName=me", "AWS4-HMAC-SHA256 Credential=AKIA/1/r/sts/aws4_request", "")
	f.Add("POST", "/", form, "Action=%zz", "AWS4-HMAC-SHA256 Credential=", "")
	f.Add("GET", "/federation/credentials?role_name=r&account_id=1", "", "", "", "in")
	f.Add("GET", "/assignment/accounts?next_token=AA&max_result=-1", "", "", "", "in")
	f.Add("POST", "/token", "application/json", `{"grantType":"refresh_token"}`, "", "")
	f.Add("POST", "/client/register", "application/json", `{"clientType":"public","redirectUris":["::"]}`, "", "")
	f.Add("GET", "/authorize?redirect_uri=http://[::1&client_id=", "", "", "", "")
	f.Add("PUT", "/latest/api/token", "", "", "", "")
	f.Add("GET", "//latest/meta-data/iam/security-credentials/../x", "", "", "", "")
	f.Add("GET", "/container/%00/..", "", "", "x", "")
	s, err := fakeaws.New(fakeaws.Config{})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { s.Close() })
	s.AddSSOToken("in", time.Now().Add(time.Hour))
	s.AddSSOAccount(fakeaws.SSOAccount{ID: "111111111111", Name: "Dev", Roles: []string{"Dev"}})
	f.Fuzz(func(t *testing.T, method, target, contentType, body, auth, bearer string) {
		u, err := url.Parse(target)
		if err != nil || !strings.HasPrefix(target, "/") {
			return
		}
		r := httptest.NewRequest("GET", "/", bytes.NewReader([]byte(body)))
		r.Method, r.URL = method, u
		r.Header.Set("Content-Type", contentType)
		r.Header.Set("Authorization", auth)
		r.Header.Set("X-Amz-Sso_bearer_token", bearer)
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		if w.Code < 200 || w.Code > 599 {
			t.Errorf("status %d", w.Code)
		}
		if log := s.Requests(); log[len(log)-1].Op == "" {
			t.Error("no operation")
		}
	})
}
