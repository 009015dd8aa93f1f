package slot

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"rolecall/internal/creds"
	"rolecall/internal/usererr"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func TestRefreshBelow(t *testing.T) {
	for _, c := range []struct{ total, low, high time.Duration }{
		{30 * time.Second, 13500 * time.Millisecond, 16500 * time.Millisecond},
		{15 * time.Minute, 405 * time.Second, 495 * time.Second},
		{50 * time.Minute, 1350 * time.Second, 1650 * time.Second},
		{time.Hour, 27 * time.Minute, 33 * time.Minute},
		{time.Hour - 2*time.Second, 27 * time.Minute, 33 * time.Minute}, // an hour as it arrives
		{6 * time.Hour, 162 * time.Minute, 198 * time.Minute},
		{12 * time.Hour, 324 * time.Minute, 396 * time.Minute},
	} {
		for _, r := range []float64{0, 0.25, 0.5, 0.999999} {
			got := refreshBelow(c.total, 0, r)
			if got < c.low-time.Second || got > c.high+time.Second {
				t.Errorf("%v with r=%v: refresh with %v left, want %v to %v", c.total, r, got, c.low, c.high)
			}
			if c.total >= longLife && got < leastLeft {
				t.Errorf("%v with r=%v: refresh with only %v left", c.total, r, got)
			}
		}
	}
}

func TestStates(t *testing.T) {
	l := newLife(epoch.Add(time.Hour), epoch, true, 0, Moment{epoch, 0}, 0.5)
	at := func(left time.Duration) Moment { return Moment{epoch.Add(time.Hour - left), time.Hour - left} }
	for _, c := range []struct {
		left     time.Duration
		state    State
		patience time.Duration
	}{
		{time.Hour, Valid, 0}, {30*time.Minute + 1, Valid, 0}, {30 * time.Minute, Advisory, 0}, {2 * time.Minute, Advisory, 0},
		{2*time.Minute - 1, Mandatory, mandatoryPatience}, {15 * time.Second, Mandatory, mandatoryPatience},
		{15*time.Second - 1, Mandatory, coldPatience}, {1, Mandatory, coldPatience}, {0, Expired, coldPatience}, {-time.Hour, Expired, coldPatience},
	} {
		if s, p := l.state(at(c.left)), l.patience(at(c.left)); s != c.state || p != c.patience {
			t.Errorf("%v left: %v, patience %v; want %v, %v", c.left, s, p, c.state, c.patience)
		}
	}
}

func TestRemainingByTwoClocks(t *testing.T) {
	start := Moment{epoch, 10 * time.Hour}
	for _, c := range []struct {
		name       string
		observed   time.Time // upstream's clock; zero: not told
		fetched    bool
		wall, boot time.Duration // passed by each clock
		want       time.Duration
	}{
		{"both agree", epoch, true, 10 * time.Minute, 10 * time.Minute, 50 * time.Minute},
		{"wall stepped ahead", epoch, true, 70 * time.Minute, 10 * time.Minute, 50 * time.Minute},
		{"wall stepped back", epoch, true, -50 * time.Minute, 10 * time.Minute, 50 * time.Minute},
		{"wall drifted", epoch, true, 10*time.Minute + 30*time.Second, 10 * time.Minute, 49*time.Minute + 30*time.Second},
		{"wall wrong from the start", epoch.Add(time.Hour), true, 0, 0, time.Hour},
		{"not told, wall stepped ahead", time.Time{}, true, 70 * time.Minute, 10 * time.Minute, -10 * time.Minute},
		{"not told, wall stepped back", time.Time{}, true, -50 * time.Minute, 10 * time.Minute, 50 * time.Minute},
		{"kept for half an hour", epoch.Add(-30 * time.Minute), false, 10 * time.Minute, 10 * time.Minute, 50 * time.Minute},
	} {
		expires := epoch.Add(time.Hour)
		if c.name == "wall wrong from the start" {
			expires = epoch.Add(2 * time.Hour)
		}
		l := newLife(expires, c.observed, c.fetched, 0, start, 0.5)
		if got := l.remaining(Moment{epoch.Add(c.wall), 10*time.Hour + c.boot}); got != c.want {
			t.Errorf("%s: %v left, want %v", c.name, got, c.want)
		}
	}
}

