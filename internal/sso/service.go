package sso

import (
	"errors"
	"time"

	"rolecall/internal/creds"
)

// Answers of the OIDC service to one who waits for a sign-in (RFC 8628, 3.5).
// Errors of the service wrap them; what they print is for programs.
var (
	ErrPending       = errors.New("authorization_pending")
	ErrSlowDown      = errors.New("slow_down")
	ErrExpired       = errors.New("expired_token")
	ErrDenied        = errors.New("access_denied")
	ErrInvalidGrant  = errors.New("invalid_grant")  // the code or refresh token is used up or wrong
	ErrInvalidClient = errors.New("invalid_client") // the registration has ended
)

// NewClient asks for a registration.
type NewClient struct {
	Name      string
	Scopes    []string // nil: none
	Grants    []string // nil: as for sign-ins with a code
	Redirects []string // where a browser may be sent to, without ports
	IssuerURL string   // the start URL, for sign-ins in the browser
}

// Device is a sign-in with a code that a person types elsewhere.
type Device struct {
	Code     creds.Secret // ours
	UserCode string       // the person's
	Page     string       // where it is typed
	PageFull string       // the same with the code in it
	Expires  time.Duration
	Interval time.Duration // least time between two polls; zero: not told
}

// Grant is what is traded for a token; one of the three is set.
type Grant struct {
	DeviceCode creds.Secret
	Refresh    creds.Secret
	Code       creds.Secret // with Redirect and Verifier
	Redirect   string
	Verifier   creds.Secret
}

// Granted is the answer.
type Granted struct {
	Access, Refresh creds.Secret // Refresh is zero where none was given
	Lifetime        time.Duration
	ObservedAt      time.Time // the service's clock; zero: not told
}

// Account is one that a person has roles in.
type Account struct {
	ID    string   `json:"account_id"`
	Name  string   `json:"account_name"`
	Email string   `json:"email,omitempty"`
	Roles []string `json:"roles"`
}
