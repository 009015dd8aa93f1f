package endpoint

import (
	"context"
	"net"
	"net/http"
	"time"
)

// Deadlines are kept by one sweep over all connections instead of two timers a
// request, which would cost more than the answer: a connection notes what it
// does and since when, and the sweep closes those that took too long.
const (
	sweepEvery  = 500 * time.Millisecond
	headerTicks = uint64(5 * time.Second / sweepEvery) // to send a request's header
	answerTicks = uint64(8 * time.Second / sweepEvery) // from header to the end of the answer: body, wait, writing
	idleTicks   = uint64(2 * time.Minute / sweepEvery) // between requests
)

type phase uint64

const (
	waiting  phase = iota // for a request's header to be whole
	handling              // a request
	idle                  // between requests
)

const phaseBits = 2

func (c *Conn) enter(p phase) { c.phase.Store(c.server.tick.Load()<<phaseBits | uint64(p)) }

func (c *Conn) handling() { c.enter(handling) }

func (c *Conn) since() (phase, uint64) {
	v := c.phase.Load()
	return phase(v & (1<<phaseBits - 1)), v >> phaseBits
}

// stateChanged is http.Server's ConnState hook. It tells of the end of an
// answer; net/http calls a connection active only once a header is whole, so
// that Read tells of its beginning.
func stateChanged(nc net.Conn, s http.ConnState) {
	if s != http.StateIdle {
		return
	}
	if c := unwrap(nc); c != nil {
		c.enter(idle)
	}
}

// Read notes when an idle client begins to send.
//
// While a handler runs, net/http watches for its client to leave by reading one
// byte in a goroutine of its own, which costs two system calls and two timers a
// request. Nobody here needs to know: an answer is ready at once or within a few
// seconds, and a retrieval outlives its client. So that read ends empty-handed;
// all others come through a buffer and are longer.
func (c *Conn) Read(b []byte) (int, error) {
	if len(b) == 1 {
		return 0, nil
	}
	n, err := c.Conn.Read(b)
	if n > 0 && phase(c.phase.Load()&(1<<phaseBits-1)) == idle {
		c.enter(waiting)
	}
	return n, err
}

// sweep closes connections that are over their time, until ctx ends.
func (s *Server) sweep(ctx context.Context) {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now := s.tick.Add(1)
		for _, c := range s.snapshot() {
			p, began := c.since()
			allowed := [...]uint64{headerTicks, answerTicks, idleTicks}[p]
			if p != handling && s.ending.Load() {
				allowed = 1
			}
			if now-began > allowed {
				_ = c.Close()
			}
		}
	}
}

// evict makes room by closing the connection that is idle for longest; false
// when all are at work.
func (s *Server) evict() bool {
	c := s.oldestIdle()
	if c == nil {
		return false
	}
	_ = c.Close()
	return true
}

// oldestIdle makes no copy as sweep does: with all places taken it is called for
// every new client.
func (s *Server) oldestIdle() (oldest *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var at uint64
	for c := s.conns.first; c != nil; c = c.next {
		if p, began := c.since(); p == idle && (oldest == nil || began < at) {
			oldest, at = c, began
		}
	}
	return oldest
}
