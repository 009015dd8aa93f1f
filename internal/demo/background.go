package demo

import (
	"context"
	"sync"
	"time"
)

// background is the clients asking on, at a leisurely pace.
type background struct {
	stop func() // ends and awaits them

	mu      sync.Mutex // guards everything below
	sum     tally
	last    map[slot]answer    // the last one with the key that is current
	changes map[slot]keyChange // the latest one
	turned  chan struct{}      // closed and replaced at every change of a key
}

type tally struct{ answers, failures int }

func (t tally) minus(o tally) tally { return tally{t.answers - o.answers, t.failures - o.failures} }

// keyChange is a slot's key giving way to the next.
type keyChange struct {
	from, to string
	left     time.Duration // life of the old one when the new one was seen
}

func newBackground(stop func()) *background {
	return &background{stop: stop, last: map[slot]answer{}, changes: map[slot]keyChange{}, turned: make(chan struct{})}
}

// pace is how long each client waits between two questions.
const pace = 500 * time.Millisecond

// keepAsking lets every client ask for one slot after the other, until stop.
func (c *crowd) keepAsking(ctx context.Context) *background {
	ctx, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	b := newBackground(func() { cancel(); all.Wait() })
	for i, client := range c.clients {
		all.Go(func() {
			defer client.CloseIdleConnections()
			// Spread over the pace, so that there is a client at any time.
			wait := pace * time.Duration(i) / time.Duration(len(c.clients))
			for n := i; pause(ctx, wait) == nil; n, wait = n+1, pace {
				s := slots[n%len(slots)]
				if a := c.ask(ctx, client, s); ctx.Err() == nil {
					b.saw(s, a)
				}
			}
		})
	}
	return b
}

func (b *background) saw(s slot, a answer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if a.err != nil {
		b.sum.failures++
		return
	}
	b.sum.answers++
	old, known := b.last[s]
	if known && old.keyID != a.keyID && a.expires.After(old.expires) {
		b.changes[s] = keyChange{old.keyID, a.keyID, time.Until(old.expires)}
		close(b.turned)
		b.turned = make(chan struct{})
	}
	if !known || a.expires.After(old.expires) {
		b.last[s] = a
	}
}

func (b *background) counts() tally {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.sum
}

func (b *background) change(s slot) keyChange {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.changes[s]
}

// forgetChanges lets waitForNewKeys wait for the keys after those of now.
func (b *background) forgetChanges() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.changes = map[slot]keyChange{}
}

// waitForNewKeys waits until the clients have seen a new key in every slot.
func (b *background) waitForNewKeys(ctx context.Context, most time.Duration) error {
	timer := time.NewTimer(most)
	defer timer.Stop()
	for {
		b.mu.Lock()
		all, turned := len(b.changes) == len(slots), b.turned
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
