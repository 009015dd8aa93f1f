package roles

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// check says what IAM would refuse, and where; "" for nothing.
func (d document) check(kind PolicyKind) (at int64, msg string) {
	if d.Version != "" && d.Version != "2012-10-17" && d.Version != "2008-10-17" {
		return 0, fmt.Sprintf("version %q is none of IAM's: write 2012-10-17", d.Version)
	}
	if len(d.Statement) == 0 {
		return 0, "there is no statement in it"
	}
	for i, s := range d.Statement {
		msg := ""
		hasPrincipal := s.Principal != nil || s.NotPrincipal != nil
		hasResource := s.Resource != nil || s.NotResource != nil
		switch {
		case s.Effect != "Allow" && s.Effect != "Deny":
			msg = "its effect is neither Allow nor Deny"
		case s.Action == nil && s.NotAction == nil:
			msg = "it has no action"
		case kind == TrustPolicy && !hasPrincipal:
			msg = "a trust policy names a principal"
		case kind == TrustPolicy && hasResource:
			msg = "a trust policy has no resource: it belongs to the role"
		case kind == PermissionPolicy && hasPrincipal:
			msg = "a permission policy names no principal: that is for a trust policy (--for FILE)"
		case kind == PermissionPolicy && !hasResource:
			msg = "it has no resource"
		}
		if msg != "" {
			return s.at, fmt.Sprintf("statement %d: %s", i+1, msg)
		}
	}
	return 0, ""
}

// samePolicy says whether two policies mean the same, as far as their form tells.
func samePolicy(a, b string) bool {
	if a == b {
		return true
	}
	x, errX := canonical(a)
	y, errY := canonical(b)
	return errX == nil && errY == nil && x == y
}

func canonical(text string) (string, error) {
	d, err := parseDocument([]byte(text))
	if err != nil {
		return "", err
	}
	var all []string
	for _, s := range d.Statement {
		b, err := json.Marshal(s) // maps are written in the order of their keys
		if err != nil {
			return "", err
		}
		all = append(all, string(b))
	}
	slices.Sort(all)
	return d.Version + strings.Join(all, "\n"), nil
}

// decoded is a policy as IAM's answers have it: URL-encoded (RFC 3986).
func decoded(text string) string {
	if plain, err := url.PathUnescape(text); err == nil {
		return plain
	}
	return text
}