func TestBackoff(t *testing.T) {
	for _, c := range []struct {
		name      string
		f         failure
		low, high time.Duration
	}{
		{"first, warm", failure{usererr.Unavailable, 1, time.Hour, 0}, 500 * time.Millisecond, time.Second},
		{"fourth, warm", failure{usererr.Unavailable, 4, time.Hour, 0}, 4 * time.Second, 8 * time.Second},
		{"hundredth, warm", failure{usererr.Unavailable, 100, time.Hour, 0}, 30 * time.Second, time.Minute},
		{"hundredth, soon to end", failure{usererr.Unavailable, 100, 4 * time.Minute, 0}, 7500 * time.Millisecond, 15 * time.Second},
		{"third, 3.8 s before the end", failure{usererr.Unavailable, 3, 3800 * time.Millisecond, 0}, 950 * time.Millisecond, 1900 * time.Millisecond},
		{"hundredth, just before the end", failure{usererr.Unavailable, 100, 100 * time.Millisecond, 0}, 250 * time.Millisecond, 500 * time.Millisecond},
		{"fifth, cold", failure{usererr.Unavailable, 5, 0, 0}, time.Second, 2 * time.Second},
		{"hundredth, cold", failure{usererr.Unavailable, 100, 0, 0}, 30 * time.Second, time.Minute},
		{"throttled", failure{usererr.Throttled, 1, time.Hour, 0}, 2500 * time.Millisecond, 5 * time.Second},
		{"throttled, told 30 s", failure{usererr.Throttled, 1, time.Hour, 30 * time.Second}, 30 * time.Second, 30 * time.Second},
		{"throttled, told an hour", failure{usererr.Throttled, 1, time.Hour, time.Hour}, 5 * time.Minute, 5 * time.Minute},
		{"denied", failure{usererr.AccessDenied, 1, time.Hour, 0}, time.Minute, time.Minute},
		{"denied again", failure{usererr.AccessDenied, 2, 0, 0}, 5 * time.Minute, 5 * time.Minute},
		{"login", failure{usererr.LoginRequired, 1, 0, 0}, time.Minute, time.Minute},
		{"internal", failure{usererr.Internal, 1, time.Hour, 0}, 500 * time.Millisecond, time.Second},
	} {
		for _, r := range []float64{0, 0.5, 0.999999} {
			if got := backoff(c.f, r); got < c.low || got > c.high {
				t.Errorf("%s with r=%v: %v, want %v to %v", c.name, r, got, c.low, c.high)
			}
		}
	}
}

func TestRateLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l limiter
		start := time.Now()
		var mu sync.Mutex
		var order []priority
		var wg sync.WaitGroup
		for i := range 60 {
			wg.Go(func() {
				p := []priority{ahead, soon, cold}[i%3]
				release, err := l.acquire(context.Background(), "sts/eu-west-1", p)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				order = append(order, p)
				mu.Unlock()
				time.Sleep(100 * time.Millisecond)
				release()
			})
		}
		wg.Wait()
		if took := time.Since(start); took < 10*time.Second || took > 11*time.Second {
			t.Errorf("60 calls took %v; 10 at once and then 5 a second make 10 s", took)
		}
		for i := 20; i < len(order); i++ { // the first went as they came
			if order[i] < order[i-1] {
				t.Fatalf("a %v before a %v at %d: %v", order[i-1], order[i], i, order)
			}
		}
	})
}

func TestRateLimitGivesUpItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l limiter
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(context.Background(), time.Second)
				defer cancel()
				if release, err := l.acquire(ctx, "u", ahead); err == nil {
					release()
				}
			})
		}
		wg.Wait()
		time.Sleep(3 * time.Second) // the bucket is full again
		if b := l.bucket("u"); len(b.waiting) != 0 || b.flying != 0 {
			t.Errorf("%d wait, %d fly", len(b.waiting), b.flying)
		}
		for range upstreamBurst {
			release, err := l.acquire(context.Background(), "u", cold)
			if err != nil {
				t.Fatal(err)
			}
			release()
		}
	})
}

func TestStoreIsAskedFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &upstream{lifetime: time.Hour}
		kept := creds.Credentials{AccessKeyID: "ASIAKEPT00000001", SecretAccessKey: creds.NewSecret("s"), SessionToken: creds.NewSecret("t"),
			Expires: time.Now().Add(50 * time.Minute), ObservedAt: time.Now().Add(-10 * time.Minute)}
		b := newBench(t, func(c *Config) { c.Store = &memoryStore{c: kept} })
		b.Configure("x", spec(u))
		if h := b.mustRead("x"); h.Credentials.AccessKeyID != kept.AccessKeyID || u.count() != 0 {
			t.Errorf("%v after %d calls", h.Credentials.MaskedKeyID(), u.count())
		}
		time.Sleep(24 * time.Minute) // half of the full hour, though it was received ten minutes in
		if u.count() != 1 {
			t.Errorf("%d calls by the time of the refresh", u.count())
		}
		if left := time.Until(b.mustRead("x").Expires); left < 25*time.Minute {
			t.Errorf("%v left", left)
		}
	})
}

// memoryStore is a Store of one entry.
type memoryStore struct {
	mu sync.Mutex
	c  creds.Credentials
}

func (m *memoryStore) Update(ctx context.Context, _ string, fresh func(creds.Credentials) bool, fetch func(context.Context) (creds.Credentials, error)) (creds.Credentials, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if fresh(m.c) {
		return m.c, false, nil
	}
	c, err := fetch(ctx)
	if err == nil {
		m.c = c
	}
	return c, true, err
}
