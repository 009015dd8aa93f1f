package fakeaws

import (
	"encoding/json"
	"errors"
	"net/http"
	"path"
	"slices"
	"strings"
)

// Permit lets the long-term key do in IAM, EC2 and ECS only what an IAM policy
// allows. Only Allow is known, with the conditions StringEquals and ArnEquals on
// iam:PassedToService, iam:PolicyARN and iam:PermissionsBoundary; a policy with
// anything else is an error. "" lets it do everything again, as at the start.
func (s *Server) Permit(accessKeyID, policy string) error {
	var p struct {
		Version   string
		Statement []permitted
	}
	if policy != "" {
		d := json.NewDecoder(strings.NewReader(policy))
		d.DisallowUnknownFields()
		if err := d.Decode(&p); err != nil {
			return err
		}
	}
	for _, one := range p.Statement {
		for operator, keys := range one.Condition {
			for key := range keys {
				if one.Effect != "Allow" || operator != "StringEquals" && operator != "ArnEquals" ||
					!slices.Contains([]string{"iam:PassedToService", "iam:PolicyARN", "iam:PermissionsBoundary"}, key) {
					return errors.New("fakeaws: a policy that this fake cannot judge: " + operator + " " + key)
				}
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.permits, accessKeyID)
	if policy != "" {
		s.permits[accessKeyID] = p.Statement
	}
	return nil
}

// RequireMFA makes IAM, EC2 and ECS deny everything to callers without MFA, in
// so many words, as the policies of many accounts do.
func (s *Server) RequireMFA(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mfaOnly = on
}

type permitted struct {
	Effect    string
	Action    []string
	Resource  []string
	Condition map[string]map[string][]string
}

// forbidden is the refusal of a call that the caller may not make. service is
// that a role is passed to.
func (c *setupCall) forbidden(action, resource, service string) (reply, bool) {
	status, code := http.StatusForbidden, "AccessDenied"
	switch c.kind {
	case shapeEC2:
		code = "UnauthorizedOperation"
	case shapeJSON:
		status, code = http.StatusBadRequest, "AccessDeniedException"
	}
	words := "User: " + c.who.arn + " is not authorized to perform: " + action + " on resource: " + resource
	if c.s.mfaOnly && !c.who.mfa {
		return c.errorReply(status, code, words+" with an explicit deny in an identity-based policy"), true
	}
	rules, bound := c.s.permits[c.keyID]
	if !bound {
		return reply{}, false
	}
	context := map[string]string{"iam:PassedToService": service, "iam:PolicyARN": c.form.Get("PolicyArn"), "iam:PermissionsBoundary": c.form.Get("PermissionsBoundary")}
	for _, r := range rules {
		if r.allows(action, resource, context) {
			return reply{}, false
		}
	}
	return c.errorReply(status, code, words+" because no identity-based policy allows the "+action+" action"), true
}

func (r permitted) allows(action, resource string, context map[string]string) bool {
	for _, keys := range r.Condition {
		for key, values := range keys {
			if !slices.Contains(values, context[key]) {
				return false
			}
		}
	}
	like := func(pattern, text string) bool { // path.Match keeps * from crossing a slash, IAM does not
		ok, err := path.Match(strings.ReplaceAll(pattern, "/", "|"), strings.ReplaceAll(text, "/", "|"))
		return ok && err == nil
	}
	return slices.Contains(r.Action, action) && slices.ContainsFunc(r.Resource, func(p string) bool { return like(p, resource) })
}

// mayPass checks that the caller may give a role to a service.
func (c *setupCall) mayPass(roleARN, service string) (reply, bool) {
	if roleARN == "" {
		return reply{}, false
	}
	return c.forbidden("iam:PassRole", roleARN, service)
}
