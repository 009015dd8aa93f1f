package endpoint

import (
	"net/http"
	"net/netip"
	"sync"
	"time"
)

const (
	guessesPerSecond = 20
	mostGuessers     = 1024
)

// failures slows down who guesses authorization tokens. It is consulted only
// after a refusal, so that it never stands in the way of a good client.
type failures struct {
	mu     sync.Mutex
	second int64
	seen   map[failureKey]int
}

type failureKey struct {
	uid   uint32
	known bool
	addr  netip.Addr
}

// note counts a refusal and returns it, or in its place a 429 once there were
// more than 20 within a second from one client.
func (f *failures) note(k failureKey, r *Refusal) *Refusal {
	now := time.Now().Unix()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.second != now || f.seen == nil {
		f.second, f.seen = now, map[failureKey]int{}
	}
	if len(f.seen) >= mostGuessers {
		if _, there := f.seen[k]; !there {
			k = failureKey{}
		}
	}
	f.seen[k]++
	if f.seen[k] <= guessesPerSecond {
		return r
	}
	slow := refuse(http.StatusTooManyRequests, "too_many_failures", "too many requests without a right authorization token")
	slow.RetryAfter = time.Second
	return slow
}
