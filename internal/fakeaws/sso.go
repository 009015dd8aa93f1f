package fakeaws

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// SSOAccount is an account that a signed-in person has roles in.
type SSOAccount struct {
	ID    string // 12 digits
	Name  string
	Email string   // empty: made from the name
	Roles []string // permission sets' names
}

// portalState is the SSO portal's memory.
type portalState struct {
	tokens   kept[time.Time] // :: access token → end
	accounts []SSOAccount
	bucket   float64   // requests that may come at once
	filled   time.Time // when bucket was reckoned
}

func newPortalState() portalState { return portalState{tokens: newKept[time.Time]()} }

// AddSSOToken lets an access token in until expires.
func (s *Server) AddSSOToken(token string, expires time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.portal.tokens.put(token, expires)
}

// AddSSOAccount assigns roles in an account to everybody who signs in. Adding an account again replaces it.
// A role that is in no account answers ForbiddenException.
func (s *Server) AddSSOAccount(a SSOAccount) {
	if a.Email == "" {
		a.Email = strings.ToLower(strings.ReplaceAll(a.Name, " ", "-")) + "@example.com"
	}
	a.Roles = slices.Clone(a.Roles)
	s.mu.Lock()
	defer s.mu.Unlock()
	list := slices.Clone(s.portal.accounts) // handlers may hold the old list
	if i := slices.IndexFunc(list, func(b SSOAccount) bool { return b.ID == a.ID }); i >= 0 {
		list[i] = a
	} else {
		list = append(list, a)
	}
	s.portal.accounts = list
}

// AddSSOAccounts assigns n accounts with as many roles each, as in a large organization: account 0042 has the id
// 600000000042 and the roles Role00, Role01 and so on.
func (s *Server) AddSSOAccounts(n, roles int) {
	list := make([]SSOAccount, n)
	for i := range list {
		list[i] = SSOAccount{ID: fmt.Sprintf("6%011d", i), Name: fmt.Sprintf("Account %04d", i), Email: fmt.Sprintf("account-%04d@example.com", i)}
		for j := range roles {
			list[i].Roles = append(list[i].Roles, fmt.Sprintf("Role%02d", j))
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.portal.accounts = append(slices.Clone(s.portal.accounts), list...)
}

// ssoRoleARN is the role that stands behind a permission set; "" for an account that is none.
func (s *Server) ssoRoleARN(account, name string) string {
	if !isAccountID(account) {
		return ""
	}
	hash := strings.ToLower(stableID("", account+"/"+name))[:16]
	return "arn:aws:iam::" + account + ":role/aws-reserved/sso.amazonaws.com/" + s.cfg.Region +
		"/AWSReservedSSO_" + name + "_" + hash
}

// signedIn checks the bearer token and returns what is assigned.
func (s *Server) signedIn(c *call) ([]SSOAccount, *denial) {
	token := c.r.Header.Get("X-Amz-Sso_bearer_token")
	s.mu.Lock()
	defer s.mu.Unlock()
	expires, known := s.portal.tokens.m[token]
	if s.cfg.SSORate > 0 && !s.portal.take(s.now(), s.cfg.SSORate, s.cfg.SSOBurst) {
		return nil, &denial{http.StatusTooManyRequests, "TooManyRequestsException", "HTTP 429 Unknown Code"}
	}
	if token == "" || !known || !s.now().Before(expires) {
		return nil, &denial{http.StatusUnauthorized, "UnauthorizedException", "Session token not found or invalid"}
	}
	return s.portal.accounts, nil
}

// take draws one request from the bucket.
func (p *portalState) take(now time.Time, rate, burst float64) bool {
	if p.filled.IsZero() {
		p.bucket = burst
	} else {
		p.bucket = min(burst, p.bucket+now.Sub(p.filled).Seconds()*rate)
	}
	p.filled = now
	if p.bucket < 1 {
		return false
	}
	p.bucket--
	return true
}

func (s *Server) getRoleCredentials(c *call) reply {
	accounts, refused := s.signedIn(c)
	if refused != nil {
		return c.deny(refused)
	}
	account := c.query.Get("account_id")
	if c.name == "" || account == "" {
		return c.errorReply(http.StatusBadRequest, "InvalidRequestException", "account_id and role_name are required")
	}
	if !assigned(accounts, account, c.name) || s.roleRules(c.role).Denied {
		return c.errorReply(http.StatusForbidden, "ForbiddenException", "No access")
	}
	k := s.issue(c, roleSession(c.role, "fake-user"), defaultLifetime)
	type credentials struct {
		AccessKeyID     string `json:"accessKeyId"`
		SecretAccessKey string `json:"secretAccessKey"`
		SessionToken    string `json:"sessionToken"`
		Expiration      int64  `json:"expiration"` // milliseconds since the epoch
	}
	return jsonReply(http.StatusOK, map[string]credentials{
		"roleCredentials": {k.AccessKeyID, k.SecretAccessKey, k.SessionToken, k.Expires.UnixMilli()},
	})
}

func assigned(accounts []SSOAccount, id, role string) bool {
	for _, a := range accounts {
		if a.ID == id {
			return slices.Contains(a.Roles, role)
		}
	}
	return false
}

func (s *Server) listAccounts(c *call) reply {
	accounts, refused := s.signedIn(c)
	if refused != nil {
		return c.deny(refused)
	}
	list := make([]map[string]string, 0, len(accounts))
	for _, a := range accounts {
		list = append(list, map[string]string{"accountId": a.ID, "accountName": a.Name, "emailAddress": a.Email})
	}
	return s.page(c, "accountList", list)
}

func (s *Server) listAccountRoles(c *call) reply {
	accounts, refused := s.signedIn(c)
	if refused != nil {
		return c.deny(refused)
	}
	id := c.query.Get("account_id")
	for _, a := range accounts {
		if a.ID != id {
			continue
		}
		list := make([]map[string]string, 0, len(a.Roles))
		for _, name := range a.Roles {
			list = append(list, map[string]string{"accountId": id, "roleName": name})
		}
		return s.page(c, "roleList", list)
	}
	return c.errorReply(http.StatusForbidden, "ForbiddenException", "No access")
}

// page answers with the part of list that next_token and max_result ask for.
func (s *Server) page(c *call, field string, list []map[string]string) reply {
	bad := func() reply {
		return c.errorReply(http.StatusBadRequest, "InvalidRequestException", "next_token or max_result is not valid")
	}
	size, start := s.cfg.SSOPageSize, 0
	if text := c.query.Get("max_result"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 100 {
			return bad()
		}
		size = min(size, n)
	}
	if text := c.query.Get("next_token"); text != "" {
		raw, err := base64.RawURLEncoding.DecodeString(text)
		if err != nil {
			return bad()
		}
		if start, err = strconv.Atoi(string(raw)); err != nil || start < 1 || start > len(list) {
			return bad()
		}
	}
	end := min(start+size, len(list))
	answer := map[string]any{field: list[start:end]}
	if end < len(list) {
		answer["nextToken"] = base64.RawURLEncoding.EncodeToString([]byte(strconv.Itoa(end)))
	}
	return jsonReply(http.StatusOK, answer)
}

func (s *Server) ssoLogout(c *call) reply {
	if _, refused := s.signedIn(c); refused != nil {
		return c.deny(refused)
	}
	s.mu.Lock()
	token := c.r.Header.Get("X-Amz-Sso_bearer_token")
	delete(s.portal.tokens.m, token)
	delete(s.oidc.refresh.m, s.oidc.pairs.m[token])
	s.mu.Unlock()
	return newReply(http.StatusOK, "application/json", nil)
}
