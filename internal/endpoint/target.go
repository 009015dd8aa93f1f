package endpoint

import (
	"net/url"
	"strings"
)

// Kind is what a path asks for.
type Kind uint8

const (
	Unknown      Kind = iota
	DefaultSlot       // /, /creds, /v1/credentials
	NamedSlot         // /slot/NAME
	AllSlots          // /slot
	Source            // /source/SOURCE
	RoleARN           // /role-arn/ARN
	RoleName          // /role/NAME
	ProfileInfo       // /profile
	Health            // /healthcheck
	HealthOfSlot      // /healthcheck/slot/NAME
	Metrics           // /metrics

	MetadataToken       // /latest/api/token of the metadata service; see metadataTarget
	MetadataRole        // its role's name
	MetadataCredentials // its role's credentials
	MetadataItem        // all else that it tells
)

var kindNames = [...]string{"unknown", "default", "slot", "slots", "source", "role-arn", "role", "profile", "healthcheck", "healthcheck-slot", "metrics",
	"imds-token", "imds-role", "imds-credentials", "imds-item"}

func (k Kind) String() string { return kindNames[k] }

// Target is what a request asks for. Name is unescaped and otherwise as the
// client sent it: it is looked up and never used as a path or echoed.
type Target struct {
	Kind Kind
	Name string
}

// named are the paths that a name follows. What follows a source or an ARN may
// hold slashes of its own; a slot's name may not, but may hold %2F.
var named = []struct {
	prefix  string
	kind    Kind
	slashes bool
}{
	{"/slot/", NamedSlot, false},
	{"/source/", Source, true},
	{"/role-arn/", RoleARN, true},
	{"/role/", RoleName, true},
	{"/healthcheck/slot/", HealthOfSlot, false},
}

// target reads a request's path. It cleans nothing and redirects nowhere: a
// path is known exactly or not at all.
func target(u *url.URL) Target {
	path := u.EscapedPath()
	switch path {
	case "/", "/creds", "/v1/credentials":
		return Target{Kind: DefaultSlot}
	case "/profile":
		return Target{Kind: ProfileInfo}
	case "/slot", "/slot/":
		return Target{Kind: AllSlots}
	case "/healthcheck":
		return Target{Kind: Health}
	case "/metrics":
		return Target{Kind: Metrics}
	}
	for _, n := range named {
		rest, ok := strings.CutPrefix(path, n.prefix)
		if !ok || rest == "" {
			continue
		}
		if !n.slashes && strings.Contains(rest, "/") {
			return Target{}
		}
		name, err := url.PathUnescape(rest)
		if err != nil {
			return Target{}
		}
		return Target{n.kind, name}
	}
	return Target{}
}
