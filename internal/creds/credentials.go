// Package creds has the type for one set of AWS credentials and the interface
// of what retrieves them (Provider). It knows no HTTP, no files, no SDK, no
// clock and no logging.
package creds

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// Credentials is one set of AWS credentials. It is a value: whoever holds one
// may share it freely and never changes it. It prints without its keys.
type Credentials struct {
	AccessKeyID     string // e.g. ASIA…; never logged in full, see MaskedKeyID
	SecretAccessKey Secret
	SessionToken    Secret    // zero for long-term keys
	Expires         time.Time // by the upstream's clock, UTC; zero: never
	AccountID       string    // 12 digits, or "" when not known
	RoleARN         string    // arn:…:role/…, or "" when not known
	RoleName        string    // name of the role or SSO permission set, or ""
	Source          string    // canonical source text, e.g. "profile:dev"

	// ObservedAt is the upstream's own time when it answered (its HTTP Date
	// header), from which the lifetime is counted so that a wrong local clock
	// does no harm. Zero: not told; the time of receipt is used.
	ObservedAt time.Time
}

// Provider is a source of credentials (the SDKs' name for it).
// Retrieve asks upstream; it keeps nothing, retries at most briefly, and obeys
// ctx. Its errors are *usererr.Error and hold no secret.
type Provider interface {
	Retrieve(ctx context.Context) (Credentials, error)
}

// ProviderFunc is a Provider made of a function.
type ProviderFunc func(ctx context.Context) (Credentials, error)

// Retrieve calls f.
func (f ProviderFunc) Retrieve(ctx context.Context) (Credentials, error) { return f(ctx) }

// CanExpire says whether the credentials end by themselves.
func (c Credentials) CanExpire() bool { return !c.Expires.IsZero() }

// Remaining is the life left at now by the wall clock; negative once expired.
// It is meaningless for credentials that cannot expire.
func (c Credentials) Remaining(now time.Time) time.Duration {
	return c.Expires.Round(0).Sub(now.Round(0))
}

// Lifetime is the life the credentials had when they were received at
// received: counted from the upstream's clock where that is known.
func (c Credentials) Lifetime(received time.Time) time.Duration {
	if !c.ObservedAt.IsZero() {
		return c.Expires.Round(0).Sub(c.ObservedAt.Round(0))
	}
	return c.Remaining(received)
}

// Limits on what is accepted from any upstream or upload. AWS documents 16 to
// 128 characters for a key id and gives no bound for tokens; a body of
// credentials above 64 KiB is not one.
const (
	maxKeyLen   = 1024
	maxTokenLen = 60 << 10
)

// Check says what makes the credentials unusable: a missing or oversized field,
// or control characters in one. The error names the field, never its content.
func (c Credentials) Check() error {
	var errs []error
	field := func(name, v string, required bool, limit int) {
		switch {
		case v == "" && required:
			errs = append(errs, fmt.Errorf("%s is missing", name))
		case len(v) > limit:
			errs = append(errs, fmt.Errorf("%s is longer than %d bytes", name, limit))
		case strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r == 0x7f }):
			errs = append(errs, fmt.Errorf("%s has control characters", name))
		}
	}
	field("AccessKeyId", c.AccessKeyID, true, maxKeyLen)
	field("SecretAccessKey", c.SecretAccessKey.Reveal(), true, maxKeyLen)
	field("Token", c.SessionToken.Reveal(), c.CanExpire(), maxTokenLen)
	field("AccountId", c.AccountID, false, maxKeyLen)
	field("RoleArn", c.RoleARN, false, 2*maxKeyLen)
	field("RoleName", c.RoleName, false, maxKeyLen)
	return errors.Join(errs...)
}

// SameIdentity says whether two sets speak for the same account and role, as
// far as both tell.
func (c Credentials) SameIdentity(o Credentials) bool {
	differ := func(a, b string) bool { return a != "" && b != "" && a != b }
	return !differ(c.AccountID, o.AccountID) && !differ(c.RoleARN, o.RoleARN) && !differ(c.RoleName, o.RoleName)
}

// MaskedKeyID is the access key id with all but its last four characters
// hidden, for people to compare.
func (c Credentials) MaskedKeyID() string {
	if len(c.AccessKeyID) < 12 {
		return ""
	}
	return "…" + c.AccessKeyID[len(c.AccessKeyID)-4:]
}

// RoleNameFromARN is the role's name in an IAM role ARN or an STS assumed-role
// ARN (without its path), or "" where the text is neither.
func RoleNameFromARN(arn string) string {
	_, resource, ok := splitARN(arn)
	if !ok {
		return ""
	}
	kind, rest, _ := strings.Cut(resource, "/")
	switch kind {
	case "role":
		return rest[strings.LastIndexByte(rest, '/')+1:]
	case "assumed-role":
		name, _, _ := strings.Cut(rest, "/")
		return name
	}
	return ""
}

// AccountFromARN is the 12-digit account in an ARN, or "".
func AccountFromARN(arn string) string {
	account, _, _ := splitARN(arn)
	if len(account) != 12 || strings.Trim(account, "0123456789") != "" {
		return ""
	}
	return account
}

func splitARN(arn string) (account, resource string, ok bool) {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" {
		return "", "", false
	}
	return parts[4], parts[5], true
}

func (c Credentials) String() string {
	if !c.CanExpire() {
		return "credentials from " + c.Source + " (never expire)"
	}
	return "credentials from " + c.Source + " until " + c.Expires.UTC().Format(time.RFC3339)
}

func (c Credentials) GoString() string             { return c.String() }
func (c Credentials) Format(f fmt.State, _ rune)   { fmt.Fprint(f, c.String()) }
func (c Credentials) LogValue() slog.Value         { return slog.StringValue(c.String()) }
func (c Credentials) MarshalText() ([]byte, error) { return []byte(c.String()), nil }
