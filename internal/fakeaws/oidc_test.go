package fakeaws_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sso"
	"github.com/aws/aws-sdk-go-v2/service/ssooidc"

	"rolecall/internal/fakeaws"
)

const deviceGrant = "urn:ietf:params:oauth:grant-type:device_code"

func TestRefreshTokenRotates(t *testing.T) {
	clock := newClock()
	s := start(t, fakeaws.Config{Now: clock.now})
	ctx := within(t, 10*time.Second)
	login := s.NewSSOLogin(clock.now().Add(-time.Hour))
	_, err := portal(s).ListAccounts(ctx, &sso.ListAccountsInput{AccessToken: &login.AccessToken})
	wantCode(t, err, "UnauthorizedException")
	refresh := func(token, secret string) (*ssooidc.CreateTokenOutput, error) {
		return oidc(s).CreateToken(ctx, &ssooidc.CreateTokenInput{ClientId: &login.ClientID, ClientSecret: &secret,
			GrantType: str("refresh_token"), RefreshToken: &token})
	}
	_, err = refresh(login.RefreshToken, "wrong")
	wantCode(t, err, "InvalidClientException")
	out, err := refresh(login.RefreshToken, login.ClientSecret)
	if err != nil {
		t.Fatal(err)
	}
	if out.ExpiresIn != 3600 || *out.TokenType != "Bearer" || *out.RefreshToken == login.RefreshToken {
		t.Errorf("expires in %d, type %s", out.ExpiresIn, *out.TokenType)
	}
	_, err = portal(s).ListAccounts(ctx, &sso.ListAccountsInput{AccessToken: out.AccessToken})
	wantCode(t, err, "")
	_, err = refresh(login.RefreshToken, login.ClientSecret)
	wantCode(t, err, "InvalidGrantException")
	s.EndSSOSessions()
	_, err = refresh(*out.RefreshToken, login.ClientSecret)
	wantCode(t, err, "InvalidGrantException")
}

