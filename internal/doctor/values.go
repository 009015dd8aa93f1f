package doctor

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// values finds what is wrong with single variables, whatever SDK reads them.
func (v *view) values(now time.Time) []Result {
	var found []Result
	add := func(outcome Outcome, cause, summary string, evidence []Evidence, fixes ...Fix) {
		found = append(found, Result{Check: "values", Outcome: outcome, Cause: cause, Summary: summary, Evidence: evidence, Fixes: fixes})
	}
	if v.Env.Wiped {
		add(Warning, "environ.wiped", "the program has overwritten its environment, so it cannot be seen from outside",
			[]Evidence{{Text: "php-fpm does that to show its title; its parents, or pid 1, still have what they gave it"}},
			Fix{Command: "rolecall doctor php-fpm"})
	}
	for _, name := range watched {
		value, there := v.Env.Lookup(name)
		if !there || value == "" || name == varToken || name == varIdentity || name == varTokenFile {
			continue
		}
		if what := stray(value); what != "" {
			add(Failed, "env.stray-characters", name+" "+what, []Evidence{v.isSet(name)}, Fix{Text: "set it without; in a .env or unit file quotes may not be taken off"})
		}
	}
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION"} {
		if value := v.Env.Get(name); stray(value) == "" && regionSlip(value) {
			add(Failed, "region.invalid", name+" names "+quote(value)+", which is no region: no host of AWS has that in its name",
				[]Evidence{v.value(name)}, Fix{Text: "write it as in eu-west-1" + regionHint(value)})
		}
	}
	id, secret, session := v.Env.Get(varKeyID), v.Env.Get(varSecret), v.Env.Get(varSession)
	if id != "" && secret != "" && stray(id+secret) == "" {
		switch {
		case strings.HasPrefix(id, "ASIA") && session == "":
			add(Failed, "env.session-token-missing", "temporary keys without their session token: AWS answers InvalidClientTokenId",
				[]Evidence{{Where: varKeyID, Text: "begins with ASIA, as temporary keys do"}, v.isSet(varSession)},
				Fix{Text: "set " + varSession + " as well; better, let the SDK fetch all three and set none"})
		case strings.HasPrefix(id, "AKIA") && session != "":
			add(Failed, "env.session-token-left-over", "a user's key with the session token of another: AWS answers InvalidClientTokenId",
				[]Evidence{{Where: varKeyID, Text: "begins with AKIA, as the keys of users do"}, v.isSet(varSession)},
				Fix{Command: "unset " + varSession})
		}
		if text := v.Env.Get("AWS_CREDENTIAL_EXPIRATION"); text != "" {
			if end, err := time.Parse(time.RFC3339, text); err == nil && end.Before(now) {
				add(Failed, "env.keys-expired", "the keys in the environment have expired, and no SDK renews those: AWS answers ExpiredToken",
					[]Evidence{{Where: "AWS_CREDENTIAL_EXPIRATION", Text: fmt.Sprintf("%s, %s ago", text, span(now.Sub(end)))}},
					Fix{Text: "let the SDK fetch them", Command: "unset " + varKeyID + " " + varSecret + " " + varSession})
			}
		}
	}
	if r, ok := v.identityToken(now); ok {
		found = append(found, r)
	}
	return found
}

// watched are the variables whose values must hold no stray characters.
var watched = []string{varKeyID, varSecret, varSession, "AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION",
	varRelative, varFull, varRole, varIMDS}

// stray says what in a value does not belong there.
func stray(value string) string {
	switch {
	case strings.ContainsAny(value, "\r\n"):
		return "has a line break"
	case strings.TrimSpace(value) != value:
		return "has blanks around it"
	case len(value) > 1 && (value[0] == '"' || value[0] == '\'') && value[0] == value[len(value)-1]:
		return "has quotes around it"
	}
	return ""
}

// identityToken looks at when a web identity token ends. Nothing else of it is
// read.
func (v *view) identityToken(now time.Time) (Result, bool) {
	file := v.Env.Get(varIdentity)
	if file == "" || v.Env.Get(varRole) == "" {
		return Result{}, false
	}
	text, err := v.readSmall(file)
	parts := strings.Split(strings.TrimSpace(text), ".")
	if err != nil || len(parts) != 3 {
		return Result{}, false
	}
	var claims struct {
		Exp float64 `json:"exp"`
	}
	b, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || json.Unmarshal(b, &claims) != nil || claims.Exp <= 0 || claims.Exp > 1e12 {
		return Result{}, false
	}
	end := time.Unix(int64(claims.Exp), 0)
	if end.After(now) {
		return Result{}, false
	}
	return Result{Check: "values", Outcome: Failed, Cause: "web-identity.expired",
		Summary:  "the web identity token has expired: STS answers ExpiredTokenException",
		Evidence: []Evidence{{Where: file, Text: "its exp was " + span(now.Sub(end)) + " ago"}},
		Fixes:    []Fix{{Text: "the kubelet renews projected tokens: look at why it does not; a copy of the file is never renewed"}},
	}, true
}

// span is a duration in words, coarse.
func span(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}
