package fakeaws

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// iamRole is a role, with how many looks it stays unseen after its making.
type iamRole struct {
	name, path, arn, trust, description, boundary string
	session                                       int // seconds
	tags                                          map[string]string
	attached                                      map[string]bool
	inline                                        map[string]string
	used                                          string // RFC 3339; "" for never
	unseen                                        int
}

type iamProfile struct {
	name, path, arn string
	roles           []string
	unseen          int // looks of IAM's own
	unknown         int // uses by EC2
}

// AddManagedPolicy makes a managed policy of Config.Account known.
func (s *Server) AddManagedPolicy(arn string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.setup(s.cfg.Account).policies[arn] = true
}

// UseRole notes that a role of Config.Account was used at a time (RFC 3339).
func (s *Server) UseRole(name, at string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.setup(s.cfg.Account).roles[name]; r != nil {
		r.used = at
	}
}

// knownPolicies are AWS's own that the fake knows.
func knownPolicies() []string {
	return []string{"AmazonS3ReadOnlyAccess", "AmazonSSMManagedInstanceCore", "ReadOnlyAccess", "AmazonSQSFullAccess",
		"service-role/AmazonECSTaskExecutionRolePolicy", "service-role/AWSLambdaBasicExecutionRole"}
}

func (c *setupCall) hasPolicy(arn string) bool {
	name, ok := strings.CutPrefix(arn, "arn:"+c.partition()+":iam::aws:policy/")
	return c.st.policies[arn] || ok && slices.Contains(knownPolicies(), name)
}

func iamOps() map[string]setupOp {
	role := func(c *setupCall) string {
		if r := c.st.roles[c.form.Get("RoleName")]; r != nil {
			return r.arn
		}
		return c.arn("iam", "role"+firstOf(c.form.Get("Path"), "/")+c.form.Get("RoleName"))
	}
	profile := func(c *setupCall) string {
		if p := c.st.profiles[c.form.Get("InstanceProfileName")]; p != nil {
			return p.arn
		}
		return c.arn("iam", "instance-profile"+firstOf(c.form.Get("Path"), "/")+c.form.Get("InstanceProfileName"))
	}
	policy := func(c *setupCall) string { return c.form.Get("PolicyArn") }
	return map[string]setupOp{
		"GetRole":                       {(*setupCall).getRole, role, false},
		"CreateRole":                    {(*setupCall).createRole, role, true},
		"DeleteRole":                    {onRole((*setupCall).deleteRole), role, true},
		"UpdateRole":                    {onRole((*setupCall).updateRole), role, true},
		"UpdateAssumeRolePolicy":        {onRole((*setupCall).updateTrust), role, true},
		"AttachRolePolicy":              {onRole((*setupCall).attachPolicy), role, true},
		"DetachRolePolicy":              {onRole((*setupCall).detachPolicy), role, true},
		"PutRolePolicy":                 {onRole((*setupCall).putPolicy), role, true},
		"DeleteRolePolicy":              {onRole((*setupCall).deletePolicy), role, true},
		"GetRolePolicy":                 {onRole((*setupCall).getPolicy), role, false},
		"PutRolePermissionsBoundary":    {onRole((*setupCall).putBoundary), role, true},
		"DeleteRolePermissionsBoundary": {onRole((*setupCall).deleteBoundary), role, true},
		"TagRole":                       {onRole((*setupCall).tagRole), role, true},
		"UntagRole":                     {onRole((*setupCall).untagRole), role, true},
		"ListAttachedRolePolicies":      {onRole((*setupCall).listAttached), role, false},
		"ListRolePolicies":              {onRole((*setupCall).listInline), role, false},
		"ListInstanceProfilesForRole":   {onRole((*setupCall).listProfiles), role, false},
		"GetPolicy":                     {(*setupCall).getManagedPolicy, policy, false},
		"GetInstanceProfile":            {(*setupCall).getProfile, profile, false},
		"CreateInstanceProfile":         {(*setupCall).createProfile, profile, true},
		"DeleteInstanceProfile":         {(*setupCall).deleteProfile, profile, true},
		"AddRoleToInstanceProfile":      {(*setupCall).addRole, profile, true},
		"RemoveRoleFromInstanceProfile": {(*setupCall).removeRole, profile, true},
	}
}

// onRole is for operations on a role that is there. A new one is not seen by
// the first Config.Propagation looks, and by what follows them.
func onRole(next func(*setupCall, *iamRole) reply) func(*setupCall) reply {
	return func(c *setupCall) reply {
		r := c.st.roles[c.form.Get("RoleName")]
		if r == nil || c.hiding(&r.unseen) {
			return c.fail("NoSuchEntity", "The role with name %s cannot be found.", c.form.Get("RoleName"))
		}
		return next(c, r)
	}
}

func (c *setupCall) hiding(left *int) bool {
	if *left <= 0 {
		return false
	}
	*left--
	return true
}

// done is the answer of an operation that tells nothing.
func (c *setupCall) done(inside ...string) reply {
	return rawXML(el(c.action+"Response", el(c.action+"Result", inside...), el("ResponseMetadata", tx("RequestId", newUUID()))))
}

