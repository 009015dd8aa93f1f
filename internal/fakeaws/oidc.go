package fakeaws

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	clientLifetime  = 90 * 24 * time.Hour
	refreshLifetime = 90 * 24 * time.Hour
	codeLifetime    = 10 * time.Minute
	ssoScope        = "sso:account:access"
	grantDevice     = "urn:ietf:params:oauth:grant-type:device_code"
)

type oidcClient struct {
	secret       string
	expires      time.Time
	redirectURIs []string
	grants       []string
	scopes       []string
}

type deviceState int

const (
	devicePending deviceState = iota
	deviceApproved
	deviceDenied
)

type device struct {
	clientID string
	userCode string
	expires  time.Time
	state    deviceState
	interval time.Duration // grows by 5 s at each slow_down
	polled   time.Time     // last poll; zero: none yet
}

type authCode struct {
	clientID, redirectURI, challenge string
	expires                          time.Time
}

type refreshGrant struct {
	clientID string
	expires  time.Time
}

// oidcState is SSO OIDC's memory.
type oidcState struct {
	clients kept[oidcClient]   // :: client id → client
	devices kept[device]       // :: device code → sign-in
	codes   kept[authCode]     // :: authorization code → sign-in
	refresh kept[refreshGrant] // :: refresh token → grant
	pairs   kept[string]       // :: access token → the refresh token given with it
}

func newOIDCState() oidcState {
	return oidcState{newKept[oidcClient](), newKept[device](), newKept[authCode](), newKept[refreshGrant](), newKept[string]()}
}

// SSOLogin is what a finished sign-in leaves behind, as `aws sso login` caches it.
type SSOLogin struct {
	AccessToken   string
	Expires       time.Time // of the access token
	RefreshToken  string
	ClientID      string
	ClientSecret  string
	ClientExpires time.Time
}

// NewSSOLogin makes a finished sign-in whose access token ends at expires, which may be in the past: the
// refresh token is good all the same.
func (s *Server) NewSSOLogin(expires time.Time) SSOLogin {
	now := s.now()
	l := SSOLogin{
		AccessToken: s.newOpaque(), Expires: expires, RefreshToken: s.newOpaque(),
		ClientID: newClientID(), ClientSecret: s.newOpaque(), ClientExpires: now.Add(clientLifetime),
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.portal.tokens.put(l.AccessToken, expires)
	s.oidc.clients.put(l.ClientID, oidcClient{secret: l.ClientSecret, expires: l.ClientExpires, scopes: []string{ssoScope}})
	s.oidc.refresh.put(l.RefreshToken, refreshGrant{l.ClientID, now.Add(refreshLifetime)})
	s.oidc.pairs.put(l.AccessToken, l.RefreshToken)
	return l
}

// EndSSOSessions revokes every access and refresh token, as an administrator would.
func (s *Server) EndSSOSessions() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.portal.tokens = newKept[time.Time]()
	s.oidc.refresh = newKept[refreshGrant]()
}

// SpendRefreshTokens uses up every refresh token, as another process does that traded them; access tokens stay
// good.
func (s *Server) SpendRefreshTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.oidc.refresh = newKept[refreshGrant]()
}

// ForgetSSOClients drops every registered client, as the service does when they end.
func (s *Server) ForgetSSOClients() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.oidc.clients = newKept[oidcClient]()
}

// goodStartURL holds for what looks like an access portal's. The true service knows its own.
func goodStartURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Host != "" && strings.TrimSuffix(u.Path, "/") == "/start"
}

func oidcDenial(code, message string) *denial {
	status := http.StatusBadRequest
	if code == "InvalidClientException" {
		status = http.StatusUnauthorized
	}
	return &denial{status, code, message}
}

// decode reads a JSON body into v.
func (c *call) decode(v any) *denial {
	if err := json.Unmarshal(c.body, v); err != nil {
		return oidcDenial("InvalidRequestException", "the body is not the JSON of this operation")
	}
	return nil
}

func (s *Server) registerClient(c *call) reply {
	var in struct {
		ClientName, ClientType, IssuerURL string
		RedirectUris, GrantTypes, Scopes  []string
	}
	if refused := c.decode(&in); refused != nil {
		return c.deny(refused)
	}
	if in.ClientName == "" || in.ClientType != "public" {
		return c.deny(oidcDenial("InvalidRequestException", "clientName and clientType public are required"))
	}
	if in.IssuerURL != "" && !goodStartURL(in.IssuerURL) {
		return c.deny(oidcDenial("InvalidRequestException", "Invalid issuer URL provided"))
	}
	for _, uri := range in.RedirectUris {
		if _, ok := loopbackRedirect(uri); !ok {
			return c.deny(oidcDenial("InvalidRedirectUriException", "redirect URIs have to be http on loopback"))
		}
	}
	id, now := newClientID(), s.now()
	client := oidcClient{
		secret: s.newOpaque(), expires: now.Add(clientLifetime), redirectURIs: in.RedirectUris, grants: in.GrantTypes, scopes: in.Scopes,
	}
	s.mu.Lock()
	s.oidc.clients.put(id, client)
	s.mu.Unlock()
	return jsonReply(http.StatusOK, map[string]any{
		"clientId": id, "clientSecret": client.secret,
		"clientIdIssuedAt": now.Unix(), "clientSecretExpiresAt": client.expires.Unix(),
	})
}

func (s *Server) startDeviceAuthorization(c *call) reply {
	var in struct{ ClientID, ClientSecret, StartURL string }
	if refused := c.decode(&in); refused != nil {
		return c.deny(refused)
	}
	if !goodStartURL(in.StartURL) {
		return c.deny(oidcDenial("InvalidRequestException", "Invalid start url provided"))
	}
	d := device{clientID: in.ClientID, expires: s.now().Add(s.cfg.CodeLifetime), interval: s.cfg.DeviceInterval}
	if !s.cfg.ManualApproval {
		d.state = deviceApproved
	}
	code := s.newOpaque()
	user := newKeyID("")
	d.userCode = user[:4] + "-" + user[4:8]
	s.mu.Lock()
	refused := s.clientLocked(in.ClientID, in.ClientSecret, grantDevice)
	if refused == nil {
		s.oidc.devices.put(code, d)
	}
	s.mu.Unlock()
	if refused != nil {
		return c.deny(refused)
	}
	page := "http://" + c.r.Host + "/device"
	return jsonReply(http.StatusOK, map[string]any{
		"deviceCode": code, "userCode": d.userCode, "verificationUri": page,
		"verificationUriComplete": page + "?user_code=" + d.userCode,
		"expiresIn":               int(s.cfg.CodeLifetime / time.Second), "interval": int(d.interval / time.Second),
	})
}

// clientLocked checks a client's secret and that it registered for the grant.
func (s *Server) clientLocked(id, secret, grant string) *denial {
	client, ok := s.oidc.clients.m[id]
	switch {
	case !ok || client.secret != secret || !s.now().Before(client.expires):
		return oidcDenial("InvalidClientException", "Client authentication failed")
	case len(client.grants) > 0 && !slices.Contains(client.grants, grant):
		return oidcDenial("UnauthorizedClientException", "the client is not registered for this grant")
	}
	return nil
}
