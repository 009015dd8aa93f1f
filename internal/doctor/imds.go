package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"rolecall/internal/shellword"
)

const (
	pathToken = "/latest/api/token"
	pathRoles = "/latest/meta-data/iam/security-credentials/"
	headTTL   = "X-Aws-Ec2-Metadata-Token-Ttl-Seconds"
	headToken = "X-Aws-Ec2-Metadata-Token"
)

// metadata asks the metadata service where an SDK ends at it.
func (s *survey) metadata(ctx context.Context, c Config) []Result {
	base, from := "", ""
	for _, w := range s.walks {
		if m := w.Match(); m != nil && m.Kind == KindIMDS && m.State == Taken {
			base, from = m.URL, m.From
		}
	}
	if base == "" {
		return nil
	}
	if why := s.unasked(c, token{}); why != "" {
		results := []Result{{Outcome: Skipped, Summary: "the instance metadata service was not asked", Why: why}}
		if c.Only == "" && !s.failed && countWalks(s.walks, served) == 0 {
			r := s.empty("was not asked")
			r.Outcome, r.Cause, r.Summary = Warning, "chain.imds-only", "nothing gives credentials here, unless there is an instance metadata service, which was not asked"
			results = append(results, r)
		}
		return results
	}
	results := IMDS{Base: base, From: from, Now: c.now}.Check(ctx)
	// A service that is not there is no fault of its own: no chain was set up.
	if c.Only == "" && from == "" && len(results) > 0 && results[0].gone() {
		if s.failed {
			return nil
		}
		return []Result{s.empty(results[0].Summary)}
	}
	return results
}

func (r Result) gone() bool {
	return r.Cause == "imds.refused" || r.Cause == "imds.timeout" || r.Cause == "imds.unreachable"
}

// IMDS is an instance metadata service to be looked at.
type IMDS struct {
	Base string // URL without /latest
	From string // what names it: a variable or file:line; "": it is the usual one
	Now  func() time.Time
}

// Check walks through IMDSv2 as an SDK does, and asks at the same time what
// happens without a token. It ends with ctx.
func (m IMDS) Check(ctx context.Context) []Result {
	base := strings.TrimSuffix(m.Base, "/")
	// What is told after the first time-out needs a moment of the second that
	// is left, so the token gets most of it.
	first, cancel := context.WithTimeout(ctx, 700*time.Millisecond)
	defer cancel()
	var put, bare answer
	var both sync.WaitGroup
	both.Go(func() {
		put = ask(first, http.MethodPut, base+pathToken, http.Header{headTTL: {"21600"}, "Content-Length": {"0"}})
	})
	both.Go(func() { bare = ask(first, http.MethodGet, base+pathRoles, nil) })
	both.Wait()
	seen := m.evidence(put, bare)
	if r, bad := m.judgeToken(put, bare); bad {
		r.Evidence = append(seen, r.Evidence...)
		return []Result{r}
	}
	var results []Result
	if skewed, ok := put.skewed(); ok {
		results = append(results, skewed)
	}
	header := http.Header{headToken: {strings.TrimSpace(string(put.body))}}
	list := ask(ctx, http.MethodGet, base+pathRoles, header)
	r, role := m.judgeList(list)
	if role != "" {
		r = m.judgeDocument(ask(ctx, http.MethodGet, base+pathRoles+role, header), role)
	}
	if put.header.Get(headTTL) == "" && r.Outcome != Failed {
		r = Result{Outcome: Warning, Cause: "imds.token-no-ttl", Summary: "the token's answer has no " + headTTL + " header: Go, Rust and Ruby cannot use it",
			Fixes: []Fix{{Text: "this is no EC2: mend the emulator or proxy that answers"}}}
	}
	r.Evidence = append(seen, r.Evidence...)
	return append(results, r)
}

// evidence is how the first two requests went.
func (m IMDS) evidence(put, bare answer) []Evidence {
	words := func(a answer) string {
		if a.fault != "" {
			return a.say
		}
		return fmt.Sprintf("status %d in %s", a.status, span(a.took))
	}
	var v1 string
	switch {
	case bare.fault != "":
		v1 = "without a token: " + bare.say
	case bare.status == http.StatusOK || bare.status == http.StatusNotFound:
		v1 = "without a token it answers too: IMDSv1 is on"
	case bare.status == http.StatusUnauthorized:
		v1 = "without a token: status 401, IMDSv1 is off"
	default:
		v1 = fmt.Sprintf("without a token: status %d", bare.status)
	}
	where := Evidence{Where: shownURL(m.Base), Text: "token: " + words(put)}
	list := []Evidence{where, {Text: v1}}
	if m.From != "" {
		list = append([]Evidence{{Where: m.From, Text: "names this endpoint"}}, list...)
	}
	return list
}

