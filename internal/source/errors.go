package source

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"unicode"

	"github.com/aws/smithy-go"

	"rolecall/internal/creds"
	"rolecall/internal/usererr"
)

// operation is one call to an upstream, for the words of its failure.
type operation struct {
	name    string         // "sts AssumeRole"
	subject string         // what was asked for, e.g. a role's ARN; may be ""
	secrets []creds.Secret // sent with the call: an upstream might repeat them

	loginHint  string      // the command to type when a person must sign in
	deniedHint string      // what to look at when the upstream refuses
	changed    func() bool // for login_required, see usererr.Error
}

// callError is what is kept of an SDK's error: enough for errors.Is and logs,
// nothing that an upstream or a helper program wrote.
type callError struct {
	operation string
	code      string // AWS error code, or ""
	status    int    // HTTP status, or 0
	cause     error  // context.Canceled, context.DeadlineExceeded or nil
}

func (e *callError) Error() string {
	return fmt.Sprintf("%s: code %q, status %d", e.operation, e.code, e.status)
}

func (e *callError) Unwrap() error { return e.cause }

// failed maps an SDK's error to ours.
func (op operation) failed(err error, seen *exchange) *usererr.Error {
	var own *usererr.Error
	if errors.As(err, &own) {
		return own
	}
	status, retryAfter, connErr := seen.last()
	code := apiCode(err)
	err = errors.Join(err, connErr) // some SDK errors hide their cause
	e := &usererr.Error{Err: &callError{op.name, code, status, contextError(err)}, RetryAfter: retryAfter}
	e.Code = codeOf(code, status)
	if e.Code != usererr.Throttled && e.Code != usererr.Unavailable {
		e.RetryAfter = 0
	}
	switch {
	case contextError(err) != nil || isTimeout(err):
		e.Code, e.Msg = usererr.Unavailable, op.name+" was not answered in time"
		if errors.Is(err, context.Canceled) {
			e.Msg = op.name + " was cancelled"
		}
	case errors.Is(err, errTooLarge):
		e.Code, e.Msg = usererr.Unavailable, op.name+" was answered with more than 64 KiB"
	case status == 0:
		e.Code, e.Msg = usererr.Unavailable, op.name+" was not answered: "+networkWords(err)
	case status >= 300 && status < 400:
		e.Code, e.Msg = usererr.Unavailable, fmt.Sprintf("%s was answered with a redirect (status %d), which is not followed", op.name, status)
	case e.Code == usererr.Throttled:
		e.Msg = op.name + " was refused: too many requests"
	case code == "" || status < 300:
		e.Msg = fmt.Sprintf("%s was answered with something that is no answer of AWS (status %d)", op.name, status)
	default:
		e.Msg = op.refusal(err, code, status)
	}
	switch e.Code {
	case usererr.LoginRequired:
		e.Hint, e.Changed = op.loginHint, op.changed
	case usererr.AccessDenied:
		e.Hint = op.deniedHint
	case usererr.NotConfigured:
		e.Changed = op.changed
	}
	return e
}

// refusal tells what the upstream said, with its own words where it has some.
func (op operation) refusal(err error, code string, status int) string {
	verb := "was refused"
	if status >= 500 {
		verb = "failed upstream"
	}
	subject := ""
	if op.subject != "" {
		subject = " of " + op.subject
	}
	msg := fmt.Sprintf("%s%s %s with %s (status %d)", op.name, subject, verb, safeCode(code), status)
	var api smithy.APIError
	if errors.As(err, &api) {
		if text := op.safe(api.ErrorMessage()); text != "" {
			msg += ": " + text
		}
	}
	return msg
}

// safe makes an upstream's message fit to show: one short line without what we
// sent it.
func (op operation) safe(text string) string {
	for _, s := range op.secrets {
		if !s.IsZero() {
			text = strings.ReplaceAll(text, s.Reveal(), "[redacted]")
		}
	}
	text = strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || unprintable(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, " "))
	text = maskLong(text)
	const limit = 200
	if len(text) > limit {
		text = strings.ToValidUTF8(text[:limit], "") + "…"
	}
	return strings.TrimSpace(text)
}

