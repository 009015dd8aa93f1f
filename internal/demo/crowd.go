package demo

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"rolecall/internal/creds"
)

// crowd is many clients of one daemon, each with connections of its own as
// programs have.
type crowd struct {
	url     string // of the daemon, without a slash at its end
	token   creds.Secret
	clients []*http.Client
}

func newCrowd(url string, token creds.Secret, n int) *crowd {
	c := &crowd{url: url, token: token, clients: make([]*http.Client, n)}
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
func (c *crowd) ask(ctx context.Context, client *http.Client, s slot) (a answer) {
	began := time.Now()
	defer func() { a.took = time.Since(began) }()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url+s.path(), nil)
	if err != nil {
		return answer{err: err}
	}
	r.Header.Set("Authorization", c.token.Reveal())
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
				for _, s := range slots {
					a := c.ask(ctx, client, s)
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
		took[i] = c.ask(ctx, c.clients[0], slots[0]).took
	}
	slices.Sort(took)
	return took[len(took)/2]
}
