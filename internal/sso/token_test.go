package sso

import (
	"strings"
	"testing"
	"time"

	"rolecall/internal/creds"
)

func TestOldTokenFormat(t *testing.T) {
	c, ok := ParseToken([]byte(`{"accessToken":"x","expiresAt":"2020-06-17T10:02:08UTC"}`))
	if !ok || !c.Expires.Equal(time.Date(2020, 6, 17, 10, 2, 8, 0, time.UTC)) {
		t.Errorf("%v, %v", c.Expires, ok)
	}
}

func TestTokenIsWrittenAsTheCLIDoes(t *testing.T) {
	want := `{"startUrl": "https://x.awsapps.com/start", "region": "eu-west-1", "accessToken": "a<b>&\"\\", "expiresAt": "2026-11-21T10:02:08Z", ` +
		`"clientId": "id", "clientSecret": "s\u00e9\ud83d\ude00", "registrationExpiresAt": "2027-02-01T00:00:00Z", "refreshToken": "r", "new": {"kept": 1.5}}`
	tok, ok := ParseToken([]byte(want))
	if !ok {
		t.Fatal("no token")
	}
	if got := string(tok.encode()); got != want {
		t.Errorf("written as\n%s\nwant\n%s", got, want)
	}
	made := Token{StartURL: "https://x.awsapps.com/start", Region: "eu-west-1", Access: creds.NewSecret("a"), Expires: time.Date(2026, 11, 21, 10, 2, 8, 999, time.UTC),
		Client: Client{ID: creds.NewSecret("id"), Secret: creds.NewSecret("s"), Expires: time.Date(2027, 2, 1, 0, 0, 0, 0, time.UTC)}}
	if got, want := string(made.encode()), `{"startUrl": "https://x.awsapps.com/start", "region": "eu-west-1", "accessToken": "a", "expiresAt": "2026-11-21T10:02:08Z", `+
		`"clientId": "id", "clientSecret": "s", "registrationExpiresAt": "2027-02-01T00:00:00Z"}`; got != want {
		t.Errorf("written as\n%s\nwant\n%s", got, want)
	}
}

// The names are those that Python gives: hashlib.sha1(json.dumps({…}, sort_keys=True).encode()).
func TestFileNames(t *testing.T) {
	c := Cache{dir: ""}
	for _, tt := range []struct {
		s               Session
		token, register string
	}{
		{Session{Name: "corp", Section: true, StartURL: "https://x.awsapps.com/start", Region: "eu-west-1", Scopes: []string{"sso:account:access"}},
			"ee0bfd2552fbd840c02cc48b6e823320543c450f", "3aa7fbe5a617342ab6bc8c26f7425fed31e69108"},
		{Session{Name: "x", StartURL: "https://x.awsapps.com/start", Region: "eu-west-1"},
			"3947de8b16688092197fa616c34e01335f21d256", "96d39d608031cc5883b337f21f74c76cf488e5e2"},
		{Session{Name: "zürich", Section: true, StartURL: "https://x.awsapps.com/start#/", Region: "eu-west-1", Scopes: []string{"a", "b"}},
			"88beb6cd46b29cb8d52e157e6a291058c39d9641", "9f566f98be9fcec872d9762e88d678491b623d14"},
	} {
		if got := strings.TrimSuffix(c.TokenPath(tt.s), ".json"); got != tt.token {
			t.Errorf("%s: token %s, want %s", tt.s.Name, got, tt.token)
		}
		if got := strings.TrimSuffix(c.registrationPath(tt.s), ".json"); got != tt.register {
			t.Errorf("%s: registration %s, want %s", tt.s.Name, got, tt.register)
		}
	}
}

func TestForeignTokens(t *testing.T) {
	s := Session{Name: "corp", Section: true, StartURL: "https://x.awsapps.com/start", Region: "eu-west-1"}
	for text, want := range map[string]string{
		`"startUrl": "https://X.awsapps.com/start#/", "region": "eu-west-1"`: "",
		`"x": 1`: "",
		`"startUrl": "https://y.awsapps.com/start"`:                         "another start URL",
		`"startUrl": "https://x.awsapps.com/start", "region": "us-east-1"`:  "region us-east-1",
		`"scopes": ["codewhisperer:completions", "codewhisperer:analysis"]`: "other scopes",
		`"scopes": []`: "other scopes",
		`"scopes": ["sso:account:access", "codewhisperer:completions"]`: "",
		`"scopes": "sso:account:access"`:                                "",
	} {
		tok, ok := ParseToken([]byte(`{"accessToken":"x","expiresAt":"2026-06-17T10:02:08Z",` + text + `}`))
		if got := tok.Foreign(s); !ok || (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
	s.Scopes = []string{"codewhisperer:completions"}
	if tok, _ := ParseToken([]byte(`{"accessToken":"x","expiresAt":"2026-06-17T10:02:08Z","scopes":["sso:account:access"]}`)); tok.Foreign(s) == "" {
		t.Error("a token for less than the session's scopes was taken")
	}
}

func FuzzParseToken(f *testing.F) {
	for _, seed := range []string{`{"accessToken":"x","expiresAt":"2020-06-17T10:02:08Z","refreshToken":"r","clientId":"i","clientSecret":"s"}`,
		`{"accessToken":1,"expiresAt":[]}`, `null`, `[]`, `{`, "", `{"accessToken":"x","expiresAt":"x"}`, `{"accessToken":"\ud800","expiresAt":"2020-06-17T10:02:08Z","a":[1, 2]}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, ok := ParseToken(text)
		if !ok {
			return
		}
		if c.Access.IsZero() || c.Expires.IsZero() || c.fields == nil {
			t.Fatalf("%q was taken as a token", text)
		}
		again, ok := ParseToken(c.encode())
		if !ok || again.Access.Reveal() != c.Access.Reveal() || again.Refresh.Reveal() != c.Refresh.Reveal() || again.Client.Secret.Reveal() != c.Client.Secret.Reveal() {
			t.Fatalf("%q was written as %q", text, c.encode())
		}
	})
}

func FuzzFurther(f *testing.F) {
	for _, seed := range []string{`[{"start_url":"https://x.awsapps.com/start","region":"eu-west-1"}]`, `null`, `{}`, `[{"start_url":1}]`, `[{"start_url":"http://evil/start","region":"x"}]`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, s := range parseFurther(text) {
			if s.Name == "" || s.StartURL == "" || s.Region == "" || s.Section || strings.ContainsAny(s.Name, "/@:") {
				t.Fatalf("%q gives %+v", text, s)
			}
		}
	})
}
