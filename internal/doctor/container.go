package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// What handed out credentials must have left, and how fast the endpoint must
// be: JavaScript, Java and PHP wait for a second.
const (
	shortLife = 15 * time.Minute // container
	shortIMDS = 25 * time.Minute // IMDS: botocore takes less for more
	slowLimit = 500 * time.Millisecond
)

// attempt is a request for container credentials as some SDKs send it. The URL is
// the same for all that get this far; Java may send another token.
type attempt struct {
	url, from string
	token     token
	sdks      []string
}

func (s *survey) attempts() (list []attempt) {
	for _, w := range s.walks {
		m := w.Match()
		if m == nil || m.Kind != KindContainer || m.State != Taken {
			continue
		}
		t := s.token(w.SDK)
		same := func(l attempt) bool { return l.token.text == t.text && (l.token.err == nil) == (t.err == nil) }
		if i := slices.IndexFunc(list, same); i >= 0 {
			list[i].sdks = append(list[i].sdks, w.SDK.Name)
			continue
		}
		list = append(list, attempt{m.URL, m.From, t, []string{w.SDK.Name}})
	}
	return list
}

// containers asks the container endpoint as the SDKs do that end at it.
func (s *survey) containers(ctx context.Context, c Config) (results []Result) {
	attempts := s.attempts()
	for i, t := range attempts {
		if why := s.unasked(c, t.token); why != "" {
			results = append(results, Result{Outcome: Skipped, Summary: "the container endpoint was not asked", Why: why})
			continue
		}
		header := http.Header{"Accept": {"application/json"}}
		if t.token.text != "" {
			header.Set("Authorization", t.token.text)
		}
		a := ask(ctx, http.MethodGet, t.url, header)
		if skewed, ok := a.skewed(); ok && i == 0 {
			results = append(results, skewed)
		}
		r := s.container(a, t, c.now())
		if len(attempts) > 1 && a.fault == "" {
			r.Evidence = append(r.Evidence, Evidence{Text: "asked with the token of " + strings.Join(t.sdks, ", ")})
			if r.Outcome == Failed && len(t.sdks) < enough {
				r.Outcome = Warning
			}
		}
		results = append(results, r)
		if a.fault != "" {
			break // no answer, whatever the token
		}
	}
	return results
}

// unasked says why an endpoint is not asked with this token, "" when it is.
func (s *survey) unasked(c Config, t token) string {
	switch {
	case c.Offline:
		return "--offline: no endpoint is asked"
	case s.Elsewhere != "":
		return s.Elsewhere
	case errors.Is(t.err, errUnseen):
		return "the file with the authorization token cannot be seen from here"
	case t.file && (s.Others || s.Root != ""):
		return "the program is another user's or a container's, and no file that it names is sent: run rolecall doctor as that user, or in the container"
	}
	return ""
}

// container is what an answer means, with what was asked.
func (s *survey) container(a answer, t attempt, now time.Time) Result {
	r := s.judgeContainer(a, now, t.token)
	r.Evidence = append([]Evidence{{Where: t.from, Text: shownURL(t.url)}}, r.Evidence...)
	if a.fault == "" {
		r.Evidence = append(r.Evidence, Evidence{Text: fmt.Sprintf("answered with status %d in %s", a.status, span(a.took))})
	}
	if hides := t.from == varRelative && s.Env.Get(varFull) != ""; hides && r.Outcome == Failed {
		r.Cause, r.Summary = "container.relative-hides-full", varRelative+" is stale and hides "+varFull+": "+r.Summary
		r.Fixes = []Fix{{Text: "every SDK takes the relative one", Command: "unset " + varRelative}}
	}
	return r
}

