package fakeaws

import (
	"encoding/xml"
	"slices"
	"strings"
)

// el is an XML element of elements.
func el(name string, inside ...string) string {
	return "<" + name + ">" + strings.Join(inside, "") + "</" + name + ">"
}

// tx is an XML element of text.
func tx(name, text string) string {
	var b strings.Builder
	if xml.EscapeText(&b, []byte(text)) != nil { // a strings.Builder takes everything
		return el(name)
	}
	return el(name, b.String())
}

func (c *setupCall) attachPolicy(r *iamRole) reply {
	arn := c.form.Get("PolicyArn")
	if !c.hasPolicy(arn) {
		return c.fail("NoSuchEntity", "Policy %s does not exist or is not attachable.", arn)
	}
	r.attached[arn] = true
	return c.done()
}

func (c *setupCall) detachPolicy(r *iamRole) reply {
	arn := c.form.Get("PolicyArn")
	if !r.attached[arn] {
		return c.fail("NoSuchEntity", "Policy %s was not found.", arn)
	}
	delete(r.attached, arn)
	return c.done()
}

func (c *setupCall) putPolicy(r *iamRole) reply {
	r.inline[c.form.Get("PolicyName")] = c.form.Get("PolicyDocument")
	return c.done()
}

func (c *setupCall) deletePolicy(r *iamRole) reply {
	name := c.form.Get("PolicyName")
	if _, ok := r.inline[name]; !ok {
		return c.fail("NoSuchEntity", "The role policy with name %s cannot be found.", name)
	}
	delete(r.inline, name)
	return c.done()
}

func (c *setupCall) getPolicy(r *iamRole) reply {
	name := c.form.Get("PolicyName")
	text, ok := r.inline[name]
	if !ok {
		return c.fail("NoSuchEntity", "The role policy with name %s cannot be found.", name)
	}
	return c.done(tx("RoleName", r.name), tx("PolicyName", name), tx("PolicyDocument", encodePolicy(text)))
}

func (c *setupCall) getManagedPolicy() reply {
	arn := c.form.Get("PolicyArn")
	if !c.hasPolicy(arn) {
		return c.fail("NoSuchEntity", "Policy %s was not found.", arn)
	}
	return c.done(el("Policy", tx("Arn", arn), tx("PolicyName", arn[strings.LastIndexByte(arn, '/')+1:])))
}

// pageOf is a page of members, with IAM's words for the next one.
func (c *setupCall) pageOf(list string, keys []string, member func(key string) string) reply {
	page, next := c.page(keys, c.form.Get("Marker"))
	var all []string
	for _, key := range page {
		all = append(all, member(key))
	}
	if next == "" {
		return c.done(el(list, all...), tx("IsTruncated", "false"))
	}
	return c.done(el(list, all...), tx("IsTruncated", "true"), tx("Marker", next))
}

func (c *setupCall) listAttached(r *iamRole) reply {
	return c.pageOf("AttachedPolicies", sortedNames(r.attached), func(arn string) string {
		return el("member", tx("PolicyName", arn[strings.LastIndexByte(arn, '/')+1:]), tx("PolicyArn", arn))
	})
}

func (c *setupCall) listInline(r *iamRole) reply {
	return c.pageOf("PolicyNames", sortedNames(r.inline), func(name string) string { return tx("member", name) })
}

func (c *setupCall) listProfiles(r *iamRole) reply {
	var names []string
	for _, name := range sortedNames(c.st.profiles) {
		if slices.Contains(c.st.profiles[name].roles, r.name) {
			names = append(names, name)
		}
	}
	return c.pageOf("InstanceProfiles", names, func(name string) string { return c.st.profiles[name].xml(c.st, "member") })
}

func (p *iamProfile) xml(st *setupState, as string) string {
	var roles []string
	for _, name := range p.roles {
		if r := st.roles[name]; r != nil {
			roles = append(roles, strings.NewReplacer("<Role>", "<member>", "</Role>", "</member>").Replace(r.xml()))
		}
	}
	return el(as, tx("InstanceProfileName", p.name), tx("Path", p.path), tx("Arn", p.arn), tx("InstanceProfileId", stableID("AIPA", p.arn)),
		tx("CreateDate", "2026-01-02T03:04:05Z"), el("Roles", roles...))
}

func (c *setupCall) noProfile() reply {
	return c.fail("NoSuchEntity", "Instance Profile %s cannot be found.", c.form.Get("InstanceProfileName"))
}

func (c *setupCall) getProfile() reply {
	p := c.st.profiles[c.form.Get("InstanceProfileName")]
	if p == nil || c.hiding(&p.unseen) {
		return c.noProfile()
	}
	return c.done(p.xml(c.st, "InstanceProfile"))
}

func (c *setupCall) createProfile() reply {
	name := c.form.Get("InstanceProfileName")
	if c.st.profiles[name] != nil {
		return c.fail("EntityAlreadyExists", "Instance Profile %s already exists.", name)
	}
	p := &iamProfile{name: name, path: firstOf(c.form.Get("Path"), "/"), unseen: c.s.cfg.Propagation, unknown: c.s.cfg.Propagation}
	p.arn = c.arn("iam", "instance-profile"+p.path+name)
	c.st.profiles[name] = p
	return c.done(p.xml(c.st, "InstanceProfile"))
}

func (c *setupCall) deleteProfile() reply {
	p := c.st.profiles[c.form.Get("InstanceProfileName")]
	switch {
	case p == nil:
		return c.noProfile()
	case len(p.roles) > 0:
		return c.fail("DeleteConflict", "Cannot delete entity, must remove roles from instance profile first.")
	}
	delete(c.st.profiles, p.name)
	return c.done()
}

func (c *setupCall) addRole() reply {
	p, r := c.st.profiles[c.form.Get("InstanceProfileName")], c.st.roles[c.form.Get("RoleName")]
	switch {
	case p == nil:
		return c.noProfile()
	case r == nil:
		return c.fail("NoSuchEntity", "The role with name %s cannot be found.", c.form.Get("RoleName"))
	case len(p.roles) > 0:
		return c.fail("LimitExceeded", "Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1")
	}
	if no, ok := c.mayPass(r.arn, c.ec2Principal()); ok {
		return no
	}
	p.roles = []string{r.name}
	return c.done()
}

func (c *setupCall) removeRole() reply {
	p := c.st.profiles[c.form.Get("InstanceProfileName")]
	name := c.form.Get("RoleName")
	if p == nil || !slices.Contains(p.roles, name) {
		return c.fail("NoSuchEntity", "Role %s in the instance profile cannot be found.", name)
	}
	p.roles = nil
	return c.done()
}

func (c *setupCall) ec2Principal() string {
	if c.partition() == "aws-cn" {
		return "ec2.amazonaws.com.cn"
	}
	return "ec2.amazonaws.com"
}
