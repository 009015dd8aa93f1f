// Package control is the daemon's own API on its unix socket: what the other
// commands of rolecall ask of a running daemon. It holds the wire types, the
// client and the handler, and knows nothing of how the daemon does it.
package control

import (
	"context"
	"rolecall/internal/usererr"
	"time"
)

// Slot is what there is to tell of one slot; it holds no secret. It is also
// what `--json` prints: names and meanings stay as they are.
type Slot struct {
	Name       string     `json:"name"` // "" is the default slot
	Source     string     `json:"source,omitempty"`
	Profile    string     `json:"profile,omitempty"`
	AccountID  string     `json:"account_id,omitempty"`
	RoleName   string     `json:"role_name,omitempty"`
	RoleARN    string     `json:"role_arn,omitempty"`
	Region     string     `json:"region,omitempty"`
	KeyID      string     `json:"access_key_id,omitempty"` // its last four characters
	State      string     `json:"state"`                   // empty, valid, advisory, mandatory, expired
	Pushed     bool       `json:"pushed,omitempty"`        // uploaded: nobody refreshes it
	Static     bool       `json:"static,omitempty"`        // the credentials never end; expires is what clients are told
	ByURL      bool       `json:"by_url,omitempty"`        // made by a request; lapses when unused
	Expires    *time.Time `json:"expires,omitempty"`
	Remaining  float64    `json:"remaining_seconds"`
	RefreshAt  *time.Time `json:"refresh_at,omitempty"`
	Refreshing bool       `json:"refreshing,omitempty"`
	Refreshes  int        `json:"refreshes"`
	Failures   int        `json:"failures"`
	Error      *Error     `json:"error,omitempty"`              // of the last attempt, until one succeeds
	ClockSkew  float64    `json:"clock_skew_seconds,omitempty"` // this machine's clock ahead of the source's, when over a minute
}

// Error of an attempt or of a request.
type Error struct {
	Code    usererr.Code `json:"code"`
	Message string       `json:"message"`
	Hint    string       `json:"hint,omitempty"`
	At      *time.Time   `json:"at,omitempty"`
	NextTry *time.Time   `json:"next_try,omitempty"`
	MFA     string       `json:"mfa_serial,omitempty"` // the device whose code is asked for
}

// Listener is one address that the daemon answers at.
type Listener struct {
	Endpoint string `json:"endpoint"` // "ecs", "imds"
	URL      string `json:"url"`
	V1       bool   `json:"imds_v1,omitempty"` // metadata is told without an IMDS token too
}

// Store is where a daemon keeps credentials beside its slots.
type Store struct {
	Kind     string `json:"kind"`               // file, memory, redis
	Dir      string `json:"dir,omitempty"`      // of the files
	URL      string `json:"url,omitempty"`      // of the server, for redis
	Key      string `json:"key,omitempty"`      // where the key is: keychain, file, passphrase, systemd credential, key file
	KeyID    string `json:"key_id,omitempty"`   // names it without telling it: machines share what has the same
	Weakness string `json:"weakness,omitempty"` // what a person should know about that
	Problem  string `json:"problem,omitempty"`  // why it is not what the configuration says
}

// Status is all that there is to tell of a daemon.
type Status struct {
	Version      string     `json:"version"`
	PID          int        `json:"pid"`
	Started      time.Time  `json:"started"`
	Listeners    []Listener `json:"listeners"`
	Auth         string     `json:"auth"`           // auto, token, none
	PeerByKernel bool       `json:"peer_by_kernel"` // auto can let in clients of the own uid
	TokenFile    string     `json:"authorization_token_file"`
	ConfigFile   string     `json:"config_file,omitempty"`
	ConfigError  string     `json:"config_error,omitempty"` // of the last reload that failed
	Store        *Store     `json:"store,omitempty"`
	Slots        []Slot     `json:"slots"`   // default first, then by name
	Answers      uint64     `json:"answers"` // credentials handed out
	Denials      uint64     `json:"denials"`
	AuditLost    uint64     `json:"audit_records_lost,omitempty"`
	Warnings     []string   `json:"warnings,omitempty"`
}

// LoadRequest fills a slot from a source.
type LoadRequest struct {
	Slot   string `json:"slot"` // "" is the default slot
	Source string `json:"source"`
	// Ask: the caller can ask a person for an MFA code. Where one is needed
	// nothing is changed, and the error names the device.
	Ask bool `json:"ask,omitempty"`
}

// LoadResult of a load that worked, or of one that failed but left a slot that
// goes on trying; Err is then set.
type LoadResult struct {
	Slot Slot   `json:"slot"`
	Err  *Error `json:"error,omitempty"`
}

// SignInRequest gives the code of an MFA device for a source.
type SignInRequest struct {
	Source string `json:"source"`
	Serial string `json:"serial"`
	Code   string `json:"code"`
	Renew  bool   `json:"renew,omitempty"` // although the session may still be good
}

// SignInResult says how long nobody is asked again.
type SignInResult struct {
	Until *time.Time `json:"until,omitempty"` // nil: no code was needed
}

// UnloadRequest empties one slot, or all of them.
type UnloadRequest struct {
	Slot string `json:"slot"`
	All  bool   `json:"all,omitempty"`
}

// RefreshRequest asks the source of a slot now.
type RefreshRequest struct {
	Slot string `json:"slot"`
}

// ReloadResult says what a reload of the configuration changed.
type ReloadResult struct {
	ConfigFile string   `json:"config_file,omitempty"`
	Changes    []string `json:"changes"`
}

// Daemon is what the handler needs of a daemon. Errors are
// *usererr.Error.
type Daemon struct {
	Status  func(ctx context.Context) (Status, error)
	Load    func(ctx context.Context, r LoadRequest) (LoadResult, error)
	SignIn  func(ctx context.Context, r SignInRequest) (SignInResult, error)
	Unload  func(ctx context.Context, r UnloadRequest) ([]string, error) // names of the slots that were emptied
	Refresh func(ctx context.Context, r RefreshRequest) (Slot, error)
	Reload  func(ctx context.Context) (ReloadResult, error)
}

// AsError is err as it goes over the wire.
func AsError(err error) *Error {
	e := usererr.From(err)
	return &Error{Code: e.Code, Message: e.Msg, Hint: e.Hint, MFA: e.MFA}
}

// Retrieve is the error as the rest of the code knows it.
func (e *Error) Retrieve() *usererr.Error {
	return &usererr.Error{Code: e.Code, Msg: e.Message, Hint: e.Hint, MFA: e.MFA}
}
