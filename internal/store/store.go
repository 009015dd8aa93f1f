// Package store keeps credentials beyond the life of one process and shares
// them between processes: in sealed files of one machine, or in memory where
// nothing may be kept. Whoever shares a store asks upstream once and not each
// for itself. It knows neither slots nor HTTP.
package store

import (
	"context"
	"time"

	"rolecall/internal/creds"
)

// Fetch asks upstream.
type Fetch = func(context.Context) (creds.Credentials, error)

// stepped is how far the wall clock may seem to have been set back between
// writing an entry and reading it before the entry is disbelieved.
const stepped = time.Minute

// Remaining is the life that credentials kept at stored still have at now: the
// smaller of what the wall clock says and what is left of the lifetime counted
// from stored on, so that a clock that is behind, or was set back, never makes
// ended credentials look good. It is 0 or less for what must not be used.
func Remaining(c creds.Credentials, stored, now time.Time) time.Duration {
	left := c.Remaining(now)
	if c.ObservedAt.IsZero() || stored.IsZero() {
		return left
	}
	age := now.Round(0).Sub(stored.Round(0))
	if age < -stepped {
		return 0
	}
	return min(left, c.Lifetime(stored)-age)
}

// keepable says whether credentials belong in a store: they end by themselves,
// and not yet. Keys that never end are in the AWS files already, and a copy
// would outlive their removal there.
func keepable(c creds.Credentials, now time.Time) bool {
	return c.Check() == nil && c.CanExpire() && c.Remaining(now) > 0
}
