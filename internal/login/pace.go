package login

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// The portal's operations have no published limit of their own. The one of IAM
// Identity Center's other APIs is 20 a second, counted in a bucket as AWS does
// everywhere; a list of hundreds of accounts starts from a full one.
const (
	paceRate  = 20.0 // requests a second that are sure to be let through
	paceBurst = 180.0
	paceLeast = 2.0  // requests a second, however often we are told to slow down
	recovery  = 0.05 // requests a second, with every answer
	tooMany   = time.Second
)

// pace lets requests go at a rate that the portal takes. Where it says that
// they are too many, the bucket is emptied and the rate halved; it recovers
// with every answer.
type pace struct {
	rate, burst float64

	mu      sync.Mutex // guards what follows
	tokens  float64
	now     float64 // requests a second
	at      time.Time
	blocked time.Time // nothing goes before it
}

func newPace(rate, burst float64) *pace {
	return &pace{rate: rate, burst: burst, tokens: burst, now: rate, at: time.Now()}
}

// wait returns when a request may go.
func (p *pace) wait(ctx context.Context) error {
	for {
		d := p.due(time.Now())
		if d <= 0 {
			return ctx.Err()
		}
		if err := sleep(ctx, d); err != nil {
			return err
		}
	}
}

// due takes a place and returns zero, or says how long there is none.
func (p *pace) due(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d := p.blocked.Sub(now); d > 0 {
		return d
	}
	if passed := now.Sub(p.at).Seconds(); passed > 0 {
		p.tokens = min(p.burst, p.tokens+passed*p.now)
	}
	p.at = now
	if p.tokens >= 1 {
		p.tokens--
		return 0
	}
	return max(time.Duration((1-p.tokens)/p.now*float64(time.Second)), time.Millisecond) // never zero, for want of a few bits
}

// throttled notes that the portal refused a request, and asked for after.
func (p *pace) throttled(now time.Time, after time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	until := now.Add(max(after, tooMany/2+time.Duration(rand.Int64N(int64(tooMany)))))
	if p.blocked.Before(now) { // one of several that were under way together: once is enough
		p.now = max(paceLeast, p.now/2)
	}
	if until.After(p.blocked) {
		p.blocked = until
	}
	p.tokens, p.at = 0, p.blocked
}

// answered notes that a request was let through.
func (p *pace) answered() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = min(p.rate, p.now+recovery)
}
