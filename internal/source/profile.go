package source

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"rolecall/internal/awsconfig"
	"rolecall/internal/shellword"
	"rolecall/internal/usererr"
)

// maxChain is how many profiles one may go through to the first credentials.
const maxChain = 10

// profileLink resolves a profile by name. Credentials in the environment never
// stand in for it, and a profile without any does not fall through to those of
// the machine.
func (r *Resolver) profileLink(name string) (*link, error) {
	files, err := r.files()
	if err != nil {
		return nil, err
	}
	c := &chain{r: r, files: files}
	l, err := c.profile(name, awsconfig.Value{})
	if err != nil {
		return nil, err
	}
	top, _ := files.Profile(name)
	l.region = r.region(&scope{files, []*awsconfig.Section{top}})
	return l, nil
}

// chain is the walk along source_profile.
type chain struct {
	r     *Resolver
	files *awsconfig.Files
	names []string
	top   *awsconfig.Section
}

// profile resolves one profile of the chain; from is the source_profile that
// named it. The order of what goes first in a profile is that of the SDKs.
func (c *chain) profile(name string, from awsconfig.Value) (*link, error) {
	s, ok := c.files.Profile(name)
	if !ok {
		return nil, c.r.unknownProfile(c.files, name, from)
	}
	again := slices.Contains(c.names, name)
	c.names = append(c.names, name)
	if c.top == nil {
		c.top = s
	}
	sc := &scope{c.files, []*awsconfig.Section{c.top, s}}
	first := len(c.names) == 1
	switch {
	case len(c.names) > maxChain:
		return nil, c.r.notConfigured(fmt.Sprintf("more than %d profiles in the chain %s", maxChain, strings.Join(c.names, " -> ")), "shorten the chain of source_profile")
	case again && !hasOwn(s):
		return nil, c.r.notConfigured("the profiles go round in a loop: "+strings.Join(c.names, " -> "), at(from)+" name another source_profile")
	case again, !first && hasKeys(s):
		// A profile that is the source of a role gives its own credentials, not
		// the role it may assume for others.
		return c.own(s, sc)
	}
	if err := c.conflict(s); err != nil {
		return nil, err
	}
	if s.Text("source_profile") != "" {
		return c.sourced(s, sc)
	}
	base, err := c.own(s, sc)
	ownRole := s.Text("web_identity_token_file") != "" && !hasKeys(s) // that role is assumed already
	if err == nil && first && s.Text("role_arn") == "" && s.Text("mfa_serial") != "" && hasKeys(s) {
		return c.r.mfaLink(base, s, sc)
	}
	if err != nil || s.Text("role_arn") == "" || ownRole {
		return base, err
	}
	return c.r.assumeLink(s.Text("role_arn"), base, s, sc)
}

// conflict is the error of a profile that names two ways to credentials.
func (c *chain) conflict(s *awsconfig.Section) error {
	var found []string
	for _, key := range []string{"source_profile", "credential_source", "credential_process", "web_identity_token_file"} {
		v, _ := s.Get(key)
		if v.Text == "" {
			continue
		}
		if found = append(found, key); len(found) == 2 {
			return c.r.notConfigured(fmt.Sprintf("%s profile %q has both %s and %s", at(v), s.Name, found[0], found[1]), "remove one of the two")
		}
	}
	return nil
}

// sourced is a role assumed with another profile's credentials.
func (c *chain) sourced(s *awsconfig.Section, sc *scope) (*link, error) {
	source, _ := s.Get("source_profile")
	if s.Text("role_arn") == "" {
		return nil, c.r.notConfigured(fmt.Sprintf("%s profile %q has source_profile but no role_arn", at(source), s.Name), "add role_arn = arn:aws:iam::ACCOUNT:role/NAME")
	}
	base, err := c.profile(source.Text, source)
	if err != nil {
		return nil, err
	}
	return c.r.assumeLink(s.Text("role_arn"), base, s, sc)
}

