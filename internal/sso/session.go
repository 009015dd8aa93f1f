// Package sso is what signing in and fetching credentials have in common: the
// SSO sessions that the AWS files name, the cached tokens and client
// registrations as the AWS CLI keeps them in ~/.aws/sso/cache, and the words in
// which the service is asked. It knows files, and neither network nor SDK.
package sso

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"rolecall/internal/awsconfig"
	"rolecall/internal/shellword"
)

// DefaultScope is what a token needs to list accounts and roles and to get
// their credentials.
const DefaultScope = "sso:account:access"

// Session is one place to sign in at.
type Session struct {
	// Name is what people call it: that of the section [sso-session NAME], or,
	// where there is none (the older keys in profiles, `login --start-url`), the
	// first label of the start URL's host. Unique among the sessions of a user.
	Name     string
	Section  bool // Name is that of a section
	StartURL string
	Region   string
	Scopes   []string // sso_registration_scopes; nil: not set
	Profile  string   // one that uses it, for its endpoint settings; "": none
}

// CacheKey is what the token's file is named after.
func (s Session) CacheKey() string {
	if s.Section {
		return s.Name
	}
	return s.StartURL
}

// Command is what a person types to sign in.
func (s Session) Command() string {
	if s.Section {
		return "rolecall login --sso-session " + shellword.Word(s.Name)
	}
	return "rolecall login --start-url " + shellword.Word(s.StartURL) + " --region " + shellword.Word(s.Region)
}

// FromSection is the session that a section [sso-session] describes. Errors
// name the file and line.
func FromSection(section *awsconfig.Section) (Session, error) {
	if err := complete(section, fmt.Sprintf("[sso-session %s]", section.Name)); err != nil {
		return Session{}, err
	}
	s := Session{Name: section.Name, Section: true, StartURL: section.Text("sso_start_url"), Region: section.Text("sso_region")}
	for _, scope := range strings.Split(section.Text("sso_registration_scopes"), ",") {
		if scope = strings.TrimSpace(scope); scope != "" {
			s.Scopes = append(s.Scopes, scope)
		}
	}
	return s, nil
}

// FromProfile is the session that a profile signs in to, with sso_session or
// the older keys in the profile itself. Errors name the file and line; their
// Hint method says what to change.
func FromProfile(files *awsconfig.Files, p *awsconfig.Section) (Session, error) {
	name, has := p.Get("sso_session")
	if !has || name.Text == "" {
		if err := complete(p, fmt.Sprintf("profile %q", p.Name)); err != nil {
			return Session{}, err
		}
		s := Session{StartURL: p.Text("sso_start_url"), Region: p.Text("sso_region"), Profile: p.Name}
		s.Name = hostName(s.StartURL)
		return s, nil
	}
	section, ok := files.SSOSession(name.Text)
	if !ok {
		return Session{}, &FileError{fmt.Sprintf("%s:%d: no section [sso-session %s] in %s", name.File, name.Line, name.Text, files.Paths.Config),
			"add the section, or run `aws configure sso`"}
	}
	s, err := FromSection(section)
	if err != nil {
		return Session{}, err
	}
	for _, key := range []string{"sso_region", "sso_start_url"} {
		if v, ok := p.Get(key); ok && v.Text != "" && v.Text != section.Text(key) {
			return Session{}, &FileError{fmt.Sprintf("%s:%d: %s differs from that of [sso-session %s]", v.File, v.Line, key, name.Text), "remove it from the profile"}
		}
	}
	s.Profile = p.Name
	return s, nil
}

