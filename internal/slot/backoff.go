package slot

import (
	"rolecall/internal/usererr"
	"time"
)

// failure is what the rule for the next attempt needs to know.
type failure struct {
	code       usererr.Code
	count      int           // failures in a row, this one included
	left       time.Duration // life of what is held; zero or less: nothing
	retryAfter time.Duration // the upstream's wish; zero: none
}

const (
	backoffCap      = 60 * time.Second
	backoffCapSoon  = 15 * time.Second // once less than soonLeft is left
	soonLeft        = 5 * time.Minute
	coldCap         = 2 * time.Second // with nothing to serve, for the first coldAttempts,
	coldAttempts    = 8               // which last for more than ten seconds
	throttledStart  = 5 * time.Second
	retryAfterCap   = 5 * time.Minute
	personFirst     = time.Minute // nothing but a person helps: look again after a minute,
	personLater     = 5 * time.Minute
	loginRecheck    = 500 * time.Millisecond // how often a local cause is looked at (a file's time stamp)
	attemptSpacing  = time.Second            // what a reader is told that gave up waiting
	shortestRefresh = 10 * time.Second
)

// backoff is the time to the next attempt after a failure: exponential with
// jitter (a uniform factor from one half to one, with nothing to serve from
// three quarters; r is uniform in [0, 1)).
func backoff(f failure, r float64) time.Duration {
	if f.code.NeedsPerson() {
		if f.count <= 1 {
			return personFirst
		}
		return personLater
	}
	first, limit, least := time.Second, backoffCap, 0.5
	switch {
	case f.code == usererr.Throttled:
		first = throttledStart
	case f.left <= 0 && f.count <= coldAttempts:
		limit, least = coldCap, 0.75
	case f.left > 0 && f.left < soonLeft: // there is an attempt before the end, however long it has failed
		limit = min(backoffCapSoon, max(f.left/2, attemptSpacing/2))
	}
	wait := limit
	if n := f.count - 1; n < 10 {
		wait = min(limit, first<<n)
	}
	wait = time.Duration(float64(wait) * (least + (1-least)*r))
	return max(wait, min(f.retryAfter, retryAfterCap))
}

// spacing is the least time between a success and the next attempt, so that an
// upstream which hands out nearly ended credentials is not asked in a hot loop.
func spacing(total time.Duration) time.Duration {
	return min(max(total/3, time.Second), shortestRefresh)
}

// unchangedWait is the time to the next attempt when upstream answered with the
// very set that is held: a part of what is left, since it will rotate some time
// before the end.
func unchangedWait(left time.Duration) time.Duration {
	return min(max(left/4, shortestRefresh), 15*time.Minute)
}
