package slot

import (
	"container/heap"
	"context"
	"sync"
	"time"
)

// priority orders those who wait for one upstream: a reader with nothing,
// a set about to end, a refresh ahead of time.
type priority int

const (
	cold priority = iota
	soon
	ahead
)

const (
	upstreamRate     = 5  // attempts a second, per upstream
	upstreamBurst    = 10 // attempts at once after a pause
	upstreamInFlight = 8
)

// limiter holds one token bucket per upstream, so that many slots of one
// account do not run into its throttling together. Upstream "" has no limit.
type limiter struct {
	mu      sync.Mutex
	buckets map[string]*bucket
}

func (l *limiter) bucket(upstream string) *bucket {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.buckets == nil {
		l.buckets = map[string]*bucket{}
	}
	b := l.buckets[upstream]
	if b == nil {
		b = &bucket{tokens: upstreamBurst, at: time.Now()}
		l.buckets[upstream] = b
	}
	return b
}

// acquire waits for leave to ask upstream. The caller calls release after.
func (l *limiter) acquire(ctx context.Context, upstream string, p priority) (release func(), err error) {
	if upstream == "" {
		return func() {}, nil
	}
	b := l.bucket(upstream)
	w := b.enter(p)
	select {
	case <-w.ready:
		return b.leave, nil
	case <-ctx.Done():
		if b.quit(w) {
			b.leave()
		}
		return nil, ctx.Err()
	}
}

type bucket struct {
	mu      sync.Mutex
	tokens  float64
	at      time.Time // when tokens was right
	flying  int
	seq     int
	waiting waiters
	timer   *time.Timer
}

type waiter struct {
	ready chan struct{} // closed when leave is given
	p     priority
	seq   int
	place int // in the heap; -1 once out of it
}

func (b *bucket) enter(p priority) *waiter {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seq++
	w := &waiter{ready: make(chan struct{}), p: p, seq: b.seq}
	heap.Push(&b.waiting, w)
	b.dispatchLocked()
	return w
}

func (b *bucket) leave() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.flying--
	b.dispatchLocked()
}

// quit takes w out of the queue; true when it had got leave already.
func (b *bucket) quit(w *waiter) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if w.place < 0 {
		return true
	}
	heap.Remove(&b.waiting, w.place)
	return false
}

func (b *bucket) dispatchLocked() {
	now := time.Now()
	b.tokens = min(upstreamBurst, b.tokens+now.Sub(b.at).Seconds()*upstreamRate)
	b.at = now
	for len(b.waiting) > 0 && b.tokens >= 1 && b.flying < upstreamInFlight {
		w := heap.Pop(&b.waiting).(*waiter)
		b.tokens--
		b.flying++
		close(w.ready)
	}
	if len(b.waiting) > 0 && b.tokens < 1 && b.timer == nil {
		wait := time.Duration((1 - b.tokens) / upstreamRate * float64(time.Second))
		b.timer = time.AfterFunc(wait+time.Millisecond, func() {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.timer = nil
			b.dispatchLocked()
		})
	}
}

type waiters []*waiter

func (h waiters) Len() int { return len(h) }
func (h waiters) Less(i, j int) bool {
	if h[i].p != h[j].p {
		return h[i].p < h[j].p
	}
	return h[i].seq < h[j].seq
}
func (h waiters) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}
func (h *waiters) Push(x any) {
	w := x.(*waiter)
	w.place = len(*h)
	*h = append(*h, w)
}
func (h *waiters) Pop() any {
	old := *h
	w := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	w.place = -1
	return w
}
