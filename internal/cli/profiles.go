package cli

import (
	"strings"

	"rolecall/internal/awsconfig"
	"rolecall/internal/creds"
)

// profile is one profile of the AWS files that gives credentials, as far as
// the files tell.
type profile struct {
	Name    string
	Kind    string // sso, assume-role, web-identity, process, login, static
	Account string
	Role    string
	RoleARN string
	Region  string

	Source  string // of what is no profile; "": profile:Name
	Session string // SSO session that it needs; "": none
	Note    string // whether that is signed in
}

// source is what to load.
func (p profile) source() string {
	if p.Source != "" {
		return p.Source
	}
	return "profile:" + p.Name
}

// key is what recent choices know it by.
func (p profile) key() string {
	if p.Source != "" {
		return p.Source
	}
	return p.Name
}

// awsFiles reads the user's AWS files.
func (a *app) awsFiles() (*awsconfig.Files, error) {
	f, err := awsconfig.Load(awsconfig.DefaultPaths(a.getenv, a.home()))
	if err != nil {
		return nil, failed(err.Error(), "correct the file, or name another one in AWS_CONFIG_FILE or AWS_SHARED_CREDENTIALS_FILE")
	}
	return f, nil
}

// profilesOf lists the profiles that give credentials, in the order of the files.
func profilesOf(f *awsconfig.Files) []profile {
	var list []profile
	for _, name := range f.Names() {
		s, _ := f.Profile(name)
		if p := profileOf(name, s); p.Kind != "" {
			list = append(list, p)
		}
	}
	return list
}

func profileOf(name string, s *awsconfig.Section) profile {
	p := profile{Name: name, Region: s.Text("region"), Account: s.Text("aws_account_id")}
	sso := s.Has("sso_session") || s.Has("sso_start_url")
	switch {
	case s.Has("role_arn") && s.Has("web_identity_token_file"):
		p.Kind = "web-identity"
	case s.Has("role_arn") && (s.Has("source_profile") || s.Has("credential_source")):
		p.Kind = "assume-role"
	case sso && s.Has("sso_account_id") && s.Has("sso_role_name"):
		p.Kind, p.Account, p.Role = "sso", s.Text("sso_account_id"), s.Text("sso_role_name")
	case s.Has("login_session"):
		p.Kind = "login"
		p.Account = creds.AccountFromARN(s.Text("login_session"))
	case s.Has("aws_access_key_id"):
		p.Kind = "static"
	case s.Has("credential_process"):
		p.Kind = "process"
	}
	if p.Kind == "web-identity" || p.Kind == "assume-role" {
		p.RoleARN = s.Text("role_arn")
		p.Account, p.Role = creds.AccountFromARN(p.RoleARN), creds.RoleNameFromARN(p.RoleARN)
	}
	return p
}

// identity is account and role for people.
func (p profile) identity() string { return identity(p.Account, p.Role) }

func identity(account, role string) string {
	if account == "" || role == "" {
		return account + role
	}
	return account + "/" + role
}

// withRole are the profiles for a role of an account, or for a role's ARN.
func withRole(all []profile, account, role, arn string) []profile {
	if arn != "" {
		account, role = creds.AccountFromARN(arn), creds.RoleNameFromARN(arn)
	}
	var found []profile
	for _, p := range all {
		if p.RoleARN != "" && p.RoleARN == arn || (p.RoleARN == "" || arn == "") && p.Account == account && p.Role == role && role != "" {
			found = append(found, p)
		}
	}
	return found
}

// accountID gives the number that people type its leading zeros back.
func accountID(text string) (string, bool) {
	digits := strings.ReplaceAll(text, "-", "") // as the console shows it
	if digits == "" || len(digits) > 12 || strings.Trim(digits, "0123456789") != "" {
		return "", false
	}
	return strings.Repeat("0", 12-len(digits)) + digits, true
}
