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
	mu    sync.Mutex // guards first and lost
	first map[string]time.Time
	lost  map[string]bool // keys of which told has said to drop what is kept
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
	case err == nil:
		delete(d.first, key)
		delete(d.lost, key)
	case !denied: // no longer in a row; but an outage gives nothing back that was taken away
		delete(d.first, key)
	case before:
		if drop = now.Sub(first) >= grace; drop {
			d.loseLocked(key)
		}
		return drop
	default:
		if d.first == nil {
			d.first = map[string]time.Time{}
		}
		d.first[key] = now
	}
	return false
}

// lasting says whether told has said to drop what is kept, and upstream has given
// nothing since.
func (d *denials) lasting(key string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.lost[key]
}

// lose is what told does when it says to drop what is kept.
func (d *denials) lose(key string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.loseLocked(key)
}

func (d *denials) loseLocked(key string) {
	if d.lost == nil {
		d.lost = map[string]bool{}
	}
	d.lost[key] = true
}
