package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"rolecall/internal/creds"
)

// RedisConfig says where the fleet's store is. URL and Sealer are needed.
type RedisConfig struct {
	URL                  string           // redis://, rediss:// and their -sentinel and -cluster kinds; see parseRedisURL
	PasswordFile         string           // private file with the password, read anew for each connection; "": none
	SentinelPasswordFile string           // the same, for the sentinels themselves; read once
	CAFile               string           // PEM certificates that a TLS server is verified by; "": the system's
	Sealer               *Sealer          // of the store key that the whole fleet has
	Warn                 func(string)     // told of trouble, at most once a minute for each kind; nil: nobody. Must not block
	Now                  func() time.Time // wall clock that lifetimes are judged by; nil: time.Now
}

// Redis shares credentials through a Redis or Valkey server. The server sees
// neither keys nor names. It may be slow, gone, emptied or hostile: then each
// process asks upstream for itself, at most 0.3 s later. It is safe for
// concurrent use.
type Redis struct {
	client  redis.UniversalClient
	sealer  *Sealer
	now     func() time.Time
	warn    *warner
	breaker breaker

	patience time.Duration // for one operation
	wait     time.Duration // for another process that asks upstream

	denied denials

	mu     sync.Mutex           // guards newest
	newest map[string]time.Time // name → expiry of the newest set seen
}

const (
	redisPatience = 100 * time.Millisecond
	redisDial     = time.Second // goes on aside of the operation that needed it
	redisConns    = 8           // per process and server
	newestSwept   = 256         // names remembered before ended ones are dropped
)

// NewRedis returns the store at c.URL. It fails for faulty settings only: the
// server is not asked for anything yet. Close it in the end.
func NewRedis(c RedisConfig) (*Redis, error) {
	if c.Sealer == nil {
		return nil, errors.New("the shared store needs a store key")
	}
	o, err := redisOptions(c)
	if err != nil {
		return nil, err
	}
	o.DialTimeout, o.DialerRetries = redisDial, 1
	o.ReadTimeout, o.WriteTimeout, o.PoolTimeout = redisDial, redisDial, redisDial // the context is earlier
	o.ContextTimeoutEnabled = true
	o.MaxRetries, o.PoolSize = -1, redisConns
	o.DisableIdentity, o.Protocol = true, 2
	logging.Disable() // the library writes to stderr, for the whole process; we tell what matters
	if c.Now == nil {
		c.Now = time.Now
	}
	r := &Redis{client: redis.NewUniversalClient(o), sealer: c.Sealer, now: c.Now, warn: newWarner(c.Warn, c.Now),
		patience: redisPatience, wait: herdWait, newest: map[string]time.Time{}}
	if o.TLSConfig == nil && !allLoopback(o.Addrs) {
		r.warn.tell("plain", "the shared store is reached without TLS: entries are sealed, but its password is not; use rediss:// in place of redis://")
	}
	return r, nil
}

// Close ends the connections.
func (r *Redis) Close() error { return r.client.Close() }

// Update is slot.Store's: what is kept under key if fresh approves of it, else
// what fetch returns, which is then kept for its lifetime. Of all processes
// that share the server one calls fetch at a time, as far as the server is
// there to agree on it; the others wait up to 2 s for the outcome. What upstream
// has denied to this process for good is not taken from others either: it stays
// theirs.
func (r *Redis) Update(ctx context.Context, key string, fresh func(creds.Credentials) bool,
	fetch Fetch) (creds.Credentials, bool, error) {
	v := &visit{Redis: r, name: r.sealer.Name(key), fresh: fresh}
	if !r.denied.lasting(v.name) {
		if c, ok := v.look(ctx); ok {
			r.denied.given(v.name, c.ObservedAt)
			return c, false, nil
		}
	}
	defer v.leave() // also when fetch panics
	c, err := fetch(ctx)
	r.denied.told(v.name, err, r.now())
	if err == nil {
		v.keep(c)
	}
	return c, true, err
}

// errAside says that the breaker keeps us from asking.
var errAside = errors.New("the shared store is left aside for now")

// ask runs one operation on the server: within its patience, and not at all
// while the breaker is open.
func (r *Redis) ask(ctx context.Context, operation func(context.Context) error) error {
	if !r.breaker.enter(time.Now()) {
		return errAside
	}
	limited, cancel := context.WithTimeout(ctx, r.patience)
	defer cancel()
	err := operation(limited)
	switch {
	case err == nil || errors.Is(err, redis.Nil):
		if r.breaker.leave(time.Now(), succeeded) {
			r.warn.tell("up", "the shared store answers again")
		}
		return nil
	case ctx.Err() != nil: // who asked has gone: that says nothing of the server
		r.breaker.leave(time.Now(), unknown)
		return ctx.Err()
	}
	r.breaker.leave(time.Now(), failed)
	r.warn.tell("down", "the shared store "+redisTrouble(err)+"; going on without it")
	return err
}

// judge opens what the server returned for name. Only what was sealed by one of
// us for this name, and is no older than what was seen here before, is good.
func (r *Redis) judge(name, sealed string) (c creds.Credentials, ok bool) {
	c, err := r.sealer.Open(name, []byte(sealed))
	if err == nil && !c.CanExpire() {
		err = ErrCorrupt // none of us keeps such
	}
	if err != nil {
		r.warn.tell("entry", fmt.Sprintf("an entry of the shared store was refused: %v", err))
		return creds.Credentials{}, false
	}
	now := r.now()
	if c.Remaining(now) <= 0 {
		return creds.Credentials{}, false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if seen := r.newest[name]; c.Expires.Before(seen) {
		r.warn.tell("older", "an entry of the shared store was refused: it is older than one seen before")
		return creds.Credentials{}, false
	}
	r.rememberLocked(name, c.Expires, now)
	return c, true
}

// remember notes what upstream itself has said: an earlier expiry than before
// counts too.
func (r *Redis) remember(name string, expires time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rememberLocked(name, expires, r.now())
}

// seen notes what others may have replaced by a later one since.
func (r *Redis) seen(name string, expires time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if expires.After(r.newest[name]) {
		r.rememberLocked(name, expires, r.now())
	}
}

func (r *Redis) rememberLocked(name string, expires, now time.Time) {
	r.newest[name] = expires
	if len(r.newest)%newestSwept != 0 {
		return
	}
	for n, e := range r.newest {
		if !e.After(now) {
			delete(r.newest, n)
		}
	}
}
