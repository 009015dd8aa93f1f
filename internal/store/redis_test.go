package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"rolecall/internal/creds"
	"rolecall/internal/usererr"
	"rolecall/test/faults"
	"rolecall/test/figure"
)

func redisSealer(t testing.TB, seed byte) *Sealer {
	t.Helper()
	s, err := NewSealer(bytes.Repeat([]byte{seed}, KeySize))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// warnings are what a store warned of.
type warnings struct {
	mu  sync.Mutex
	all []string
}

func (w *warnings) add(text string) { w.mu.Lock(); defer w.mu.Unlock(); w.all = append(w.all, text) }

func (w *warnings) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.all, "\n")
}

// openRedis opens a store that is as patient as a loaded machine needs; tests
// of latency set change.
func openRedis(t testing.TB, c RedisConfig) *Redis {
	t.Helper()
	if c.Sealer == nil {
		c.Sealer = redisSealer(t, 1)
	}
	r, err := NewRedis(c)
	if err != nil {
		t.Fatal(err)
	}
	r.patience, r.wait = 5*time.Second, 30*time.Second
	t.Cleanup(func() { _ = r.Close() })
	return r
}

// redisUpstream counts calls and answers with a new set each time.
type redisUpstream struct {
	calls atomic.Int32
	delay time.Duration
	life  time.Duration // zero: one hour
	fail  error
}

func (u *redisUpstream) fetch(ctx context.Context) (creds.Credentials, error) {
	n := u.calls.Add(1)
	if u.delay > 0 && !sleep(ctx, u.delay) {
		return creds.Credentials{}, ctx.Err()
	}
	if u.fail != nil {
		return creds.Credentials{}, u.fail
	}
	life := u.life
	if life == 0 {
		life = time.Hour
	}
	return redisSet(fmt.Sprintf("ASIACANARY%08d", n), life), nil
}

func redisSet(id string, life time.Duration) creds.Credentials {
	now := time.Now().UTC().Round(0)
	return creds.Credentials{AccessKeyID: id, SecretAccessKey: creds.NewSecret("CANARYsecret"), SessionToken: creds.NewSecret("CANARYtoken"),
		Expires: now.Add(life), ObservedAt: now, AccountID: "123456789012", RoleName: "CANARYrole", Source: "profile:CANARYprofile"}
}

func anyGood(creds.Credentials) bool  { return true }
func noneGood(creds.Credentials) bool { return false }

func laterThan(old creds.Credentials) func(creds.Credentials) bool {
	return func(c creds.Credentials) bool { return c.Expires.After(old.Expires) }
}

func sameSet(a, b creds.Credentials) bool {
	return a.AccessKeyID == b.AccessKeyID && a.Expires.Equal(b.Expires) && a.ObservedAt.Equal(b.ObservedAt) &&
		a.SecretAccessKey.Reveal() == b.SecretAccessKey.Reveal() && a.SessionToken.Reveal() == b.SessionToken.Reveal() && a.SameIdentity(b) && a.Source == b.Source
}

func mustUpdate(t testing.TB, r *Redis, key string, fresh func(creds.Credentials) bool, u *redisUpstream) (creds.Credentials, bool) {
	t.Helper()
	c, fetched, err := r.Update(context.Background(), key, fresh, u.fetch)
	if err != nil {
		t.Fatal(err)
	}
	return c, fetched
}

