package fakeaws

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	minSession     = 15 * time.Minute
	maxRoleSession = 12 * time.Hour
	maxUserSession = 36 * time.Hour
	maxChained     = time.Hour
)

// caller is who signed a request.
type caller struct {
	arn, userID, account string
	roleARN              string // "" for users and their sessions
	temporary, mfa       bool
}

// denial is a refused request.
type denial struct {
	status        int
	code, message string
}

func (c *call) deny(d *denial) reply { return c.errorReply(d.status, d.code, d.message) }

func validation(format string, args ...any) *denial {
	return &denial{http.StatusBadRequest, "ValidationError", fmt.Sprintf(format, args...)}
}

func accessDenied(format string, args ...any) *denial {
	return &denial{http.StatusForbidden, "AccessDenied", fmt.Sprintf(format, args...)}
}

// caller finds out who signed c, by access key id and session token. The signature itself is not verified.
func (s *Server) caller(c *call) (caller, *denial) {
	if c.keyID == "" {
		return caller{}, &denial{http.StatusForbidden, "MissingAuthenticationToken", "Request is missing Authentication Token"}
	}
	token := c.r.Header.Get("X-Amz-Security-Token")
	if token == "" {
		token = c.form.Get("X-Amz-Security-Token")
	}
	s.mu.Lock()
	user, isUser := s.keys.users[c.keyID]
	session, isSession := s.keys.issued.m[c.keyID]
	s.mu.Unlock()
	switch {
	case isUser && token == "":
		arn := strings.Replace(user.arn(), "arn:aws:", "arn:"+s.partition()+":", 1)
		return caller{arn: arn, userID: stableID("AIDA", user.arn()), account: user.account}, nil
	case !isSession || token != session.SessionToken:
		return caller{}, &denial{http.StatusForbidden, "InvalidClientTokenId", "The security token included in the request is invalid."}
	case !s.now().Before(session.Expires):
		return caller{}, &denial{http.StatusForbidden, "ExpiredToken", "The security token included in the request is expired"}
	}
	return caller{
		arn: session.CallerARN, userID: session.UserID, account: session.Account,
		roleARN: session.RoleARN, temporary: true, mfa: session.MFA,
	}, nil
}

// duration reads DurationSeconds; fallback is for a request that has none.
func duration(c *call, fallback, most time.Duration) (time.Duration, *denial) {
	text := c.form.Get("DurationSeconds")
	if text == "" {
		return fallback, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, validation("DurationSeconds is not an integer")
	}
	bound := ""
	switch d := time.Duration(n) * time.Second; {
	case n < int(minSession/time.Second):
		bound = fmt.Sprintf("greater than or equal to %d", minSession/time.Second)
	case n > int(most/time.Second):
		bound = fmt.Sprintf("less than or equal to %d", most/time.Second)
	default:
		return d, nil
	}
	return 0, validation("1 validation error detected: Value '%d' at 'durationSeconds' failed to satisfy constraint: "+
		"Member must have value %s", n, bound)
}