// judgeContainer says what an answer means for SDKs.
func (s *survey) judgeContainer(a answer, now time.Time, t token) Result {
	bad := func(cause, summary string, fixes ...Fix) Result {
		return Result{Outcome: Failed, Cause: "container." + cause, Summary: summary, Fixes: fixes}
	}
	retry := Fix{Text: "SDKs try again; if it stays so, look at the server behind it"}
	switch {
	case a.fault == "refused" && s.onLoopback():
		return bad("refused", "the container endpoint is not there: "+a.say, Fix{Text: "start the server", Command: "rolecall serve --load PROFILE"},
			Fix{Text: "in a container, 127.0.0.1 is the container itself: share the host's network, or bind 169.254.170.2 in the container's"})
	case a.fault == "refused", a.fault == "unreachable":
		return bad("refused", "the container endpoint is not there: "+a.say, Fix{Text: "outside of ECS unset the variable", Command: "unset " + varRelative + " " + varFull})
	case a.fault == "timeout":
		return bad("timeout", "the container endpoint gives no answer within a second, which is all that PHP, JavaScript and Java wait",
			Fix{Text: "look at the load of the server, and at firewalls between"})
	case a.fault != "":
		return bad(a.fault, "the container endpoint cannot be asked: "+a.say, Fix{Text: "compare the URL with what the server says it serves"})
	case a.status == http.StatusUnauthorized, a.status == http.StatusForbidden:
		if t.from == "" {
			return bad("unauthorized", "the container endpoint wants an authorization token, and none is set",
				Fix{Text: "set " + varTokenFile + " to the file with the token", Command: `eval "$(rolecall env)"`})
		}
		return bad("unauthorized", "the container endpoint refuses the authorization token",
			Fix{Text: "take the token anew: it changes when the server is set up anew", Command: `eval "$(rolecall env)"`})
	case a.status == http.StatusNotFound, a.status == http.StatusBadRequest:
		return bad("not-found", "the container endpoint knows no such credentials",
			Fix{Text: "the path is stale (of a task that ended) or names a slot that is empty", Command: "rolecall list"})
	case a.status == http.StatusTooManyRequests:
		return bad("throttled", "the container endpoint throttles: too many requests", Fix{Text: "ask less: share one client, or one warm answer", Command: "rolecall serve --load container"})
	case a.status >= 500:
		return bad("unavailable", "the container endpoint has no credentials to give now", retry, Fix{Command: "rolecall status"})
	case a.status >= 300 && a.status < 400:
		return bad("redirect", "the container endpoint redirects, which SDKs do not follow", Fix{Text: "set the URL it redirects to"})
	}
	return judgeDocument(a, now)
}

func (s *survey) onLoopback() bool {
	u, err := url.Parse(s.Env.Get(varFull))
	return err == nil && loopback(u.Hostname(), s.resolve)
}

// document is what SDKs read of an answer. Its secrets are looked at for being
// there, and never shown.
type document struct {
	Code, Message          string
	AccessKeyID            *string `json:"AccessKeyId"`
	SecretAccessKey, Token *string
	Expiration             *string
	RoleArn, AccountID     string
}

// judgeDocument looks at a 200 of a container endpoint.
func judgeDocument(a answer, now time.Time) Result {
	bad := func(cause, summary string) Result {
		return Result{Outcome: Failed, Cause: "container." + cause, Summary: summary, Fixes: []Fix{{Text: "look at the server: SDKs need AccessKeyId, SecretAccessKey, Token and Expiration"}}}
	}
	var d document
	if json.Unmarshal(a.body, &d) != nil {
		return bad("not-json", "the container endpoint answers with something that is no JSON")
	}
	if missing := d.missing(); missing != "" {
		return bad("incomplete", "the container endpoint's answer lacks "+missing)
	}
	end, err := time.Parse(time.RFC3339, *d.Expiration)
	switch {
	case err != nil:
		return bad("expiration", "the container endpoint's Expiration is no time in ISO 8601")
	case !strings.HasSuffix(*d.Expiration, "Z"):
		return bad("expiration", "the container endpoint's Expiration does not end with Z: JavaScript and Rust refuse it")
	case !end.After(now):
		return bad("expired", "the container endpoint hands out credentials that expired "+span(now.Sub(end))+" ago")
	}
	left := Evidence{Text: "credentials for another " + span(end.Sub(now))}
	if d.RoleArn != "" && len(d.RoleArn) < 300 {
		left.Text += ", of " + d.RoleArn
	}
	r := Result{Outcome: OK, Summary: "the container endpoint hands out credentials", Evidence: []Evidence{left}}
	switch {
	case end.Sub(now) < shortLife:
		r.Outcome, r.Cause = Warning, "container.short-life"
		r.Summary = "the container endpoint hands out credentials with only " + span(end.Sub(now)) + " left: Python and Java ask again at each call"
		r.Fixes = []Fix{{Text: "hand out longer ones: at least 15 minutes must be left"}}
	case a.took > slowLimit:
		r.Outcome, r.Cause = Warning, "container.slow"
		r.Summary = "the container endpoint takes " + span(a.took) + ": SDKs wait for one second"
		r.Fixes = []Fix{{Text: "put a warm answer before it", Command: "rolecall serve --load container"}}
	}
	return r
}

func (d document) missing() string {
	var names []string
	for _, f := range []struct {
		name  string
		value *string
	}{{"AccessKeyId", d.AccessKeyID}, {"SecretAccessKey", d.SecretAccessKey}, {"Token", d.Token}, {"Expiration", d.Expiration}} {
		if f.value == nil || *f.value == "" && f.name != "Token" { // keys that never end have an empty Token
			names = append(names, f.name)
		}
	}
	return strings.Join(names, ", ")
}