func TestRedisShares(t *testing.T) {
	server := miniredis.RunT(t)
	url := "redis://" + server.Addr()
	u := &redisUpstream{}
	a, b, stranger := openRedis(t, RedisConfig{URL: url}), openRedis(t, RedisConfig{URL: url}), openRedis(t, RedisConfig{URL: url, Sealer: redisSealer(t, 2)})
	first, fetched := mustUpdate(t, a, "CANARYkey", anyGood, u)
	if !fetched {
		t.Fatal("nothing was asked although the store is empty")
	}
	got, fetched := mustUpdate(t, b, "CANARYkey", anyGood, u)
	if fetched || !sameSet(got, first) {
		t.Errorf("fetched %v, got %v, want %v", fetched, got, first)
	}
	if _, fetched := mustUpdate(t, b, "another", anyGood, u); !fetched {
		t.Error("another key has the same entry")
	}
	if _, fetched := mustUpdate(t, stranger, "CANARYkey", anyGood, u); !fetched {
		t.Error("another store key opens the entry")
	}
	if got, fetched := mustUpdate(t, a, "CANARYkey", laterThan(first), u); !fetched || sameSet(got, first) {
		t.Error("what fresh refuses was returned")
	}
	if u.calls.Load() != 4 {
		t.Errorf("%d calls", u.calls.Load())
	}
	key := entryKey(a.sealer.Name("CANARYkey"))
	if ttl := server.TTL(key); ttl < 59*time.Minute || ttl > time.Hour {
		t.Errorf("kept for %v, want the lifetime", ttl)
	}
	if dump := server.Dump(); strings.Contains(dump, "CANARY") || strings.Contains(dump, "123456789012") || strings.Contains(dump, ":lock") {
		t.Errorf("the server knows too much, or a lock was left:\n%q", dump)
	}

	list, err := a.List(t.Context())
	if err != nil || len(list) != 2 || list[0].Source != "profile:CANARYprofile" || list[0].Problem != "" {
		t.Errorf("list: %+v, %v", list, err)
	}
	if n, err := a.Clear(t.Context(), "profile:other"); n != 0 || err != nil {
		t.Error(n, err)
	}
	if n, err := a.Clear(t.Context(), ""); n != 2 || err != nil {
		t.Error(n, err)
	}
	if list, err := stranger.List(t.Context()); len(list) != 1 || err != nil {
		t.Errorf("clearing took another fleet's: %v, %v", list, err)
	}
	if _, fetched := mustUpdate(t, b, "CANARYkey", anyGood, u); !fetched {
		t.Error("cleared and still there")
	}
}

func TestRedisKeepsOnlyWhatEnds(t *testing.T) {
	server := miniredis.RunT(t)
	r := openRedis(t, RedisConfig{URL: "redis://" + server.Addr()})
	for name, change := range map[string]func(*creds.Credentials){
		"static":     func(c *creds.Credentials) { c.Expires, c.SessionToken = time.Time{}, creds.Secret{} },
		"ended":      func(c *creds.Credentials) { c.Expires = c.ObservedAt },
		"incomplete": func(c *creds.Credentials) { c.AccessKeyID = "" },
	} {
		want := redisSet("ASIACANARY", time.Hour)
		change(&want)
		c, fetched, err := r.Update(t.Context(), name, anyGood, func(context.Context) (creds.Credentials, error) { return want, nil })
		if c != want || !fetched || err != nil {
			t.Errorf("%s: %v, %v, %v", name, c, fetched, err)
		}
	}
	if keys := server.Keys(); len(keys) != 0 {
		t.Errorf("kept or locked: %q", keys)
	}
}

