package fakeaws

import (
	"context"
	"strings"
	"time"
)

// Request is one answered request, as the log keeps it. It holds no secret.
type Request struct {
	Time        time.Time // when it came in, by the fake's clock
	Op          string    // "sts:AssumeRole"; "unknown" for what no service has
	Method      string
	Path        string // without the query
	AccessKeyID string // that signed it; "" when unsigned
	RoleARN     string // that it asked for; "" when none
	Status      int    // of the answer; 0 when there was none (reset, hang)
	Faulted     bool   // a scripted fault was drawn
	Fault       string // its Label

	IssuedKeyID string        // access key id of the credentials in the answer; "" when there are none
	Expires     time.Time     // when they end
	Took        time.Duration // until the answer was complete
}

// requestLog keeps the newest maxLog requests in a ring.
type requestLog struct {
	entries []Request
	next    int // where the oldest stands once the ring is full
}

func (l *requestLog) add(r Request) {
	if len(l.entries) < maxLog {
		l.entries = append(l.entries, r)
		return
	}
	l.entries[l.next] = r
	l.next = (l.next + 1) % maxLog
}

// arrive counts c, draws its fault and wakes WaitCalls.
func (s *Server) arrive(c *call) (faulted bool) {
	if s.count(c) {
		return true
	}
	if s.cfg.Choose != nil {
		c.fault, faulted = s.cfg.Choose(c.op, c.r)
	}
	return faulted
}

func (s *Server) count(c *call) (faulted bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[c.op]++
	if s.arrived != nil {
		close(s.arrived)
		s.arrived = nil
	}
	return s.drawFaultLocked(c)
}

// finish logs a request that has had its answer.
func (s *Server) finish(r Request) {
	s.mu.Lock()
	s.log.add(r)
	s.mu.Unlock()
	if s.cfg.OnRequest != nil {
		s.cfg.OnRequest(r)
	}
}

// Calls is how many requests came in for op ("sts:AssumeRole", "imds:*", or "*" for all), answered or not.
func (s *Server) Calls(op string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.callsLocked(op)
}

func (s *Server) callsLocked(op string) int {
	if !strings.HasSuffix(op, "*") {
		return s.calls[op]
	}
	n := 0
	for name, count := range s.calls {
		if strings.HasPrefix(name, op[:len(op)-1]) {
			n += count
		}
	}
	return n
}

// WaitCalls returns once Calls(op) is n or more, or with ctx's error. It spares a test the sleeping.
func (s *Server) WaitCalls(ctx context.Context, op string, n int) error {
	for {
		s.mu.Lock()
		if s.callsLocked(op) >= n {
			s.mu.Unlock()
			return nil
		}
		if s.arrived == nil {
			s.arrived = make(chan struct{})
		}
		arrived := s.arrived
		s.mu.Unlock()
		select {
		case <-arrived:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// ResetCalls sets every counter to zero and empties the log.
func (s *Server) ResetCalls() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.calls)
	s.log = requestLog{}
}

// Requests lists the newest answered requests, oldest first, at most 10,000.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Request, 0, len(s.log.entries))
	out = append(out, s.log.entries[s.log.next:]...)
	return append(out, s.log.entries[:s.log.next]...)
}
