package fakeaws

import (
	"net/http"
	"strconv"
	"time"
)

// Fault is one scripted misbehaviour. A request draws the first fault that matches it and has turns left, and
// only that one. Until, Delay and Hang come first and end when the client goes or the server closes; then the
// first of Reset, Redirect, Body and Status/Code that is set is the answer. Else the true answer is
// made, with EmptyKeys, Expired and Lifetime applied, and Truncate and Drip damage its sending.
type Fault struct {
	// Match is an operation's name: "sts:AssumeRole", "sso:GetRoleCredentials", "oidc:CreateToken",
	// "imds:token", "imds:list", "imds:credentials", "container:credentials"; a service ("sts:*"); or "*".
	Match string
	// Role narrows it to requests for this role: its ARN, or its name as the request gives it. Empty: any.
	Role string
	// Times is how many requests draw it. Zero: all, until ClearFaults.
	Times int

	// Until holds the request until the channel is closed. Nil: not held.
	Until <-chan struct{}
	// Delay before anything else happens.
	Delay time.Duration
	// Hang never answers.
	Hang bool
	// Reset ends the connection with a TCP RST (where the connection allows it), without an answer.
	Reset bool
	// Redirect answers 302 (or Status, if that is a 3xx) to this URL. Empty: no redirect.
	Redirect string
	// Body is sent as it is, with Status (zero: 200) and ContentType. Non-nil and empty sends an empty body.
	Body []byte
	// ContentType of Body. Empty: the one the operation has.
	ContentType string
	// Status of an error in the service's own shape. Zero with a Code: 400, and for IMDS credentials 200 with
	// a failure document, as the true service does.
	Status int
	// Code of that error, e.g. "AccessDenied". Empty with a Status: a usual one for it.
	Code string
	// Message of that error. Empty: "scripted fault".
	Message string
	// RetryAfter is sent as the Retry-After header, in whole seconds, with whatever is answered. Zero: none.
	RetryAfter time.Duration

	// NoTokens is a metadata service that knows no IMDS tokens: the PUT gets 404, and a GET needs none.
	NoTokens bool
	// NeedToken answers 401 to a GET of metadata without an IMDS token, whatever Config.IMDSv1 says.
	NeedToken bool
	// ForgetTokens drops every IMDS token before the answer is made, as a restart of the service would.
	ForgetTokens bool

	// EmptyKeys answers with "" for key id, secret and token.
	EmptyKeys bool
	// Expired answers with keys that ended a minute ago.
	Expired bool
	// Lifetime of the issued keys. Zero: as usual.
	Lifetime time.Duration
	// Truncate sends the first half of the answer, complete as HTTP.
	Truncate bool
	// Drip is the pause before each byte of the body; time.Second is 1 B/s. Zero: at once.
	Drip time.Duration

	// Label is kept in the log as Request.Fault.
	Label string
}

// Script adds faults after those that are there.
func (s *Server) Script(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range faults {
		s.faults = append(s.faults, &f)
	}
}

// ClearFaults drops every fault that has not been drawn. Requests that hang or wait already are not let go.
func (s *Server) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// drawFaultLocked gives c the fault that is its turn.
func (s *Server) drawFaultLocked(c *call) bool {
	for i, f := range s.faults {
		if !f.matches(c) {
			continue
		}
		c.fault = *f
		if f.Times > 0 {
			if f.Times--; f.Times == 0 {
				s.faults = append(s.faults[:i:i], s.faults[i+1:]...)
			}
		}
		return true
	}
	return false
}

func (f *Fault) matches(c *call) bool {
	if f.Role != "" && f.Role != c.role && f.Role != c.name {
		return false
	}
	if f.Match == "*" || f.Match == c.op {
		return true
	}
	n := len(f.Match)
	return n > 2 && f.Match[n-2:] == ":*" && len(c.op) >= n && c.op[:n-1] == f.Match[:n-1]
}

// serveFault answers c as its fault says. The status is 0 where nothing was answered.
func (s *Server) serveFault(w http.ResponseWriter, c *call, handle handler) int {
	f := &c.fault
	if f.Until != nil {
		select {
		case <-f.Until:
		case <-c.r.Context().Done():
			return abandon(w)
		case <-s.closing.Done():
			return abandon(w)
		}
	}
	if f.Delay > 0 && !s.pause(c, f.Delay) {
		return abandon(w)
	}
	if f.Hang {
		select {
		case <-c.r.Context().Done():
		case <-s.closing.Done():
		}
		return abandon(w)
	}
	if f.Reset {
		return abandon(w)
	}
	rep := s.faultyReply(c, handle)
	if f.RetryAfter > 0 {
		seconds := (f.RetryAfter + time.Second - 1) / time.Second
		rep.header.Set("Retry-After", strconv.Itoa(int(seconds)))
	}
	if f.Truncate {
		rep.body = rep.body[:len(rep.body)/2]
	}
	return s.send(w, c, rep)
}

func (s *Server) faultyReply(c *call, handle handler) reply {
	f := &c.fault
	switch {
	case f.Redirect != "":
		status := http.StatusFound
		if f.Status >= 300 && f.Status < 400 {
			status = f.Status
		}
		rep := newReply(status, "text/plain", nil)
		rep.header.Set("Location", f.Redirect)
		return rep
	case f.Body != nil:
		rep := newReply(http.StatusOK, c.kind.contentType(), f.Body)
		if f.Status != 0 {
			rep.status = f.Status
		}
		if f.ContentType != "" {
			rep.header.Set("Content-Type", f.ContentType)
		}
		return rep
	case f.Status != 0 || f.Code != "":
		message := f.Message
		if message == "" {
			message = "scripted fault"
		}
		if f.Status == 0 && c.op == opIMDSCredentials {
			return s.imdsFailure(f.Code, message)
		}
		status, code := f.Status, f.Code
		if status == 0 {
			status = http.StatusBadRequest
		}
		if code == "" {
			code = c.kind.usualCode(status)
		}
		return c.errorReply(status, code, message)
	}
	return handle(c)
}

// abandon ends the connection without an answer, with a reset where TCP can do it.
func abandon(w http.ResponseWriter) int {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil { // mounted on something that does not give its connections away
		w.WriteHeader(http.StatusBadGateway)
		return http.StatusBadGateway
	}
	if tcp, ok := conn.(interface{ SetLinger(int) error }); ok {
		tcp.SetLinger(0)
	}
	conn.Close()
	return 0
}
