package slot

import (
	"time"

	"rolecall/internal/creds"
	"rolecall/internal/usererr"
)

// Held is one set of credentials in a slot. It never changes: a refresh swaps
// the pointer, so a reader has the old set or the new one and never a mixture.
type Held struct {
	Credentials creds.Credentials
	Expires     time.Time // as told to clients; also set for credentials that never end
	Prepared    any       // what Config.Prepare made of it
	life        life
	static      bool
}

var (
	errUnchanged = &usererr.Error{Code: usererr.Unavailable, Msg: "the source goes on answering with credentials that have ended"}
	errIdentity  = &usererr.Error{Code: usererr.NotConfigured,
		Msg:  "the source now answers for another account or role, which is not handed out in place of the one that was loaded",
		Hint: "rolecall load it again to accept the new identity"}
)

// accept judges what a source answered against what is or was held: complete,
// not ended, of the same account and role, later than the old.
func (t *Table) accept(c creds.Credentials, fetched bool, rotates time.Duration, was creds.Credentials, old *Held, now Moment) (*Held, error) {
	if err := c.Check(); err != nil {
		return nil, &usererr.Error{Code: usererr.Unavailable, Msg: "the source answered with incomplete credentials: " + oneLine(err)}
	}
	h := &Held{Credentials: c, Expires: c.Expires, static: !c.CanExpire()}
	observed := c.ObservedAt
	if h.static {
		h.Expires, observed = now.Wall.Add(StaticTold), time.Time{}
	}
	h.life = newLife(h.Expires, observed, fetched, rotates, now, t.random())
	left := h.life.remaining(now)
	if left <= 0 {
		return nil, &usererr.Error{Code: usererr.Unavailable, Msg: "the source answered with credentials that have ended already",
			Hint: "check the clock of this machine and of the source"}
	}
	if !c.SameIdentity(was) {
		return nil, errIdentity
	}
	if old != nil && !h.static && !old.static {
		gain := left - old.life.remaining(now)
		if c.AccessKeyID == old.Credentials.AccessKeyID && gain <= 0 || gain < -wireSecond {
			return nil, errUnchanged
		}
	}
	h.Prepared = t.prepare(c, h.Expires)
	return h, nil
}

// wireSecond is the grain of expiries on the wire: a new set of a moment later
// may seem to end a little earlier.
const wireSecond = time.Second

// prolong is the same never-ending set with a new told expiry.
func (t *Table) prolong(old *Held, now Moment) *Held {
	h := &Held{Credentials: old.Credentials, Expires: now.Wall.Add(StaticTold), static: true}
	h.life = newLife(h.Expires, time.Time{}, true, 0, now, t.random())
	h.Prepared = t.prepare(h.Credentials, h.Expires)
	return h
}

func oneLine(err error) string {
	var b []byte
	for _, r := range err.Error() {
		if r == '\n' {
			b = append(b, "; "...)
			continue
		}
		b = append(b, string(r)...)
	}
	return string(b)
}
