package fakeaws

import (
	"strings"
	"time"
)

// RoleConfig is what a role asks of whoever wants to assume it. A role that was never added can be assumed by
// anybody, as with the zero value.
type RoleConfig struct {
	// Denied answers AccessDenied to all.
	Denied bool
	// ExternalID that has to be sent. Empty: none, and one that is sent is not looked at.
	ExternalID string
	// MFA asks for SerialNumber and TokenCode, or a caller whose session had one.
	MFA bool
	// MFASerial that has to be sent. Empty: any.
	MFASerial string
	// MaxSession is the longest DurationSeconds. Zero: 12 h.
	MaxSession time.Duration
	// WebIdentityToken that AssumeRoleWithWebIdentity has to bring. Empty: any that is not empty.
	WebIdentityToken string
	// TrustedARNs are the callers (user, role or assumed-role ARN) that may assume it. Empty: all.
	TrustedARNs []string
}

// AddRole sets the rules of a role, replacing earlier ones. arn is "arn:aws:iam::ACCOUNT:role/NAME".
func (s *Server) AddRole(arn string, rules RoleConfig) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.roles[arn] = rules
}

func (s *Server) roleRules(arn string) RoleConfig {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.roles[arn]
}

func (r RoleConfig) trusts(who caller) bool {
	for _, arn := range r.TrustedARNs {
		if arn == who.arn || arn == who.roleARN {
			return true
		}
	}
	return len(r.TrustedARNs) == 0
}

type roleARN struct {
	partition, account, name string // name without the path
}

// parseRoleARN takes "arn:PARTITION:iam::ACCOUNT:role/PATH/NAME" apart.
func parseRoleARN(arn string) (roleARN, bool) {
	p := strings.SplitN(arn, ":", 6)
	if len(arn) > 2048 || len(p) != 6 || p[0] != "arn" || p[2] != "iam" || p[3] != "" {
		return roleARN{}, false
	}
	if p[1] != "aws" && !strings.HasPrefix(p[1], "aws-") {
		return roleARN{}, false
	}
	path, ok := strings.CutPrefix(p[5], "role/")
	name := path[strings.LastIndexByte(path, '/')+1:]
	if !ok || !isAccountID(p[4]) || !isName(name, 1) {
		return roleARN{}, false
	}
	return roleARN{partition: p[1], account: p[4], name: name}, true
}

func roleName(arn string) string {
	a, _ := parseRoleARN(arn)
	return a.name
}

func isAccountID(s string) bool {
	return len(s) == 12 && strings.Trim(s, "0123456789") == ""
}

// isName holds for role and session names: [\w+=,.@-], least to 64 characters.
func isName(s string, least int) bool {
	if len(s) < least || len(s) > 64 {
		return false
	}
	for i := range len(s) {
		if !isAlphanumeric(s[i:i+1]) && strings.IndexByte("_+=,.@-", s[i]) < 0 {
			return false
		}
	}
	return true
}
