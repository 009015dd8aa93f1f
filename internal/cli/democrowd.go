package cli

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"
)

// crowd is many clients of the demo's daemon, each with connections of its own
// as programs have.
type crowd struct {
	w       *demoWorld
	clients []*http.Client
}

func newCrowd(w *demoWorld, n int) *crowd {
	c := &crowd{w: w, clients: make([]*http.Client, n)}
	for i := range c.clients {
		c.clients[i] = &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{Proxy: nil, MaxIdleConns: 1}}
	}
	return c
}

// answer is what a client saw.
type answer struct {
	took    time.Duration
	keyID   string // its last four characters
	expires time.Time
	err     error
}

// ask does what an SDK does.
func (c *crowd) ask(ctx context.Context, client *http.Client, slot string) (a answer) {
	began := time.Now()
	defer func() { a.took = time.Since(began) }()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.w.url+pathOf(slot, ""), nil)
	if err != nil {
		return answer{err: err}
	}
	r.Header.Set("Authorization", c.w.token.Reveal())
	resp, err := client.Do(r)
	if err != nil {
		return answer{err: err}
	}
	defer func() { _ = resp.Body.Close() }()
	var body struct {
		AccessKeyID, SecretAccessKey, Token string
		Expiration                          time.Time
	}
	switch err := json.NewDecoder(resp.Body).Decode(&body); {
	case err != nil:
		return answer{err: err}
	case resp.StatusCode != http.StatusOK:
		return answer{err: errors.New(resp.Status)}
	case len(body.AccessKeyID) < 16 || body.SecretAccessKey == "" || body.Token == "":
		return answer{err: errors.New("incomplete credentials")}
	case !body.Expiration.After(time.Now()):
		return answer{err: errors.New("expired credentials")}
	}
	return answer{keyID: "…" + body.AccessKeyID[len(body.AccessKeyID)-4:], expires: body.Expiration}
}

// burstResult sums up what all clients saw.
type burstResult struct {
	answers, failures int
	took, median, p99 time.Duration
}

// burst lets every client ask for every slot as fast as it can.
func (c *crowd) burst(ctx context.Context, rounds int) burstResult {
	var all sync.WaitGroup
	took := make([][]time.Duration, len(c.clients))
	failed := make([]int, len(c.clients))
	start := make(chan struct{})
	for i, client := range c.clients {
		all.Go(func() {
			<-start
			for range rounds {
				for _, s := range demoSlots {
					a := c.ask(ctx, client, s.name)
					if a.err != nil {
						failed[i]++
						continue
					}
					took[i] = append(took[i], a.took)
				}
			}
		})
	}
	began := time.Now()
	close(start)
	all.Wait()
	r := burstResult{took: time.Since(began)}
	for _, n := range failed {
		r.failures += n
	}
	sorted := slices.Sorted(slices.Values(slices.Concat(took...)))
	if r.answers = len(sorted); r.answers > 0 {
		r.median, r.p99 = sorted[r.answers/2], sorted[r.answers*99/100]
	}
	return r
}

// alone is the median of one client asking when nobody else does.
func (c *crowd) alone(ctx context.Context) time.Duration {
	took := make([]time.Duration, 500)
	for i := range took {
		took[i] = c.ask(ctx, c.clients[0], "").took
	}
	slices.Sort(took)
	return took[len(took)/2]
}

// background is the clients asking on, at a leisurely pace.
type background struct {
	stop func()

	mu     sync.Mutex // guards everything below
	sum    tally
	last   map[string]answer // :: slot → the last answer with a key that is current
	latest map[string]keyChange
	turned chan struct{} // closed and replaced at every change of a key
}

type tally struct{ answers, failures int }

func (t tally) minus(o tally) tally { return tally{t.answers - o.answers, t.failures - o.failures} }

// keyChange is a slot's key giving way to the next.
type keyChange struct {
	from, to string
	left     time.Duration // life of the old one when the new one was seen
}

const demoPace = 500 * time.Millisecond

func (c *crowd) keepAsking(ctx context.Context) *background {
	ctx, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	b := &background{last: map[string]answer{}, latest: map[string]keyChange{}, turned: make(chan struct{})}
	b.stop = func() { cancel(); all.Wait() }
	for i, client := range c.clients {
		all.Go(func() {
			defer client.CloseIdleConnections()
			// Spread over the pace, so that there is a client at any time.
			offset := demoPace * time.Duration(i) / time.Duration(len(c.clients))
			for n := i; pause(ctx, offset) == nil; n, offset = n+1, demoPace {
				slot := demoSlots[n%len(demoSlots)].name
				if a := c.ask(ctx, client, slot); ctx.Err() == nil {
					b.saw(slot, a)
				}
			}
		})
	}
	return b
}

func (b *background) saw(slot string, a answer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if a.err != nil {
		b.sum.failures++
		return
	}
	b.sum.answers++
	old, known := b.last[slot]
	if known && old.keyID != a.keyID && a.expires.After(old.expires) {
		b.latest[slot] = keyChange{old.keyID, a.keyID, time.Until(old.expires)}
		close(b.turned)
		b.turned = make(chan struct{})
	}
	if !known || a.expires.After(old.expires) {
		b.last[slot] = a
	}
}

func (b *background) counts() tally {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.sum
}

func (b *background) change(slot string) keyChange {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.latest[slot]
}

func (b *background) forgetKeys() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.latest = map[string]keyChange{}
}

// waitForNewKeys waits until the clients have seen a new key in every slot.
func (b *background) waitForNewKeys(ctx context.Context, most time.Duration) error {
	timer := time.NewTimer(most)
	defer timer.Stop()
	for {
		b.mu.Lock()
		all, turned := len(b.latest) == len(demoSlots), b.turned
		b.mu.Unlock()
		if all {
			return nil
		}
		select {
		case <-turned:
		case <-timer.C:
			return context.DeadlineExceeded
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