// roleRequest checks what AssumeRole and AssumeRoleWithWebIdentity have in common.
func (s *Server) roleRequest(c *call) (RoleConfig, time.Duration, *denial) {
	if _, ok := parseRoleARN(c.role); !ok {
		return RoleConfig{}, 0, validation("%q is invalid", "RoleArn")
	}
	rules := s.roleRules(c.role)
	if session := c.form.Get("RoleSessionName"); !isName(session, 2) {
		return rules, 0, validation("1 validation error detected: Value at 'roleSessionName' failed to satisfy " +
			"constraint: Member must satisfy regular expression pattern: [\\w+=,.@-]{2,64}")
	}
	d, refused := duration(c, defaultLifetime, maxRoleSession)
	if refused == nil && rules.MaxSession > 0 && d > rules.MaxSession {
		refused = validation("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
	}
	return rules, d, refused
}

func (s *Server) assumeRole(c *call) reply {
	who, refused := s.caller(c)
	if refused != nil {
		return c.deny(refused)
	}
	rules, d, refused := s.roleRequest(c)
	if refused != nil {
		return c.deny(refused)
	}
	if who.roleARN != "" && d > maxChained {
		return c.deny(validation("The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining"))
	}
	mfa, refused := s.checkMFA(c, rules.MFASerial)
	if refused != nil {
		return c.deny(refused)
	}
	if rules.Denied || !rules.trusts(who) || rules.MFA && !mfa && !who.mfa ||
		rules.ExternalID != "" && c.form.Get("ExternalId") != rules.ExternalID {
		return c.deny(accessDenied("User: %s is not authorized to perform: sts:AssumeRole on resource: %s", who.arn, c.role))
	}
	k := roleSession(c.role, c.form.Get("RoleSessionName"))
	k.MFA = mfa
	k = s.issue(c, k, d)
	return xmlReply(http.StatusOK, assumeRoleResponse{
		Result:    assumeRoleResult{Credentials: wireCredentials(k), AssumedRoleUser: wireUser(k)},
		RequestID: newUUID(),
	})
}

func (s *Server) assumeRoleWithWebIdentity(c *call) reply {
	rules, d, refused := s.roleRequest(c)
	if refused != nil {
		return c.deny(refused)
	}
	token := c.form.Get("WebIdentityToken")
	if len(token) < 4 || len(token) > 20_000 {
		return c.deny(validation("1 validation error detected: Value at 'webIdentityToken' failed to satisfy " +
			"constraint: Member must have length between 4 and 20000"))
	}
	if rules.WebIdentityToken != "" && token != rules.WebIdentityToken {
		return c.deny(&denial{http.StatusBadRequest, "InvalidIdentityToken", "The web identity token that was passed could not be validated"})
	}
	if rules.Denied {
		return c.deny(accessDenied("Not authorized to perform sts:AssumeRoleWithWebIdentity"))
	}
	k := s.issue(c, roleSession(c.role, c.form.Get("RoleSessionName")), d)
	return xmlReply(http.StatusOK, webIdentityResponse{
		Result: webIdentityResult{
			Credentials: wireCredentials(k), AssumedRoleUser: wireUser(k), Audience: "sts.amazonaws.com",
			Provider: "arn:aws:iam::" + k.Account + ":oidc-provider/fake", SubjectFromWebIdentityToken: "fake-subject",
		},
		RequestID: newUUID(),
	})
}

func (s *Server) getSessionToken(c *call) reply {
	who, refused := s.caller(c)
	if refused != nil {
		return c.deny(refused)
	}
	if who.temporary {
		return c.deny(accessDenied("Cannot call GetSessionToken with session credentials"))
	}
	d, refused := duration(c, 12*time.Hour, maxUserSession)
	if refused != nil {
		return c.deny(refused)
	}
	mfa, refused := s.checkMFA(c, "")
	if refused != nil {
		return c.deny(refused)
	}
	k := s.issue(c, Issued{CallerARN: who.arn, UserID: who.userID, Account: who.account, MFA: mfa}, d)
	return xmlReply(http.StatusOK, sessionTokenResponse{Credentials: wireCredentials(k), RequestID: newUUID()})
}

func (s *Server) getCallerIdentity(c *call) reply {
	who, refused := s.caller(c)
	if refused != nil {
		return c.deny(refused)
	}
	return xmlReply(http.StatusOK, callerIdentityResponse{
		Arn: who.arn, UserID: who.userID, Account: who.account, RequestID: newUUID(),
	})
}

// checkMFA looks at SerialNumber and TokenCode, and reports whether a right code was given. None is no error here.
func (s *Server) checkMFA(c *call, serial string) (bool, *denial) {
	given, code := c.form.Get("SerialNumber"), c.form.Get("TokenCode")
	if given == "" && code == "" {
		return false, nil
	}
	if len(code) != 6 || strings.Trim(code, "0123456789") != "" {
		return false, validation("1 validation error detected: Value at 'tokenCode' failed to satisfy constraint: " +
			"Member must satisfy regular expression pattern: [\\d]*")
	}
	if given == "" || serial != "" && given != serial || s.cfg.MFACode != "" && code != s.cfg.MFACode {
		return false, accessDenied("MultiFactorAuthentication failed with invalid MFA one time pass code.")
	}
	if s.cfg.SpendMFACodes && !s.spend(given+" "+code) {
		return false, accessDenied("MultiFactorAuthentication failed with invalid MFA one time pass code.")
	}
	return true, nil
}

// spend says whether the code has not been taken before.
func (s *Server) spend(code string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.spent[code] {
		return false
	}
	s.spent[code] = true
	return true
}