func TestRedisErrorsAreUpstreams(t *testing.T) {
	server := miniredis.RunT(t)
	r := openRedis(t, RedisConfig{URL: "redis://" + server.Addr()})
	want := &usererr.Error{Code: usererr.AccessDenied}
	if _, _, err := r.Update(t.Context(), "x", anyGood, (&redisUpstream{fail: want}).fetch); err != want {
		t.Errorf("%v", err)
	}
	func() {
		defer func() { _ = recover() }()
		_, _, _ = r.Update(t.Context(), "x", anyGood, func(context.Context) (creds.Credentials, error) { panic("x") })
	}()
	if keys := server.Keys(); len(keys) != 0 {
		t.Errorf("locks left behind: %q", keys)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := r.Update(ctx, "x", anyGood, func(ctx context.Context) (creds.Credentials, error) { return creds.Credentials{}, ctx.Err() }); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if r.breaker.fails != 0 {
		t.Error("a client that went away was taken for a failing server")
	}
}

func TestRedisLaterExpiryWins(t *testing.T) {
	server := miniredis.RunT(t)
	r := openRedis(t, RedisConfig{URL: "redis://" + server.Addr()})
	u := &redisUpstream{life: 2 * time.Hour}
	var long creds.Credentials
	// While one that found nothing asks upstream, a longer one arrives.
	_, _, err := r.Update(t.Context(), "x", anyGood, func(ctx context.Context) (creds.Credentials, error) {
		server.FlushAll()
		long, _ = mustUpdate(t, openRedis(t, RedisConfig{URL: "redis://" + server.Addr()}), "x", anyGood, u)
		return redisSet("ASIASHORT", time.Hour), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, fetched := mustUpdate(t, r, "x", anyGood, u); fetched || !sameSet(got, long) {
		t.Errorf("fetched %v, %v, want the later one", fetched, got)
	}
}

func TestFigureRedisForged(t *testing.T) {
	server := miniredis.RunT(t)
	w := &warnings{}
	r := openRedis(t, RedisConfig{URL: "redis://" + server.Addr(), Warn: w.add})
	u := &redisUpstream{}
	mustUpdate(t, r, "x", anyGood, u)
	mustUpdate(t, r, "y", anyGood, u)
	name, other := r.sealer.Name("x"), r.sealer.Name("y")
	good, _ := server.Get(entryKey(name))
	swapped, _ := server.Get(entryKey(other))
	accepted, tried := 0, 0
	try := func(v string) {
		if v == good {
			return
		}
		tried++
		if _, ok := r.judge(name, v); ok {
			accepted++
		}
	}
	if _, ok := r.judge(name, good); !ok {
		t.Fatal("the genuine entry is refused, so the test tests nothing")
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range len(good) { // each bit, each truncation
		for bit := range 8 {
			b := []byte(good)
			b[i] ^= 1 << bit
			try(string(b))
		}
		try(good[:i])
		try(good[i:][:max(0, len(good)-i-1)])
	}
	for tried < 100_000 {
		b := []byte(good)
		switch rnd.IntN(4) {
		case 0: // several bytes
			for range 1 + rnd.IntN(8) {
				b[rnd.IntN(len(b))] = byte(rnd.Uint32())
			}
		case 1: // a piece of the other entry
			i := rnd.IntN(len(b))
			copy(b[i:], swapped[min(i, len(swapped)):])
		case 2: // something put in or taken out
			i := rnd.IntN(len(b))
			b = append(b[:i:i], append([]byte{byte(rnd.Uint32())}, b[min(len(b), i+rnd.IntN(3)):]...)...)
		case 3: // noise behind the header
			for i := headerSize; i < len(b); i++ {
				b[i] = byte(rnd.Uint32())
			}
		}
		try(string(b))
	}
	figure.Note(t, fmt.Sprintf("forged, truncated or mixed entries of the shared store: accepted of %d", tried), "0", fmt.Sprint(accepted), accepted > 0)
	faults.Record(t, 44, accepted == 0, "%d of %d mutations accepted; one put back that is older than what this machine has seen is refused, also by a process that has just started", accepted, tried)

	for what, v := range map[string]string{"swapped": swapped, "empty": "", "text": "hello", "huge": strings.Repeat("x", 8<<20),
		"foreign": string(mustSeal(t, redisSealer(t, 2), name, redisSet("ASIAX", time.Hour))), "static": string(mustSeal(t, r.sealer, name, creds.Credentials{AccessKeyID: "AKIAX", SecretAccessKey: creds.NewSecret("s")}))} {
		server.Set(entryKey(name), v)
		before := u.calls.Load()
		if _, fetched := mustUpdate(t, r, "x", anyGood, u); !fetched || u.calls.Load() != before+1 {
			t.Errorf("%s: accepted", what)
		}
		// It was replaced by a good one.
		if _, fetched := mustUpdate(t, openRedis(t, RedisConfig{URL: "redis://" + server.Addr()}), "x", anyGood, u); fetched {
			t.Errorf("%s: not replaced", what)
		}
	}
	if strings.Count(w.String(), "\n") != 0 || !strings.Contains(w.String(), "refused") || strings.Contains(w.String(), "CANARY") {
		t.Errorf("warned: %s", w)
	}
}

func mustSeal(t *testing.T, s *Sealer, name string, c creds.Credentials) []byte {
	t.Helper()
	b, err := s.Seal(name, c)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRedisRolledBack(t *testing.T) {
	server := miniredis.RunT(t)
	r := openRedis(t, RedisConfig{URL: "redis://" + server.Addr()})
	u := &redisUpstream{}
	old, _ := mustUpdate(t, r, "x", anyGood, u)
	key := entryKey(r.sealer.Name("x"))
	genuine, _ := server.Get(key)
	newer, _ := mustUpdate(t, r, "x", laterThan(old), u)
	server.Set(key, genuine)
	got, fetched := mustUpdate(t, r, "x", anyGood, u)
	if !fetched || !got.Expires.After(newer.Expires) {
		t.Errorf("an older entry was put back and accepted: %v", got)
	}
	// Upstream itself may give less than before.
	u.life = 10 * time.Minute
	short, _ := mustUpdate(t, r, "x", noneGood, u)
	server.Set(key, string(mustSeal(t, r.sealer, r.sealer.Name("x"), short)))
	if got, fetched := mustUpdate(t, r, "x", anyGood, u); fetched || !sameSet(got, short) {
		t.Errorf("fetched %v, %v", fetched, got)
	}
	// What is remembered is bounded.
	for i := range 5000 {
		r.remember(fmt.Sprint(i), time.Now().Add(-time.Second))
	}
	if len(r.newest) > 2*newestSwept {
		t.Errorf("%d names are remembered", len(r.newest))
	}
}

func TestBreaker(t *testing.T) {
	now := time.Now()
	var b breaker
	after := func(d time.Duration) { now = now.Add(d) }
	enter := func(want bool) {
		t.Helper()
		if got := b.enter(now); got != want {
			t.Errorf("entered: %v", got)
		}
	}
	for range 2 {
		enter(true)
		b.leave(now, failed)
	}
	enter(true)
	b.leave(now, succeeded) // the row is broken
	for range 3 {
		enter(true)
		b.leave(now, failed)
	}
	enter(false)
	after(breakerOpen - 1)
	enter(false)
	after(1)
	enter(true) // the probe
	enter(false)
	b.leave(now, failed)
	enter(false)
	after(breakerOpen)
	enter(true)
	b.leave(now, unknown) // whoever probed has gone: another may
	enter(true)
	enter(false)
	if !b.leave(now, succeeded) {
		t.Error("nobody is told that the server is back")
	}
	enter(true)
	if b.leave(now, succeeded) {
		t.Error("told twice")
	}
}

func TestRedisSettings(t *testing.T) {
	dir := t.TempDir()
	private := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, tt := range map[string]struct {
		c    RedisConfig
		want string // part of the error; "": fine
	}{
		"plain":           {RedisConfig{URL: "redis://127.0.0.1"}, ""},
		"all":             {RedisConfig{URL: "rediss://me@cache.example:1234/3", PasswordFile: private("p", "CANARY\n")}, ""},
		"valkey":          {RedisConfig{URL: "valkeys://[::1]:1"}, ""},
		"sentinel":        {RedisConfig{URL: "redis-sentinel://a,b:2/main/1", SentinelPasswordFile: private("q", "CANARY")}, ""},
		"cluster":         {RedisConfig{URL: "rediss-cluster://a,b,[fe80::1]:3"}, ""},
		"nothing":         {RedisConfig{}, "unknown scheme"},
		"http":            {RedisConfig{URL: "http://CANARY:CANARY@x"}, "unknown scheme"},
		"kind":            {RedisConfig{URL: "redis-ring://x"}, "unknown scheme"},
		"password":        {RedisConfig{URL: "redis://me:CANARY@x"}, "holds a password"},
		"password alone":  {RedisConfig{URL: "redis://:CANARY@x"}, "holds a password"},
		"password and @":  {RedisConfig{URL: "redis://me:CANA@RY@x"}, "holds a password"},
		"parameters":      {RedisConfig{URL: "redis://x?password=CANARY"}, "parameters"},
		"port":            {RedisConfig{URL: "redis://x:CANARY"}, "host or port"},
		"no host":         {RedisConfig{URL: "redis://"}, "host or port"},
		"two hosts":       {RedisConfig{URL: "redis://a,b"}, "several hosts"},
		"no master":       {RedisConfig{URL: "redis-sentinel://a"}, "names no master"},
		"database":        {RedisConfig{URL: "redis://a/CANARY"}, "no number"},
		"cluster path":    {RedisConfig{URL: "redis-cluster://a/1"}, "one database"},
		"CA without TLS":  {RedisConfig{URL: "redis://x", CAFile: private("ca", "x")}, "without TLS"},
		"CA of nothing":   {RedisConfig{URL: "rediss://x", CAFile: private("ca", "x")}, "no certificate"},
		"CA missing":      {RedisConfig{URL: "rediss://x", CAFile: filepath.Join(dir, "none")}, "CA file"},
		"empty password":  {RedisConfig{URL: "redis://x", PasswordFile: private("e", "\n")}, "is empty"},
		"no such file":    {RedisConfig{URL: "redis://x", PasswordFile: filepath.Join(dir, "none")}, "password file"},
		"sentinel's file": {RedisConfig{URL: "redis-sentinel://x/m", SentinelPasswordFile: filepath.Join(dir, "none")}, "password file"},
	} {
		t.Run(name, func(t *testing.T) {
			tt.c.Sealer = redisSealer(t, 1)
			r, err := NewRedis(tt.c)
			if err == nil {
				_ = r.Close()
			}
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("%v, want %q", err, tt.want)
			}
			var fault *SettingError
			if err != nil && (!errors.As(err, &fault) || fault.Hint() == "" || strings.Contains(err.Error()+fault.Hint(), "CANARY")) {
				t.Errorf("no hint, or a secret: %#v", err)
			}
		})
	}
	if _, err := NewRedis(RedisConfig{URL: "redis://127.0.0.1"}); err == nil {
		t.Error("a store without a key")
	}
	w := &warnings{}
	openRedis(t, RedisConfig{URL: "redis://127.0.0.1:1", Warn: w.add})
	openRedis(t, RedisConfig{URL: "rediss://cache.example:1", Warn: w.add})
	if w.String() != "" {
		t.Errorf("warned: %s", w)
	}
	if openRedis(t, RedisConfig{URL: "redis://cache.example:1", Warn: w.add}); !strings.Contains(w.String(), "without TLS") {
		t.Errorf("warned: %s", w)
	}
}

func FuzzRedisURL(f *testing.F) {
	for _, s := range []string{"redis://127.0.0.1:6379/1", "rediss://me@a", "redis-sentinel://a,[::1]:2/m/3", "redis-cluster://a,b", "redis://a:b@c", "valkey://%41@x", "://", "redis://,", "redis://[", "redis://a@b@c:d"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		o, secure, err := parseRedisURL(text)
		if err != nil {
			if o != nil || err.(*SettingError).Fix == "" {
				t.Errorf("%q: %v, %v", text, o, err)
			}
			return
		}
		head, _, _ := strings.Cut(text, "://")
		if len(o.Addrs) == 0 || o.Password != "" || secure != (strings.HasPrefix(strings.ToLower(head), "rediss") || strings.HasPrefix(strings.ToLower(head), "valkeys")) {
			t.Errorf("%q: %+v, %v", text, o, secure)
		}
		for _, a := range o.Addrs {
			if strings.ContainsAny(a, "@/ ") {
				t.Errorf("%q: address %q", text, a)
			}
		}
	})
}