// FromStartURL is a session that no file names. The error says what is wrong
// with the start URL or the region.
func FromStartURL(startURL, region string) (Session, error) {
	u, err := url.Parse(startURL)
	if err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && !(u.Scheme == "http" && loopback(u.Hostname())) {
		what := quoted(startURL)
		if strings.Contains(startURL, "@") {
			what = "what was given, which may hold a password," // never repeated
		}
		return Session{}, &FileError{what + " is not a start URL", "it looks like https://d-1234567890.awsapps.com/start"}
	}
	if !validRegion(region) {
		return Session{}, &FileError{quoted(region) + " is not a region", "it is that of IAM Identity Center, e.g. --region eu-west-1"}
	}
	return Session{Name: hostName(startURL), StartURL: startURL, Region: region}, nil
}

func complete(s *awsconfig.Section, what string) error {
	for _, key := range []string{"sso_region", "sso_start_url"} {
		if s.Text(key) == "" {
			return &FileError{fmt.Sprintf("%s (%s:%d) has no %s", what, s.File, s.Line, key), "add " + key}
		}
	}
	return nil
}

// FileError is a setting that makes no session.
type FileError struct{ Msg, Fix string }

func (e *FileError) Error() string { return e.Msg }

// Hint is what to change.
func (e *FileError) Hint() string { return e.Fix }

// Sessions lists those of the AWS files and, after them, further ones: first the
// sections in the order of their names, then those of profiles with the older
// keys. Settings that make none are left out. Where a start URL is named twice
// in the older way it is one session.
func Sessions(files *awsconfig.Files, further []Session) []Session {
	var sections, older []Session
	seen := map[string]int{} // :: cache key → index in sections
	for _, name := range files.Names() {
		p, _ := files.Profile(name)
		if !p.Has("sso_session") && !p.Has("sso_start_url") {
			continue
		}
		s, err := FromProfile(files, p)
		if err != nil {
			continue
		}
		if _, ok := seen[s.CacheKey()]; ok {
			continue
		}
		seen[s.CacheKey()] = 0
		if s.Section {
			sections = append(sections, s)
		} else {
			older = append(older, s)
		}
	}
	for _, name := range files.SSOSessionNames() {
		section, _ := files.SSOSession(name)
		s, err := FromSection(section)
		if _, ok := seen[name]; err == nil && !ok {
			sections = append(sections, s)
		}
	}
	for _, s := range further {
		if _, ok := seen[s.StartURL]; !ok {
			seen[s.StartURL] = 0
			older = append(older, s)
		}
	}
	slices.SortFunc(sections, func(a, b Session) int { return cmp.Compare(a.Name, b.Name) })
	return distinct(append(sections, older...))
}

// distinct gives a number to sessions whose name is taken.
func distinct(all []Session) []Session {
	taken := map[string]bool{}
	for i := range all {
		name := all[i].Name
		for n := 2; taken[name]; n++ {
			name = fmt.Sprintf("%s-%d", all[i].Name, n)
		}
		all[i].Name = name
		taken[name] = true
	}
	return all
}

// hostName is the first label of a start URL's host; "sso" where it has none
// that could be part of a source's text.
func hostName(startURL string) string {
	u, err := url.Parse(startURL)
	if err != nil {
		return "sso"
	}
	host := u.Hostname()
	if !loopback(host) {
		host, _, _ = strings.Cut(host, ".")
	}
	if host == "" || strings.ContainsAny(host, "/:@") {
		return "sso"
	}
	return host
}

// SameURL compares start URLs as the access portal does: what follows a "#" and
// a slash at the end do not count.
func SameURL(a, b string) bool {
	trim := func(s string) string {
		s, _, _ = strings.Cut(s, "#")
		return strings.ToLower(strings.TrimRight(s, "/"))
	}
	return trim(a) == trim(b)
}

func loopback(host string) bool {
	return host == "localhost" || host == "::1" || strings.HasPrefix(host, "127.")
}

func validRegion(region string) bool {
	return region != "" && len(region) <= 63 && strings.Trim(region, "abcdefghijklmnopqrstuvwxyz0123456789-") == "" && region[0] != '-'
}

func quoted(s string) string { return fmt.Sprintf("%q", s) }
