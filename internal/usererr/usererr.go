// Package usererr has the one error type that is shown to users: what went
// wrong, of which kind it is, and the next command to type. It knows no HTTP,
// no files, no SDK, no clock and no logging.
package usererr

import (
	"context"
	"errors"
	"time"
)

// Code is the kind of an error. Code, status output, metrics and docs use the
// same words.
type Code string

const (
	LoginRequired Code = "login_required" // a person must sign in or give an MFA code
	AccessDenied  Code = "access_denied"  // upstream says no, and will go on saying it
	NotConfigured Code = "not_configured" // profile, file or setting is missing or wrong
	Throttled     Code = "throttled"      // upstream asks for fewer requests
	Unavailable   Code = "unavailable"    // network, time-out, 5xx, garbage
	Internal      Code = "internal"       // a fault of rolecall itself
)

// Error is an error for users: a message, a hint that names the next step, and
// a code that programs decide by. Msg and Hint are safe to show to anyone who
// may request the credentials: they hold no secret and no raw upstream answer.
type Error struct {
	Code Code
	Msg  string // what went wrong, one line, lower case, no full stop
	Hint string // the next command to type or line to change; "" where none helps

	// RetryAfter is the upstream's wish, e.g. from its Retry-After header.
	// Zero: none told.
	RetryAfter time.Duration

	// Changed is a cheap local look (a file's time stamp) whether the cause may
	// be gone, e.g. after a login in another terminal. Nil: nothing to look at.
	Changed func() bool

	// MFA is the serial number or ARN of the device whose code would help, with
	// code login_required. "": no code is asked for.
	MFA string

	// Err is the cause for errors.Is and errors.As. It is never printed: an
	// SDK's text may hold what a helper program wrote.
	Err error
}

func (e *Error) Error() string { return e.Msg }

func (e *Error) Unwrap() error { return e.Err }

// From returns err as an *Error. Anything else becomes one of
// code unavailable (when a deadline or cancellation ended it) or internal,
// without the text of err, which may not be safe to show.
func From(err error) *Error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return &Error{Code: Unavailable, Msg: "the source did not answer in time", Err: err}
	}
	if errors.Is(err, context.Canceled) {
		return &Error{Code: Unavailable, Msg: "the request to the source was cancelled", Err: err}
	}
	return &Error{Code: Internal, Msg: "the source failed in an unexpected way", Err: err}
}

// NeedsPerson says whether no retry helps until somebody changes something.
func (c Code) NeedsPerson() bool {
	return c == LoginRequired || c == AccessDenied || c == NotConfigured
}