func (c *setupCall) getRole() reply {
	return onRole(func(c *setupCall, r *iamRole) reply { return c.done(r.xml()) })(c)
}

func (r *iamRole) xml() string {
	used := el("RoleLastUsed")
	if r.used != "" {
		used = el("RoleLastUsed", tx("LastUsedDate", r.used), tx("Region", "eu-west-1"))
	}
	parts := []string{tx("RoleName", r.name), tx("Path", r.path), tx("Arn", r.arn), tx("RoleId", stableID("AROA", r.arn)), tx("CreateDate", "2026-01-02T03:04:05Z"),
		tx("AssumeRolePolicyDocument", encodePolicy(r.trust)), tx("MaxSessionDuration", strconv.Itoa(r.session)), used}
	if r.description != "" {
		parts = append(parts, tx("Description", r.description))
	}
	if r.boundary != "" {
		parts = append(parts, el("PermissionsBoundary", tx("PermissionsBoundaryType", "Policy"), tx("PermissionsBoundaryArn", r.boundary)))
	}
	var tags []string
	for _, key := range sortedNames(r.tags) {
		tags = append(tags, el("member", tx("Key", key), tx("Value", r.tags[key])))
	}
	return el("Role", append(parts, el("Tags", tags...))...)
}

// encodePolicy is how IAM writes policies in its answers (RFC 3986).
func encodePolicy(text string) string { return strings.ReplaceAll(url.QueryEscape(text), "+", "%20") }

func (c *setupCall) createRole() reply {
	name := c.form.Get("RoleName")
	switch {
	case c.st.roles[name] != nil:
		return c.fail("EntityAlreadyExists", "Role with name %s already exists.", name)
	case !isName(name, 1):
		return c.fail("ValidationError", "Value at 'roleName' failed to satisfy constraint")
	case !json.Valid([]byte(c.form.Get("AssumeRolePolicyDocument"))):
		return c.fail("MalformedPolicyDocument", "This policy contains invalid Json")
	}
	r := &iamRole{name: name, path: firstOf(c.form.Get("Path"), "/"), trust: c.form.Get("AssumeRolePolicyDocument"), description: c.form.Get("Description"),
		boundary: c.form.Get("PermissionsBoundary"), session: 3600, tags: c.tags(), attached: map[string]bool{}, inline: map[string]string{}, unseen: c.s.cfg.Propagation}
	if r.boundary != "" && !c.hasPolicy(r.boundary) {
		return c.fail("NoSuchEntity", "Scope ARN: %s does not exist or is not attachable.", r.boundary)
	}
	if len(r.tags) > 0 {
		if no, ok := c.forbidden("iam:TagRole", c.arn("iam", "role"+r.path+name), ""); ok {
			return no
		}
	}
	if n, err := strconv.Atoi(c.form.Get("MaxSessionDuration")); err == nil {
		r.session = n
	}
	r.arn = c.arn("iam", "role"+r.path+name)
	c.st.roles[name] = r
	return c.done(r.xml())
}

func (c *setupCall) tags() map[string]string {
	tags := map[string]string{}
	for i := 1; c.form.Has("Tags.member." + strconv.Itoa(i) + ".Key"); i++ {
		at := "Tags.member." + strconv.Itoa(i)
		tags[c.form.Get(at+".Key")] = c.form.Get(at + ".Value")
	}
	return tags
}

func (c *setupCall) deleteRole(r *iamRole) reply {
	if len(r.attached)+len(r.inline) > 0 {
		return c.fail("DeleteConflict", "Cannot delete entity, must detach all policies first.")
	}
	for _, p := range c.st.profiles {
		if slices.Contains(p.roles, r.name) {
			return c.fail("DeleteConflict", "Cannot delete entity, must remove roles from instance profile first.")
		}
	}
	delete(c.st.roles, r.name)
	return c.done()
}

func (c *setupCall) updateRole(r *iamRole) reply {
	r.description = c.form.Get("Description")
	r.session = 3600
	if n, err := strconv.Atoi(c.form.Get("MaxSessionDuration")); err == nil {
		r.session = n
	}
	return c.done()
}

func (c *setupCall) updateTrust(r *iamRole) reply {
	r.trust = c.form.Get("PolicyDocument")
	return c.done()
}

func (c *setupCall) putBoundary(r *iamRole) reply {
	r.boundary = c.form.Get("PermissionsBoundary")
	return c.done()
}

func (c *setupCall) deleteBoundary(r *iamRole) reply { r.boundary = ""; return c.done() }

func (c *setupCall) tagRole(r *iamRole) reply {
	for key, value := range c.tags() {
		r.tags[key] = value
	}
	return c.done()
}

func (c *setupCall) untagRole(r *iamRole) reply {
	for _, key := range c.list("TagKeys.member") {
		delete(r.tags, key)
	}
	return c.done()
}

func rawXML(text string) reply {
	return newReply(http.StatusOK, "text/xml", []byte(text))
}
