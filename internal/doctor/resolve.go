package doctor

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"rolecall/internal/creds"
	"rolecall/internal/shellword"
	"rolecall/internal/source"
	"rolecall/internal/usererr"
)

// resolveLimit is for a profile's whole way to STS, which may be several calls
// over TLS; it keeps a run within three seconds.
const (
	resolveLimit = 2700 * time.Millisecond
	resolveEnd   = 400 * time.Millisecond // for what was called off to end
)

// Resolve gets a profile's credentials and asks whose they are.
// internal/source's Resolver does both.
type Resolve func(ctx context.Context, profile string) (creds.Credentials, source.Identity, error)

// SourceResolve is Resolve with the sources that the daemon uses.
func SourceResolve(c source.Config) Resolve {
	return func(ctx context.Context, profile string) (creds.Credentials, source.Identity, error) {
		r := source.New(c)
		s, err := r.Resolve("profile:" + profile)
		if err != nil {
			return creds.Credentials{}, source.Identity{}, err
		}
		got, err := s.Provider.Retrieve(ctx)
		if err != nil {
			return creds.Credentials{}, source.Identity{}, err
		}
		id, err := r.CallerIdentity(ctx, s, got)
		if err != nil {
			return got, id, &identityError{usererr.From(err)}
		}
		return got, id, nil
	}
}

// identityError says that there are keys, and that AWS does not take them.
type identityError struct{ cause *usererr.Error }

func (e *identityError) Error() string { return e.cause.Msg }

func (e *identityError) Unwrap() error { return e.cause }

// InspectProfile are the checks of one profile: each value where it stands, and
// then whether it gives credentials and whose they are.
func InspectProfile(name string, p Program, c Config, resolve Resolve) []Check {
	look := sync.OnceValue(func() *profileWalk {
		w := newView(p, c.lookup()).lookAtProfile(name, c.now())
		if w.strict.Text != "" {
			r := w.explainBreak(Step{Cause: "files.strict", From: w.strict.Where})
			r.Outcome, r.Cause = Warning, "files.strict"
			w.faults = append(w.faults, r)
		}
		return w
	})
	target := "profile " + name
	return []Check{
		{Name: "files", Target: target, Run: func(context.Context) []Result {
			w := look()
			if r, bad := w.failed(); bad {
				return append([]Result{r}, rest(w.faults, r)...)
			}
			return append(w.faults, Result{Outcome: OK, Summary: "each value on the way to credentials", Evidence: w.steps})
		}},
		{Name: "credentials", Target: target, Limit: resolveLimit, Run: func(ctx context.Context) []Result {
			w := look()
			switch _, bad := w.failed(); {
			case bad:
				return []Result{{Outcome: Skipped, Summary: "no credentials were asked for", Why: "the files must be put right first"}}
			case c.Offline:
				return []Result{{Outcome: Skipped, Summary: "no credentials were asked for", Why: "--offline: nobody is asked"}}
			}
			// What hangs (a credential_process) is ended before the check is, so
			// that it counts as a fault and not as a check that was not made.
			ctx, cancel := context.WithTimeout(ctx, resolveLimit-resolveEnd)
			defer cancel()
			return w.retrieve(ctx, name, c.now(), resolve)
		}},
	}
}

// failed is the first fault that is one.
func (w *profileWalk) failed() (Result, bool) {
	for _, f := range w.faults {
		if f.Outcome == Failed {
			f.Evidence = append(f.Evidence, w.trail()...)
			return f, true
		}
	}
	return Result{}, false
}

// trail is how far the way went before the fault.
func (w *profileWalk) trail() (list []Evidence) {
	for _, s := range w.steps {
		s.Text = "(on the way) " + s.Text
		list = append(list, s)
	}
	return list
}

func rest(faults []Result, but Result) (list []Result) {
	for _, f := range faults {
		if f.Cause != but.Cause {
			list = append(list, f)
		}
	}
	return list
}

// retrieve gets the credentials and says whose they are, or what stood in the way.
func (w *profileWalk) retrieve(ctx context.Context, name string, now time.Time, resolve Resolve) []Result {
	began := time.Now()
	got, id, err := resolve(ctx, name)
	took := time.Since(began)
	if err == nil {
		r := Result{Outcome: OK, Summary: "gives credentials of " + id.ARN, Evidence: []Evidence{{Text: "account " + id.Account + ", answered in " + span(took)}}}
		if !got.Expires.IsZero() {
			r.Evidence = append(r.Evidence, Evidence{Text: "good for another " + span(got.Expires.Sub(now))})
		}
		if got.AccountID != "" && got.AccountID != id.Account {
			r.Outcome, r.Cause = Warning, "profile.account"
			r.Summary = fmt.Sprintf("gives credentials of account %s, and not of %s", id.Account, got.AccountID)
		}
		return []Result{r}
	}
	e := usererr.From(err)
	if own, ok := err.(*identityError); ok {
		e = own.cause
	}
	r := Result{Outcome: Failed, Cause: w.causeOf(e, err), Summary: e.Msg, Evidence: w.trail()}
	r.Fixes = []Fix{{Text: e.Hint}}
	if e.Hint == "" {
		r.Fixes = []Fix{fixOf(r.Cause, name)}
	}
	return []Result{r}
}

// fixOf is what to do about a cause where the error has no hint.
func fixOf(cause, profile string) Fix {
	switch cause {
	case "profile.throttled":
		return Fix{Text: "wait a minute; ask less by sharing one answer", Command: "rolecall serve --load " + shellword.Word(profile)}
	case "profile.unreachable":
		return Fix{Text: "look at network, proxy (HTTPS_PROXY), region and AWS_ENDPOINT_URL_STS"}
	case "profile.secret-wrong":
		return Fix{Text: "make new keys: the secret does not belong to the key id", Command: "aws configure --profile " + shellword.Word(profile)}
	case "clock.skew":
		return Fix{Text: "set the clock, and keep it set", Command: "timedatectl set-ntp true"}
	}
	return Fix{Text: "try the same again with the aws CLI", Command: "aws sts get-caller-identity --profile " + shellword.Word(profile)}
}

// causeOf names an error's cause: by AWS's own code where it is in the message,
// else by the kind of the error and the way the profile goes.
func (w *profileWalk) causeOf(e *usererr.Error, err error) string {
	for _, c := range []struct{ word, cause string }{
		{"InvalidClientTokenId", "profile.keys-invalid"}, {"UnrecognizedClient", "profile.keys-invalid"},
		{"SignatureDoesNotMatch", "profile.secret-wrong"}, {"Signature expired", "clock.skew"}, {"RequestExpired", "clock.skew"},
		{"MFA device", "profile.mfa"}, {"not the JSON", "profile.process-not-json"}, {"credential_process", "profile.process-failed"},
		{"ExpiredToken", "profile.keys-expired"},
	} {
		if strings.Contains(e.Msg, c.word) {
			return c.cause
		}
	}
	_, identity := err.(*identityError)
	switch e.Code {
	case usererr.LoginRequired:
		return "profile.login-needed"
	case usererr.AccessDenied:
		if identity {
			return "profile.keys-invalid"
		}
		return "profile.access-denied"
	case usererr.NotConfigured:
		return "profile.not-configured"
	case usererr.Throttled:
		return "profile.throttled"
	}
	return "profile.unreachable"
}