// own resolves what the profile has itself, in the order of the SDKs.
func (c *chain) own(s *awsconfig.Section, sc *scope) (*link, error) {
	switch {
	case s.Has("aws_access_key_id") || s.Has("aws_secret_access_key"):
		return c.r.keysLink(s)
	case s.Text("credential_source") != "":
		return c.credentialSource(s, sc)
	case s.Text("web_identity_token_file") != "":
		return c.r.webIdentityLink(s, sc)
	case hasSSO(s):
		return c.r.ssoLink(s, sc)
	case s.Text("login_session") != "":
		return c.r.loginLink(s, sc)
	case s.Text("credential_process") != "":
		return c.r.processLink(s)
	case s.Text("role_arn") != "":
		v, _ := s.Get("role_arn")
		return nil, c.r.notConfigured(fmt.Sprintf("%s profile %q has role_arn but nothing to assume it with", at(v), s.Name), "add source_profile = NAME, or credential_source = Ec2InstanceMetadata")
	}
	return nil, c.r.notConfigured(fmt.Sprintf("profile %q (%s:%d) has no credentials", s.Name, s.File, s.Line),
		"add keys, role_arn, sso_session or credential_process; for the machine's own role load imds or container")
}

func (c *chain) credentialSource(s *awsconfig.Section, sc *scope) (*link, error) {
	v, _ := s.Get("credential_source")
	if s.Text("role_arn") == "" {
		return nil, c.r.notConfigured(fmt.Sprintf("%s profile %q has credential_source but no role_arn", at(v), s.Name), "add role_arn = arn:aws:iam::ACCOUNT:role/NAME")
	}
	switch v.Text {
	case "Ec2InstanceMetadata":
		return c.r.imdsLink(sc)
	case "EcsContainer":
		return c.r.containerLink(sc)
	case "Environment":
		return c.r.envLink()
	}
	return nil, c.r.notConfigured(at(v)+" credential_source is none of Ec2InstanceMetadata, EcsContainer, Environment", "correct the value")
}

func hasKeys(s *awsconfig.Section) bool {
	secret, _ := s.Get("aws_secret_access_key")
	return s.Text("aws_access_key_id") != "" && !secret.Secret.IsZero()
}

func hasSSO(s *awsconfig.Section) bool {
	for _, key := range []string{"sso_session", "sso_account_id", "sso_role_name", "sso_start_url", "sso_region"} {
		if s.Text(key) != "" {
			return true
		}
	}
	return false
}

// hasOwn says whether the profile has credentials without any source_profile.
func hasOwn(s *awsconfig.Section) bool {
	return hasKeys(s) || hasSSO(s) || s.Text("login_session") != "" || s.Text("credential_process") != "" ||
		s.Text("web_identity_token_file") != "" && s.Text("role_arn") != ""
}

// unknownProfile names the files that were read and what may have been meant.
func (r *Resolver) unknownProfile(files *awsconfig.Files, name string, from awsconfig.Value) error {
	msg := fmt.Sprintf("no profile %q in %s or %s", name, files.Paths.Config, files.Paths.Credentials)
	if files.Paths == (awsconfig.Paths{}) {
		return r.notConfigured(fmt.Sprintf("no profile %q: there is no home directory to read .aws/config from", name), "set HOME, or AWS_CONFIG_FILE")
	}
	if from.File != "" {
		msg = at(from) + " source_profile: " + msg
	}
	hint := "`rolecall load` lists all profiles"
	if near := nearest(name, files.Names()); len(near) > 0 {
		hint = fmt.Sprintf("did you mean %s? %s", strings.Join(near, " or "), hint)
	} else if len(files.Names()) == 0 {
		hint = "there is no profile at all: write one with `aws configure`, or set AWS_CONFIG_FILE"
	}
	return r.notConfigured(msg, hint)
}

// nearest lists up to three names that a slip of the keyboard could have meant.
func nearest(name string, names []string) []string {
	type candidate struct {
		name     string
		distance int
	}
	var found []candidate
	for _, n := range names {
		d := shellword.Distance(strings.ToLower(name), strings.ToLower(n))
		if d <= max(1, min(len(name), 12)/3) || len(name) >= 3 && strings.HasPrefix(n, name) {
			found = append(found, candidate{n, d})
		}
	}
	sort.SliceStable(found, func(i, j int) bool { return found[i].distance < found[j].distance })
	var near []string
	for _, c := range found[:min(len(found), 3)] {
		near = append(near, fmt.Sprintf("%q", c.name))
	}
	return near
}

// unavailable is a plain failure of a source.
func unavailable(msg, hint string) *usererr.Error {
	return &usererr.Error{Code: usererr.Unavailable, Msg: msg, Hint: hint}
}