func imdsFault(cause, summary string, fixes ...Fix) Result {
	return Result{Outcome: Failed, Cause: "imds." + cause, Summary: summary, Fixes: fixes}
}

// judgeToken says what the answer to the token's PUT means.
func (m IMDS) judgeToken(put, bare answer) (Result, bool) {
	throttled := func(a answer) bool {
		return a.status == http.StatusTooManyRequests || a.status == http.StatusServiceUnavailable
	}
	const options = "aws ec2 modify-instance-metadata-options --instance-id INSTANCE "
	switch {
	case put.fault == "timeout" && bare.fault == "" && bare.status > 0:
		return imdsFault("hop-limit", "the IMDS token never arrives, though the service answers: the hop limit is too low for this container",
			Fix{Text: "allow one more hop", Command: options + "--http-put-response-hop-limit 2"},
			Fix{Text: "let the container share the host's network, or serve it", Command: "rolecall serve --load imds"}), true
	case put.fault == "refused":
		return imdsFault("refused", "there is no instance metadata service: "+put.say, Fix{Text: "outside of EC2 set other credentials, and switch it off", Command: "export AWS_EC2_METADATA_DISABLED=true"}), true
	case put.fault == "unreachable":
		return imdsFault("unreachable", "there is no instance metadata service: "+put.say, Fix{Text: "outside of EC2 set other credentials, and switch it off", Command: "export AWS_EC2_METADATA_DISABLED=true"}), true
	case put.fault == "timeout":
		return imdsFault("timeout", "the instance metadata service gives no answer within a second",
			Fix{Text: "on EC2 in a container: the hop limit may be too low", Command: options + "--http-put-response-hop-limit 2"},
			Fix{Text: "outside of EC2: set other credentials, and switch it off", Command: "export AWS_EC2_METADATA_DISABLED=true"},
			Fix{Text: "now and then only: it throttles; keep one warm answer", Command: "rolecall serve --load imds"}), true
	case put.fault != "":
		return imdsFault("broken", "the instance metadata service cannot be asked: "+put.say, Fix{Text: "look at what answers at that address"}), true
	case put.status == http.StatusForbidden && bare.status != http.StatusOK:
		return imdsFault("off", "the instance metadata service is switched off, or refuses this caller (status 403)", Fix{Command: options + "--http-endpoint enabled"}), true
	case throttled(put), throttled(bare) && put.status != http.StatusOK:
		return imdsFault("throttled", fmt.Sprintf("the instance metadata service throttles (status %d)", put.status),
			Fix{Text: "ask it from one place only, which keeps a warm answer", Command: "rolecall serve --load imds"}), true
	case put.status == http.StatusOK && strings.TrimSpace(string(put.body)) != "":
		return Result{}, false
	case put.status == http.StatusOK:
		return imdsFault("token-empty", "the instance metadata service answers with an empty token", Fix{Text: "this is no EC2: mend the emulator or proxy that answers"}), true
	case put.status >= 500:
		return imdsFault("unavailable", fmt.Sprintf("the instance metadata service fails (status %d)", put.status), Fix{Text: "try again; SDKs do"}), true
	case bare.status == http.StatusOK:
		return imdsFault("v1-only", fmt.Sprintf("the service gives no IMDSv2 token (status %d), only IMDSv1: Rust and new SDKs take none", put.status), Fix{Text: "this is an old emulator or proxy: it must answer PUT " + pathToken}), true
	}
	return imdsFault("no-token", fmt.Sprintf("the instance metadata service gives no token (status %d)", put.status), Fix{Text: "is that address a metadata service at all?"}), true
}

