package store

import (
	"errors"
	"sync"
	"time"

	"rolecall/internal/creds"
)

// denials remembers which keys upstream has denied. One denial may be IAM that
// has not spread yet; after a second one, a while later, what is kept must go:
// else it would come back once a slot has dropped it for the same reason.
type denials struct {
	mu    sync.Mutex // guards first
	first map[string]time.Time
}

// grace is a little less than slots give, so that nothing is left when they ask.
const grace = 55 * time.Second

// told takes the end of a fetch and says whether to drop what is kept.
func (d *denials) told(key string, err error, now time.Time) (drop bool) {
	var e *creds.RetrieveError
	denied := errors.As(err, &e) && e.Code == creds.AccessDenied
	d.mu.Lock()
	defer d.mu.Unlock()
	first, before := d.first[key]
	switch {
	case !denied:
		delete(d.first, key)
	case before:
		return now.Sub(first) >= grace
	default:
		if d.first == nil {
			d.first = map[string]time.Time{}
		}
		d.first[key] = now
	}
	return false
}
