package source

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"rolecall/internal/creds"
	"rolecall/internal/usererr"
)

// The kinds of sources, as users write them.
const (
	kindProfile   = "profile"
	kindIMDS      = "imds"
	kindContainer = "container"
	kindEnv       = "env"
	kindDefault   = "default"
	kindRole      = "role"
	kindFake      = "fake"
	kindSSO       = "sso"
)

const kindList = "profile:NAME (or just NAME), sso:SESSION/ACCOUNT/ROLE, imds, container, env, default, role:ARN[@SOURCE], fake"

const (
	maxText  = 4096 // bytes; STS takes ARNs of 2048
	maxRoles = 5    // in one text
)

// spec is a parsed source text.
type spec struct {
	kind string
	arg  string // profile, ARN or options
	base *spec  // of a role
}

// String is the canonical text, which parses to the same spec.
func (s spec) String() string {
	switch s.kind {
	case kindProfile:
		return kindProfile + ":" + s.arg
	case kindSSO:
		return kindSSO + ":" + s.arg
	case kindRole:
		text := kindRole + ":" + strings.NewReplacer("%", "%25", "@", "%40").Replace(s.arg)
		if s.base != nil && s.base.kind != kindDefault {
			text += "@" + s.base.String()
		}
		return text
	case kindFake:
		if s.arg != "" {
			return kindFake + ":" + s.arg
		}
	}
	return s.kind
}

func parseSpec(text string) (spec, error) {
	if text == "" {
		return spec{}, badText("no source is named", "name one, e.g. rolecall load PROFILE; rolecall list shows what is loaded")
	}
	if len(text) > maxText || !utf8.ValidString(text) || strings.ContainsFunc(text, unprintable) {
		return spec{}, badText("a source is at most 4096 bytes of printable text", "")
	}
	return parseDepth(text, 0)
}

// unprintable covers control and formatting characters, which could make a
// source look like another in a list or a log.
func unprintable(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
}

// maybeProfile says whether a text that is no source may be the name of a
// profile, such as those that rolecall profiles write makes.
func maybeProfile(text string) bool {
	kind, _, ok := strings.Cut(text, ":")
	return ok && !slices.Contains([]string{kindProfile, kindIMDS, kindContainer, kindEnv, kindDefault, kindRole, kindFake, kindSSO}, kind)
}

func parseDepth(text string, roles int) (spec, error) {
	kind, arg, hasArg := strings.Cut(text, ":")
	switch {
	case kind == kindProfile && arg != "":
		return spec{kind: kindProfile, arg: arg}, nil
	case kind == kindSSO && hasArg:
		if session, account, role := splitSSO(arg); session == "" || !accountID(account) || !validRoleName(role) || strings.Contains(role, "/") {
			return spec{}, badText(fmt.Sprintf("%q is not a role of an SSO session", text), "write sso:SESSION/ACCOUNT/ROLE, e.g. sso:corp/123456789012/ReadOnly; rolecall roles lists them")
		}
		return spec{kind: kindSSO, arg: arg}, nil
	case kind == kindRole && hasArg:
		return parseRole(arg, roles)
	case kind == kindFake:
		if hasArg && arg == "" {
			hasArg = false
		}
		if _, err := parseFake(arg); err != nil {
			return spec{}, err
		}
		return spec{kind: kindFake, arg: arg}, nil
	case !hasArg && slices.Contains([]string{kindIMDS, kindContainer, kindEnv, kindDefault}, kind):
		return spec{kind: kind}, nil
	case !hasArg && kind != kindProfile && kind != kindRole:
		return spec{kind: kindProfile, arg: text}, nil
	}
	return spec{}, badText(fmt.Sprintf("%q is not a source: the kinds are %s", text, kindList),
		fmt.Sprintf("for a profile of that name write profile:%s", text))
}

// splitSSO splits SESSION/ACCOUNT/ROLE; a session's name may have slashes.
func splitSSO(text string) (session, account, role string) {
	rest, role, _ := cutLast(text, "/")
	session, account, _ = cutLast(rest, "/")
	return session, account, role
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return "", s, false
	}
	return s[:i], s[i+len(sep):], true
}

func accountID(text string) bool { return len(text) == 12 && strings.Trim(text, "0123456789") == "" }

// parseRole splits ARN@SOURCE at the first "@"; a role's name may hold one too,
// which is therefore written %40.
func parseRole(text string, roles int) (spec, error) {
	if roles++; roles > maxRoles {
		return spec{}, badText(fmt.Sprintf("more than %d roles in one source", maxRoles), "")
	}
	arn, baseText, hasBase := strings.Cut(text, "@")
	arn = strings.NewReplacer("%40", "@", "%25", "%").Replace(arn)
	if err := checkRoleARN(arn); err != nil {
		return spec{}, err
	}
	s := spec{kind: kindRole, arg: arn, base: &spec{kind: kindDefault}}
	if hasBase {
		if baseText == "" {
			return spec{}, badText("no source after the @ of role:"+arn+"@", "write role:ARN@SOURCE, e.g. role:"+arn+"@dev")
		}
		base, err := parseDepth(baseText, roles)
		if err != nil {
			return spec{}, err
		}
		s.base = &base
	}
	return s, nil
}

// checkRoleARN takes arn:PARTITION:iam::ACCOUNT:role/NAME, with or without a
// path before the name.
func checkRoleARN(arn string) error {
	parts := strings.SplitN(arn, ":", 6)
	if len(arn) <= 2048 && len(parts) == 6 && parts[2] == "iam" && parts[3] == "" && strings.HasPrefix(parts[1], "aws") &&
		creds.AccountFromARN(arn) != "" && strings.HasPrefix(parts[5], "role/") && validRoleName(parts[5][len("role/"):]) {
		return nil
	}
	return badText(fmt.Sprintf("%q is not the ARN of an IAM role", arn), "write arn:aws:iam::123456789012:role/NAME")
}

// validRoleName takes a name of IAM's characters, with a path or without.
func validRoleName(name string) bool {
	if name == "" || len(name) > 512+64 || strings.HasPrefix(name, "/") || strings.HasSuffix(name, "/") {
		return false
	}
	return !strings.ContainsFunc(name, func(r rune) bool {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		return !letter && !strings.ContainsRune("_+=,.@-/", r)
	})
}

// badText is the error for a text that names nothing.
func badText(msg, hint string) error {
	return &usererr.Error{Code: usererr.NotConfigured, Msg: msg, Hint: hint}
}
