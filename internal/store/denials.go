package store

import (
	"errors"
	"rolecall/internal/usererr"
	"sync"
	"time"
)

// denials remembers which keys upstream has denied. One denial may be IAM that
// has not spread yet; after a second one, a while later, what is kept must go:
// else it would come back once a slot has dropped it for the same reason.
type denials struct {
	mu    sync.Mutex // guards of and swept
	of    map[string]denial
	swept int // how many there were after the last sweep
}

// denial is what is known of one key.
type denial struct {
	since time.Time // of the first denial in a row; zero: the last fetch failed in another way
	told  time.Time // when it was last heard of
	lost  bool      // told has said to drop what is kept, and upstream has given nothing since
}

// grace is a little less than slots give, so that nothing is left when they ask.
const grace = 55 * time.Second

// over says that whatever was kept at the time has ended by now.
func (n denial) over(now time.Time) bool { return now.Sub(n.told) > sweepAfter }

// told takes the end of a fetch and says whether to drop what is kept.
func (d *denials) told(key string, err error, now time.Time) (drop bool) {
	var e *usererr.Error
	denied := errors.As(err, &e) && e.Code == usererr.AccessDenied
	d.mu.Lock()
	defer d.mu.Unlock()
	n := d.of[key]
	switch {
	case err == nil || !denied && !n.lost:
		delete(d.of, key)
		return false
	case !denied: // no longer in a row; but an outage gives nothing back that was taken away
		n.since = time.Time{}
	case n.since.IsZero():
		n.since = now
	default:
		drop = now.Sub(n.since) >= grace
		n.lost = n.lost || drop
	}
	d.setLocked(key, n, now)
	return drop
}

// given takes what another process was given at that time: then what was denied
// before is no longer so.
func (d *denials) given(key string, at time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if n, ok := d.of[key]; ok && at.After(n.told) {
		delete(d.of, key)
	}
}

// lasting says whether told has said to drop what is kept, and upstream has given
// nothing since.
func (d *denials) lasting(key string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.of[key].lost
}

// lose is what told does when it says to drop what is kept.
func (d *denials) lose(key string, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := d.of[key]
	n.lost = true
	d.setLocked(key, n, now)
}

// setLocked also drops what is over: keys that were asked for once must not
// stay for ever.
func (d *denials) setLocked(key string, n denial, now time.Time) {
	if d.of == nil {
		d.of = map[string]denial{}
	}
	if sweepDue(len(d.of), d.swept) {
		for k, old := range d.of {
			if old.over(now) {
				delete(d.of, k)
			}
		}
		d.swept = len(d.of)
	}
	n.told = now
	d.of[key] = n
}
