package sso

import (
	"encoding/json"
	"maps"
	"slices"
	"time"

	"rolecall/internal/creds"
)

// Token is one cached sign-in. Fields that are unknown here are kept when it is
// written again.
type Token struct {
	StartURL, Region string
	Access, Refresh  creds.Secret
	Expires          time.Time // of Access
	Client           Client    // that it was given to; its secret is needed to refresh
	Scopes           []string  // only some tools tell them; the AWS CLI does not

	fields map[string]json.RawMessage
}

// Client is a program that registered with the OIDC service.
type Client struct {
	ID      creds.Secret
	Secret  creds.Secret
	Expires time.Time // of the registration; zero: not told
}

// Good says whether the token has more than slack left by the wall clock and is
// not the one that was rejected.
func (t Token) Good(now time.Time, slack time.Duration, rejected creds.Secret) bool {
	return !t.Access.IsZero() && t.Expires.Sub(now.Round(0)) > slack && t.Access.Reveal() != rejected.Reveal()
}

// Refreshable says whether the token can be traded for a new one without a
// person, as far as the file tells.
func (t Token) Refreshable() bool {
	return !t.Refresh.IsZero() && !t.Client.ID.IsZero() && !t.Client.Secret.IsZero()
}

// timeFormat is that of the AWS CLI, in UTC.
const timeFormat = "2006-01-02T15:04:05Z"

// ParseToken reads a cache file's JSON; ok says whether it holds a token.
func ParseToken(text []byte) (t Token, ok bool) {
	if json.Unmarshal(text, &t.fields) != nil {
		return Token{}, false
	}
	field := func(name string) creds.Secret {
		var s string
		if json.Unmarshal(t.fields[name], &s) != nil {
			return creds.Secret{}
		}
		return creds.NewSecret(s)
	}
	t.Access, t.Refresh = field("accessToken"), field("refreshToken")
	t.StartURL, t.Region = field("startUrl").Reveal(), field("region").Reveal()
	t.Client = Client{field("clientId"), field("clientSecret"), parseTime(field("registrationExpiresAt").Reveal())}
	t.Expires = parseTime(field("expiresAt").Reveal())
	_ = json.Unmarshal(t.fields["scopes"], &t.Scopes) // of another shape: as if it were not there
	return t, !t.Access.IsZero() && !t.Expires.IsZero()
}

func parseTime(text string) time.Time {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05UTC"} { // the latter by AWS CLI 2.0
		if at, err := time.Parse(layout, text); err == nil {
			return at
		}
	}
	return time.Time{}
}

// encode is the file's content: the AWS CLI's keys in its order, then others.
func (t Token) encode() []byte {
	fields := maps.Clone(t.fields)
	if fields == nil {
		fields = map[string]json.RawMessage{}
	}
	set := func(key, value string) {
		if value != "" {
			fields[key] = pythonString(value)
		}
	}
	set("startUrl", t.StartURL)
	set("region", t.Region)
	set("accessToken", t.Access.Reveal())
	set("expiresAt", t.Expires.UTC().Format(timeFormat))
	set("clientId", t.Client.ID.Reveal())
	set("clientSecret", t.Client.Secret.Reveal())
	if !t.Client.Expires.IsZero() {
		set("registrationExpiresAt", t.Client.Expires.UTC().Format(timeFormat))
	}
	set("refreshToken", t.Refresh.Reveal())
	var members []member
	for _, key := range []string{"startUrl", "region", "accessToken", "expiresAt", "clientId", "clientSecret", "registrationExpiresAt", "refreshToken"} {
		if v, ok := fields[key]; ok {
			members = append(members, member{key, v})
			delete(fields, key)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		members = append(members, member{key, fields[key]})
	}
	return object(members)
}

// Foreign says what makes the token one that is not for s, in a few words; ""
// for nothing. A token of another start URL or region would be refused, and one
// that was given to another tool for other scopes is not ours to use.
func (t Token) Foreign(s Session) string {
	switch {
	case t.StartURL != "" && !SameURL(t.StartURL, s.StartURL):
		return "is for another start URL"
	case t.Region != "" && t.Region != s.Region:
		return "is for region " + t.Region
	case t.Scopes != nil && !covers(t.Scopes, s.Scopes):
		return "was given to another tool, for other scopes"
	}
	return ""
}

// covers says whether the scopes given are enough for those that are wanted.
func covers(given, wanted []string) bool {
	if len(wanted) == 0 {
		wanted = []string{DefaultScope}
	}
	return !slices.ContainsFunc(wanted, func(w string) bool { return !slices.Contains(given, w) })
}
