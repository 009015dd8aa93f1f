package fakeaws

import (
	"net/http"
	"sync"
	"time"
)

// Throttle stands before a service and lets a limited rate of requests through, as the metadata service of an
// instance does: a token bucket. What is beyond it gets 429 at once.
type Throttle struct {
	next  http.Handler
	rate  float64 // requests a second
	burst float64 // requests at once after a pause
	now   func() time.Time

	mu              sync.Mutex
	level           float64 // requests that may come at once
	at              time.Time
	passed, refused int
}

// NewThrottle puts a limit of rate requests a second before next, and burst at once after a pause. now nil: time.Now.
func NewThrottle(next http.Handler, rate, burst int, now func() time.Time) *Throttle {
	if now == nil {
		now = time.Now
	}
	return &Throttle{next: next, rate: float64(rate), burst: float64(burst), now: now, level: float64(burst), at: now()}
}

// Counts says how many requests were let through and how many were not.
func (t *Throttle) Counts() (passed, refused int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.passed, t.refused
}

func (t *Throttle) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !t.take() {
		http.Error(w, "too many requests", http.StatusTooManyRequests)
		return
	}
	t.next.ServeHTTP(w, r)
}

func (t *Throttle) take() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	t.level = min(t.burst, t.level+max(0, now.Sub(t.at).Seconds())*t.rate)
	t.at = now
	if t.level < 1 {
		t.refused++
		return false
	}
	t.level--
	t.passed++
	return true
}
