package roles

import (
	"context"
	"errors"
	"fmt"
	"net"
	"rolecall/internal/usererr"
	"strings"
	"time"
	"unicode"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"
)

// Error says why something could not be set up. It holds no secret.
type Error struct {
	Msg    string // one line, lower case, no full stop
	Next   string // the next command to type or line to change
	Action string // that AWS refused, "iam:CreateRole"; "" when it was none
	Code   string // of AWS, "AccessDenied"; "" when it told none
	Err    error  // the cause, for errors.Is; never printed
}

func (e *Error) Error() string { return e.Msg }
func (e *Error) Unwrap() error { return e.Err }

// Hint is the next command to type.
func (e *Error) Hint() string { return e.Next }

// failure maps an SDK's error. subject is what the call was about.
func (a *Account) failure(action, subject string, err error) error {
	var own *Error
	var retrieve *usererr.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &own):
		return own
	case errors.As(err, &retrieve): // the caller has no credentials: MFA, sign-in
		return retrieve
	}
	code := apiCode(err)
	e := &Error{Action: action, Code: code, Err: err}
	of := ""
	if subject != "" {
		of = " for " + subject
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded) && a.throttle.count() > 0, throttling(code):
		e.Code = "Throttling"
		e.Msg = fmt.Sprintf("AWS asks for fewer requests: %s%s was throttled until the end (%d times)", action, of, a.throttle.count())
		e.Next = "run it again in a minute: it goes on where it stopped"
	case errors.Is(err, context.DeadlineExceeded):
		e.Msg = action + of + " was not answered in time"
		e.Next = "run it again, with more time: --timeout 20m"
	case errors.Is(err, context.Canceled):
		e.Msg = action + of + " was interrupted"
	case denied(code):
		e.Msg = fmt.Sprintf("no permission for %s%s (%s)", action, of, code)
		if other, resource, ok := unauthorized(message(err)); ok && other != action { // e.g. iam:PassRole
			e.Action = other
			e.Msg = fmt.Sprintf("no permission for %s on %s, which %s needs (%s)", other, resource, action, code)
		}
		e.Next = askFor(e.Action)
		if strings.Contains(message(err), "explicit deny") {
			e.Msg = fmt.Sprintf("%s%s is denied by a policy in so many words (%s, explicit deny)", action, of, code)
			e.Next = "where everything is denied without MFA, use a profile with mfa_serial, or ask who looks after the account"
		}
	case expired(code):
		e.Msg = fmt.Sprintf("the caller's credentials are not accepted (%s)", code)
		e.Next = "sign in anew, or name other credentials with --source"
	case code == "":
		e.Msg = action + of + " had no usable answer: " + oneLine(rootText(err))
		e.Next = "is the region right, and the network there? then run it again"
	default:
		e.Msg = fmt.Sprintf("%s%s was refused with %s: %s", action, of, code, oneLine(message(err)))
	}
	return e
}

// unauthorized is what AWS says the caller may not do, and on what: "User: … is
// not authorized to perform: iam:PassRole on resource: arn:… because …".
func unauthorized(text string) (action, resource string, ok bool) {
	_, rest, found := strings.Cut(text, "not authorized to perform: ")
	action, rest, on := strings.Cut(rest, " on resource: ")
	resource, _, _ = strings.Cut(rest, " ")
	service, verb, two := strings.Cut(action, ":")
	plain := func(r rune) bool { return !nameRune(r) && !strings.ContainsRune(":/*", r) }
	ok = found && on && two && service != "" && verb != "" && len(action) < 100 && len(resource) < 2048 && !strings.ContainsFunc(service+verb+resource, plain)
	return action, resource, ok
}

// askFor is the hint for a caller that may not do something.
func askFor(action string) string {
	return "let the caller do " + action + ", or name other credentials with --source or --profile"
}

// trouble is what AWS says, or why it says nothing, in words for people.
func trouble(err error) string {
	switch {
	case throttling(apiCode(err)):
		return "AWS asks for fewer requests"
	case apiCode(err) == "":
		return "no usable answer: " + oneLine(rootText(err))
	}
	return oneLine(message(err))
}

func apiCode(err error) string {
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() == "UnknownError" {
		return ""
	}
	return api.ErrorCode()
}

func message(err error) string {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return ""
	}
	return api.ErrorMessage()
}

// rootText is the innermost error's text, from where the address is told: the
// outer ones repeat ids and URLs.
func rootText(err error) string {
	for {
		if op, ok := err.(*net.OpError); ok {
			return op.Error()
		}
		next := errors.Unwrap(err)
		if next == nil {
			return err.Error()
		}
		err = next
	}
}

// oneLine makes an upstream's text fit to show.
func oneLine(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == unicode.ReplacementChar {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, " "))
	const most = 300
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return strings.TrimSuffix(strings.TrimSpace(text), ".")
}

func denied(code string) bool {
	switch code {
	case "AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "Client.UnauthorizedOperation":
		return true
	}
	return false
}

func expired(code string) bool {
	switch code {
	case "ExpiredToken", "ExpiredTokenException", "RequestExpired", "InvalidClientTokenId", "UnrecognizedClientException",
		"AuthFailure", "SignatureDoesNotMatch", "MissingAuthenticationToken":
		return true
	}
	return false
}

func throttling(code string) bool {
	switch code {
	case "Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequestsException", "RequestThrottled", "SlowDown", "EC2ThrottledException":
		return true
	}
	return false
}

// missing says that AWS does not know what was asked for.
func missing(err error) bool {
	switch apiCode(err) {
	case "NoSuchEntity", "InvalidInstanceID.NotFound", "InvalidAssociationID.NotFound", "ClusterNotFoundException", "ServiceNotFoundException":
		return true
	}
	return false
}

// retries tries again what AWS throttled or failed at, and counts the former.
type retries struct {
	*retry.Standard
	tell func(Event)
}

func (a *Account) retries() retries {
	count := retry.IsErrorRetryableFunc(func(err error) aws.Ternary {
		if throttling(apiCode(err)) {
			a.throttle.add()
		}
		return aws.UnknownTernary
	})
	return retries{tell: a.cfg.Progress, Standard: retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = a.cfg.Attempts
		o.MaxBackoff = min(10*time.Second, 40*a.cfg.FirstPause)
		o.RateLimiter = ratelimit.None // the attempts are bounded, and a run is short
		o.Retryables = append([]retry.IsErrorRetryable{count}, o.Retryables...)
	})}
}

// RetryDelay is asked before each further attempt.
func (r retries) RetryDelay(attempt int, err error) (time.Duration, error) {
	r.tell(Event{State: "again", Detail: trouble(err)})
	return r.Standard.RetryDelay(attempt, err)
}
