package fakeaws

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"time"
)

type tokenRequest struct {
	ClientID, ClientSecret, GrantType string
	DeviceCode, Code, RefreshToken    string
	RedirectURI, CodeVerifier         string
}

func (s *Server) createToken(c *call) reply {
	var in tokenRequest
	if refused := c.decode(&in); refused != nil {
		return c.deny(refused)
	}
	access, refresh, life := s.newOpaque(), s.newOpaque(), s.cfg.SSOTokenLifetime
	if c.fault.Lifetime > 0 {
		life = c.fault.Lifetime
	}
	if c.fault.Expired {
		life = -time.Minute
	}
	s.mu.Lock()
	refused := s.redeemLocked(in)
	if refused == nil {
		now := s.now()
		s.portal.tokens.put(access, now.Add(life))
		if slices.Contains(s.oidc.clients.m[in.ClientID].scopes, ssoScope) {
			s.oidc.refresh.put(refresh, refreshGrant{in.ClientID, now.Add(refreshLifetime)})
			s.oidc.pairs.put(access, refresh)
		} else {
			refresh = "" // sign-ins without a scope cannot be refreshed
		}
	}
	s.mu.Unlock()
	if refused != nil {
		return c.deny(refused)
	}
	if c.fault.EmptyKeys {
		access, refresh = "", ""
	}
	answer := map[string]any{"accessToken": access, "tokenType": "Bearer", "expiresIn": int(life / time.Second)}
	if refresh != "" || c.fault.EmptyKeys {
		answer["refreshToken"] = refresh
	}
	return jsonReply(http.StatusOK, answer)
}

// redeemLocked uses up the code or token of in; each is good once.
func (s *Server) redeemLocked(in tokenRequest) *denial {
	switch in.GrantType {
	case "refresh_token", "authorization_code", grantDevice:
	default:
		return oidcDenial("UnsupportedGrantTypeException", "grant type is not supported")
	}
	if refused := s.clientLocked(in.ClientID, in.ClientSecret, in.GrantType); refused != nil {
		return refused
	}
	now := s.now()
	switch in.GrantType {
	case "refresh_token":
		g, ok := s.oidc.refresh.m[in.RefreshToken]
		if !ok || g.clientID != in.ClientID || !now.Before(g.expires) {
			return oidcDenial("InvalidGrantException", "Invalid refresh token provided")
		}
		delete(s.oidc.refresh.m, in.RefreshToken)
	case "authorization_code":
		a, ok := s.oidc.codes.m[in.Code]
		delete(s.oidc.codes.m, in.Code) // a code is spoilt by the first try, right or wrong
		sum := sha256.Sum256([]byte(in.CodeVerifier))
		if !ok || a.clientID != in.ClientID || a.redirectURI != in.RedirectURI || !now.Before(a.expires) ||
			a.challenge != base64.RawURLEncoding.EncodeToString(sum[:]) {
			return oidcDenial("InvalidGrantException", "Invalid authorization code, redirect URI or code verifier")
		}
	default:
		return s.redeemDeviceLocked(in, now)
	}
	return nil
}

func (s *Server) redeemDeviceLocked(in tokenRequest, now time.Time) *denial {
	d, ok := s.oidc.devices.m[in.DeviceCode]
	if !ok || d.clientID != in.ClientID {
		return oidcDenial("InvalidGrantException", "Invalid device code")
	}
	early := !d.polled.IsZero() && now.Sub(d.polled) < d.interval
	d.polled = now
	switch {
	case !now.Before(d.expires):
		return oidcDenial("ExpiredTokenException", "Device code has expired")
	case d.state == deviceDenied:
		return oidcDenial("AccessDeniedException", "The sign-in was denied")
	case d.state == deviceApproved:
		delete(s.oidc.devices.m, in.DeviceCode)
		return nil
	case early:
		d.interval += 5 * time.Second
		s.oidc.devices.put(in.DeviceCode, d)
		return oidcDenial("SlowDownException", "Polling too fast")
	}
	s.oidc.devices.put(in.DeviceCode, d)
	return oidcDenial("AuthorizationPendingException", "Authorization is pending")
}

// ApproveDevice answers a waiting device sign-in with yes, as the person at its page would. False: no such code.
func (s *Server) ApproveDevice(userCode string) bool { return s.decideDevice(userCode, deviceApproved) }

// DenyDevice answers it with no.
func (s *Server) DenyDevice(userCode string) bool { return s.decideDevice(userCode, deviceDenied) }

func (s *Server) decideDevice(userCode string, state deviceState) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for code, d := range s.oidc.devices.m {
		if strings.EqualFold(d.userCode, userCode) {
			d.state = state
			s.oidc.devices.put(code, d)
			return true
		}
	}
	return false
}
