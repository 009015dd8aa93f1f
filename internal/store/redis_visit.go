package store

import (
	"context"
	crand "crypto/rand"
	"math/rand/v2"
	"time"

	"rolecall/internal/creds"
)

const (
	herdHold  = 10 * time.Second // the lock lapses by itself after this
	herdWait  = 2 * time.Second  // then a waiter goes alone
	pollFirst = 20 * time.Millisecond
	pollLast  = 200 * time.Millisecond

	redisPrefix = "rolecall:"
)

// The scripts look at no more of a value than an entry can have, so that a
// huge one does no harm here.
const (
	// takeScript returns the value of KEYS[1] if it is another than ARGV[1],
	// which was judged already. Otherwise it tries for the lock KEYS[2] and
	// returns 1 or 0.
	takeScript = `
local v = redis.call('GETRANGE', KEYS[1], 0, ARGV[4])
if v ~= '' and v ~= ARGV[1] then return v end
if redis.call('SET', KEYS[2], ARGV[2], 'NX', 'PX', ARGV[3]) then return 1 end
return 0`

	// keepScript writes ARGV[1] for ARGV[2] ms, unless something that lives
	// longer has come there since ARGV[3] was judged, and lets go of the lock.
	keepScript = `
local v = redis.call('GETRANGE', KEYS[1], 0, ARGV[5])
if v == '' or v == ARGV[3] or redis.call('PTTL', KEYS[1]) < tonumber(ARGV[2]) then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
end
if redis.call('GET', KEYS[2]) == ARGV[4] then redis.call('DEL', KEYS[2]) end
return 1`

	// leaveScript deletes the lock if it is ours.
	leaveScript = `
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0`
)

// visit is one Update's dealings with the server.
type visit struct {
	*Redis
	name  string
	fresh func(creds.Credentials) bool

	judged string // the value last seen, not good enough
	token  string // of the lock; "" unless it may be ours
	alone  bool   // the server failed us: nothing more is asked of it
}

// The keys of one entry lie in one slot of a cluster.
func entryKey(name string) string { return redisPrefix + "{" + name + "}" }
func lockKey(name string) string  { return entryKey(name) + ":lock" }

// look returns what is kept, if it is good. Otherwise it returns with the lock,
// or without it after having waited, or at once where the server fails.
func (v *visit) look(ctx context.Context) (creds.Credentials, bool) {
	var value string
	err := v.ask(ctx, func(ctx context.Context) (err error) {
		value, err = v.client.GetRange(ctx, entryKey(v.name), 0, maxSealed).Result()
		return err
	})
	if err != nil {
		v.alone = true
		return creds.Credentials{}, false
	}
	if c, ok := v.approve(value); ok {
		return c, true
	}
	token := crand.Text()
	deadline := time.Now().Add(v.wait)
	for pause := pollFirst; ; pause = min(pause*3/2, pollLast) {
		value, locked, err := v.take(ctx, token)
		if err != nil {
			v.alone = true
			return creds.Credentials{}, false
		}
		if c, ok := v.approve(value); ok {
			return c, true
		}
		if locked {
			v.token = token
			return creds.Credentials{}, false
		}
		left := time.Until(deadline)
		if left <= 0 {
			return creds.Credentials{}, false
		}
		// Spread, so that many who wait do not ask in step.
		if !sleep(ctx, min(left, time.Duration(float64(pause)*(0.5+rand.Float64())))) {
			return creds.Credentials{}, false
		}
	}
}

func (v *visit) approve(value string) (c creds.Credentials, ok bool) {
	if value == "" {
		return c, false
	}
	if c, ok = v.judge(v.name, value); ok && v.fresh(c) {
		return c, true
	}
	v.judged = value
	return creds.Credentials{}, false
}

// take is the herd lock: the other's value if one has come, or else whether the
// lock is ours now.
func (v *visit) take(ctx context.Context, token string) (value string, locked bool, err error) {
	err = v.ask(ctx, func(ctx context.Context) error {
		answer, err := v.client.Eval(ctx, takeScript, []string{entryKey(v.name), lockKey(v.name)},
			v.judged, token, herdHold.Milliseconds(), maxSealed).Result()
		value, _ = answer.(string)
		locked = answer == int64(1)
		return err
	})
	return value, locked, err
}

// keep writes what upstream answered, for as long as it lives, and lets go of
// the lock in the same step.
func (v *visit) keep(c creds.Credentials) {
	if !c.CanExpire() || c.Check() != nil {
		return // without an end the server would keep it for ever
	}
	v.remember(v.name, c.Expires)
	life := c.Lifetime(v.now())
	if v.alone || life < time.Second {
		return
	}
	sealed, err := v.sealer.Seal(v.name, c)
	if err != nil {
		v.warn.tell("seal", "credentials could not be sealed for the shared store")
		return
	}
	// Whoever asked may have gone meanwhile; what came is worth keeping.
	err = v.ask(context.Background(), func(ctx context.Context) error {
		return v.client.Eval(ctx, keepScript, []string{entryKey(v.name), lockKey(v.name)},
			sealed, life.Milliseconds(), v.judged, v.token, maxSealed).Err()
	})
	v.token, v.alone = "", err != nil
}

// leave lets go of the lock if it is still held: upstream failed, and the next
// may try at once.
func (v *visit) leave() {
	if v.token == "" || v.alone {
		return
	}
	_ = v.ask(context.Background(), func(ctx context.Context) error {
		return v.client.Eval(ctx, leaveScript, []string{lockKey(v.name)}, v.token).Err()
	})
	v.token = ""
}

// sleep waits for d; false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
