package creds

import (
	"context"
	"errors"
	"time"
)

// Code is the kind of a failed retrieval. The same words stand in code, status
// output, metrics and docs.
type Code string

const (
	LoginRequired Code = "login_required" // a person must sign in or give an MFA code
	AccessDenied  Code = "access_denied"  // upstream says no, and will go on saying it
	NotConfigured Code = "not_configured" // profile, file or setting is missing or wrong
	Throttled     Code = "throttled"      // upstream asks for fewer requests
	Unavailable   Code = "unavailable"    // network, time-out, 5xx, garbage
	Internal      Code = "internal"       // a fault of rolecall itself
)

// RetrieveError says why a Provider gave no credentials. Msg and Hint are safe
// to show to anybody who may ask for the credentials: they hold no secret and
// no raw upstream answer.
type RetrieveError struct {
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

func (e *RetrieveError) Error() string { return e.Msg }

func (e *RetrieveError) Unwrap() error { return e.Err }

// AsRetrieveError returns err as a *RetrieveError. Anything else becomes one of
// code unavailable (when a deadline or cancellation ended it) or internal,
// without the text of err, which may not be safe to show.
func AsRetrieveError(err error) *RetrieveError {
	if err == nil {
		return nil
	}
	var e *RetrieveError
	if errors.As(err, &e) {
		return e
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return &RetrieveError{Code: Unavailable, Msg: "the source did not answer in time", Err: err}
	}
	if errors.Is(err, context.Canceled) {
		return &RetrieveError{Code: Unavailable, Msg: "the request to the source was cancelled", Err: err}
	}
	return &RetrieveError{Code: Internal, Msg: "the source failed in an unexpected way", Err: err}
}

// NeedsPerson says whether no retry helps until somebody changes something.
func (c Code) NeedsPerson() bool {
	return c == LoginRequired || c == AccessDenied || c == NotConfigured
}