func TestDeviceSignIn(t *testing.T) {
	clock := newClock()
	s := start(t, fakeaws.Config{Now: clock.now, ManualApproval: true})
	ctx := within(t, 10*time.Second)
	client := oidc(s)
	reg, err := client.RegisterClient(ctx, &ssooidc.RegisterClientInput{ClientName: str("test"), ClientType: str("public")})
	if err != nil {
		t.Fatal(err)
	}
	begin := func() *ssooidc.StartDeviceAuthorizationOutput {
		d, err := client.StartDeviceAuthorization(ctx, &ssooidc.StartDeviceAuthorizationInput{
			ClientId: reg.ClientId, ClientSecret: reg.ClientSecret, StartUrl: str("http://127.0.0.1/start")})
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	poll := func(d *ssooidc.StartDeviceAuthorizationOutput, code string) {
		t.Helper()
		_, err := client.CreateToken(ctx, &ssooidc.CreateTokenInput{ClientId: reg.ClientId, ClientSecret: reg.ClientSecret,
			GrantType: str(deviceGrant), DeviceCode: d.DeviceCode})
		wantCode(t, err, code)
	}
	d := begin()
	if d.Interval != 5 || d.ExpiresIn != 600 {
		t.Errorf("interval %d, expires in %d", d.Interval, d.ExpiresIn)
	}
	poll(d, "AuthorizationPendingException")
	clock.add(4 * time.Second)
	poll(d, "SlowDownException")
	clock.add(9 * time.Second)
	poll(d, "SlowDownException") // the interval has grown to 10 s
	clock.add(15 * time.Second)
	poll(d, "AuthorizationPendingException")
	if s.ApproveDevice("no") || !s.ApproveDevice(*d.UserCode) {
		t.Error("ApproveDevice")
	}
	poll(d, "")
	poll(d, "InvalidGrantException")

	d = begin()
	_, page := get(t, *d.VerificationUriComplete)
	if !strings.Contains(page, *d.UserCode) || !strings.HasPrefix(*d.VerificationUri, s.URL()) {
		t.Error("the page does not show the code")
	}
	resp, err := http.PostForm(*d.VerificationUri, url.Values{"user_code": {*d.UserCode}, "decision": {"deny"}})
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	poll(d, "AccessDeniedException")

	d = begin()
	clock.add(10 * time.Minute)
	poll(d, "ExpiredTokenException")
}

func TestSignInWithPKCE(t *testing.T) {
	for _, manual := range []bool{false, true} {
		s := start(t, fakeaws.Config{ManualApproval: manual})
		ctx := within(t, 10*time.Second)
		client := oidc(s)
		reg, err := client.RegisterClient(ctx, &ssooidc.RegisterClientInput{ClientName: str("test"), ClientType: str("public"),
			GrantTypes: []string{"authorization_code", "refresh_token"}, RedirectUris: []string{"http://127.0.0.1/oauth/callback"}})
		if err != nil {
			t.Fatal(err)
		}
		_, err = client.RegisterClient(ctx, &ssooidc.RegisterClientInput{ClientName: str("test"), ClientType: str("public"),
			RedirectUris: []string{"http://example.com/"}})
		wantCode(t, err, "InvalidRedirectUriException")

		back, verifier := "http://127.0.0.1:9/oauth/callback", strings.Repeat("v", 43)
		sum := sha256.Sum256([]byte(verifier))
		q := url.Values{"response_type": {"code"}, "client_id": {*reg.ClientId}, "redirect_uri": {back}, "state": {"s t"},
			"code_challenge_method": {"S256"}, "code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}}
		visit := func(q url.Values) (int, *url.URL) {
			t.Helper()
			hc := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
			resp, err := hc.Get(s.URL() + "/authorize?" + q.Encode())
			if err == nil && resp.StatusCode == 200 && manual {
				resp.Body.Close()
				resp, err = hc.PostForm(s.URL()+"/authorize?"+q.Encode(), url.Values{"decision": {"allow"}})
			}
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			u, _ := resp.Location()
			return resp.StatusCode, u
		}
		redeem := func(code, verifier string) error {
			_, err := client.CreateToken(ctx, &ssooidc.CreateTokenInput{ClientId: reg.ClientId, ClientSecret: reg.ClientSecret,
				GrantType: str("authorization_code"), Code: &code, RedirectUri: &back, CodeVerifier: &verifier})
			return err
		}
		_, u := visit(q)
		if u == nil || u.Host != "127.0.0.1:9" || u.Query().Get("state") != "s t" {
			t.Fatalf("redirected to %v", u)
		}
		wantCode(t, redeem(u.Query().Get("code"), verifier), "")
		wantCode(t, redeem(u.Query().Get("code"), verifier), "InvalidGrantException")
		_, u = visit(q)
		wantCode(t, redeem(u.Query().Get("code"), "wrong"), "InvalidGrantException")
		wantCode(t, redeem(u.Query().Get("code"), verifier), "InvalidGrantException")

		for _, tt := range []struct{ field, value string }{
			{"redirect_uri", "http://example.com/oauth/callback"}, {"redirect_uri", "http://127.0.0.1/elsewhere"},
			{"redirect_uri", "https://127.0.0.1/oauth/callback"}, {"client_id", "unknown"},
		} {
			bad := url.Values{}
			for k, v := range q {
				bad[k] = v
			}
			bad.Set(tt.field, tt.value)
			if status, u := visit(bad); status != 400 || u != nil {
				t.Errorf("%s %s: %d to %v", tt.field, tt.value, status, u)
			}
		}
		q.Set("code_challenge_method", "plain")
		if _, u = visit(q); u == nil || u.Query().Get("error") != "invalid_request" {
			t.Errorf("plain challenge: %v", u)
		}
	}
}

func TestCreateTokenRefusals(t *testing.T) {
	s := start(t, fakeaws.Config{})
	ctx := within(t, 10*time.Second)
	login := s.NewSSOLogin(time.Now())
	_, err := oidc(s).CreateToken(ctx, &ssooidc.CreateTokenInput{ClientId: &login.ClientID, ClientSecret: &login.ClientSecret, GrantType: str("password")})
	wantCode(t, err, "UnsupportedGrantTypeException")
	resp, err := http.Post(s.URL()+"/token", "application/json", strings.NewReader("{"))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 400 {
		t.Errorf("broken JSON: %d", resp.StatusCode)
	}
}