// maskLong hides runs of letters and digits that are as long as a key or token
// of AWS's. What rolecall was told is taken out by its text; this is for what
// an upstream knows besides.
func maskLong(text string) string {
	const secretLen = 36
	var out strings.Builder
	for text != "" {
		n := 0
		for n < len(text) && (text[n] >= '0' && text[n] <= '9' || text[n]|0x20 >= 'a' && text[n]|0x20 <= 'z' || strings.IndexByte("+/=", text[n]) >= 0) {
			n++
		}
		if n >= secretLen {
			out.WriteString("[redacted]")
		} else {
			out.WriteString(text[:n])
		}
		text = text[n:]
		if text != "" {
			out.WriteByte(text[0])
			text = text[1:]
		}
	}
	return out.String()
}

// safeCode keeps an error code only where it looks like one.
func safeCode(code string) string {
	code, _, _ = strings.Cut(code, ":")
	if len(code) > 64 || strings.ContainsFunc(code, func(r rune) bool { return r > 'z' || !unicode.IsLetter(r) && r != '.' && r != '_' }) {
		return "an unreadable code"
	}
	return code
}

// apiCode is AWS's code in an SDK's error, "" where the answer was none of
// AWS's.
func apiCode(err error) string {
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() == "UnknownError" {
		return ""
	}
	return api.ErrorCode()
}

// throttling says whether a code asks for fewer requests.
func throttling(code string) bool {
	switch code {
	case "Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled", "RequestThrottledException",
		"TooManyRequestsException", "RequestLimitExceeded", "BandwidthLimitExceeded", "LimitExceededException",
		"SlowDown", "SlowDownException", "PriorRequestNotComplete", "TransactionInProgressException", "EC2ThrottledException":
		return true
	}
	return false
}

// codeOf says what kind of failure an AWS code and an HTTP status are.
func codeOf(code string, status int) usererr.Code {
	if throttling(code) || status == 429 {
		return usererr.Throttled
	}
	switch code {
	case "ExpiredToken", "ExpiredTokenException", "UnauthorizedException", "InvalidGrantException", "InvalidClientException",
		"UnauthorizedClientException", "InvalidIdentityToken", "TokenRefreshRequired":
		return usererr.LoginRequired
	case "AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "InvalidClientTokenId", "UnrecognizedClientException",
		"SignatureDoesNotMatch", "IncompleteSignature", "IncompleteSignatureException", "MissingAuthenticationToken", "AuthFailure",
		"ForbiddenException", "IDPRejectedClaim", "OptInRequired", "NotAuthorized", "InvalidSignatureException",
		"RegionDisabledException", "ResourceNotFoundException", "NoSuchEntity":
		return usererr.AccessDenied
	case "ValidationError", "ValidationException", "InvalidRequestException", "InvalidParameterValue", "MalformedPolicyDocument",
		"PackedPolicyTooLarge", "InvalidRequestRegionException":
		return usererr.NotConfigured
	}
	switch {
	case code != "" && status == 401:
		return usererr.LoginRequired
	case code != "" && status == 403:
		return usererr.AccessDenied
	}
	return usererr.Unavailable
}

func contextError(err error) error {
	for _, c := range []error{context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, c) {
			return c
		}
	}
	return nil
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

// networkWords says why there was no answer, without the error's own text.
func networkWords(err error) string {
	var dns *net.DNSError
	var cert *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var op *net.OpError
	switch {
	case errors.As(err, &dns):
		return "the name " + dns.Name + " was not found"
	case errors.As(err, &cert):
		return "its TLS certificate is not trusted"
	case errors.As(err, &record):
		return "it does not speak TLS"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the connection was refused"
	case errors.Is(err, syscall.ECONNRESET):
		return "the connection was cut"
	case errors.As(err, &op) && op.Op == "dial":
		return "no connection"
	}
	return "the connection failed"
}