// judgeList finds the role's name in the answer to the list.
func (m IMDS) judgeList(list answer) (Result, string) {
	text := string(list.body)
	first, _, _ := strings.Cut(text, "\n")
	role := strings.TrimSpace(first)
	switch {
	case list.fault == "timeout":
		return imdsFault("slow", "the instance metadata service gave a token, and then no list of roles in time", Fix{Text: "keep one warm answer", Command: "rolecall serve --load imds"}), ""
	case list.fault != "":
		return imdsFault("broken", "the instance metadata service cannot be asked: "+list.say), ""
	case list.status == http.StatusNotFound, list.status == http.StatusOK && role == "":
		return imdsFault("no-role", "the instance has no role: the list of roles is not there (status 404)",
			Fix{Text: "attach an instance profile", Command: "aws ec2 associate-iam-instance-profile --instance-id INSTANCE --iam-instance-profile Name=PROFILE"}), ""
	case list.status == http.StatusTooManyRequests, list.status == http.StatusServiceUnavailable:
		return imdsFault("throttled", fmt.Sprintf("the instance metadata service throttles (status %d)", list.status), Fix{Text: "ask it from one place only", Command: "rolecall serve --load imds"}), ""
	case list.status == http.StatusUnauthorized:
		return imdsFault("token-forgotten", "the instance metadata service refuses the token that it has just given (status 401)",
			Fix{Text: "this is no EC2: the emulator or proxy that answers forgets its tokens, or there are several behind one address"}), ""
	case list.status != http.StatusOK:
		return imdsFault("unavailable", fmt.Sprintf("the list of roles fails (status %d)", list.status), Fix{Text: "try again; SDKs do"}), ""
	case len(role) > 128 || strings.ContainsAny(role, "<>{}\" /"):
		return imdsFault("broken", "the list of roles is none: something else answers at that address", Fix{Text: "look at what answers there: a proxy?"}), ""
	case first != text:
		return Result{Outcome: Warning, Cause: "imds.newline", Summary: "the list of roles ends with a line break or has two names: Rust and PHP take it for part of the name",
			Fixes: []Fix{{Text: "this is no EC2: mend the emulator"}}}, ""
	}
	return Result{}, role
}

// judgeDocument looks at the role's credentials.
func (m IMDS) judgeDocument(a answer, role string) Result {
	var d document
	switch {
	case a.fault != "":
		return imdsFault("slow", "the role's credentials do not come in time: "+a.say, Fix{Text: "keep one warm answer", Command: "rolecall serve --load imds"})
	case a.status == http.StatusTooManyRequests, a.status == http.StatusServiceUnavailable:
		return imdsFault("throttled", fmt.Sprintf("the instance metadata service throttles (status %d)", a.status), Fix{Command: "rolecall serve --load imds"})
	case a.status != http.StatusOK:
		return imdsFault("unavailable", fmt.Sprintf("the role's credentials fail (status %d)", a.status), Fix{Text: "try again; SDKs do"})
	case json.Unmarshal(a.body, &d) != nil:
		return imdsFault("not-json", "the role's credentials are no JSON", Fix{Text: "look at what answers there"})
	case d.Code != "Success" && d.Code != "":
		code := d.Code
		if len(code) > 60 || strings.ContainsFunc(code, func(r rune) bool { return r > 'z' || r < 'A' }) {
			code = "an unreadable code"
		}
		return imdsFault("role-refused", "EC2 cannot assume the role "+role+": "+code,
			Fix{Text: "let the role's trust policy allow ec2.amazonaws.com, and wait some minutes", Command: "aws iam get-role --role-name " + shellword.Word(role) + " --query Role.AssumeRolePolicyDocument"})
	case d.missing() != "":
		return imdsFault("incomplete", "the role's credentials lack "+d.missing(), Fix{Text: "this is no EC2: mend the emulator"})
	}
	now := m.Now()
	end, err := time.Parse(time.RFC3339, *d.Expiration)
	switch {
	case err != nil:
		return imdsFault("expiration", "the Expiration of the role's credentials is no time in ISO 8601", Fix{Text: "this is no EC2: mend the emulator"})
	case !end.After(now):
		return imdsFault("expired", "the role's credentials expired "+span(now.Sub(end))+" ago", Fix{Text: "look at the clock; on EC2, stop and start the instance if it stays so"})
	case end.Sub(now) < shortIMDS:
		return Result{Outcome: Warning, Cause: "imds.short-life", Summary: "the role's credentials have only " + span(end.Sub(now)) + " left: botocore takes less than 25 minutes for more than they are",
			Fixes: []Fix{{Text: "emulators: hand out longer ones, or use the container endpoint"}}}
	}
	return Result{Outcome: OK, Summary: "the instance metadata service hands out the role " + role, Evidence: []Evidence{{Text: "credentials for another " + span(end.Sub(now))}}}
}
