package fakeaws

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// bodyTimeout bounds how long a client may take to send its request body.
const bodyTimeout = 30 * time.Second

// call is one request, read and sorted, on its way through a handler.
type call struct {
	op    string // "sts:AssumeRole"
	kind  errorShape
	r     *http.Request
	query url.Values
	form  url.Values // query API: the posted form and the query together
	body  []byte
	keyID string // access key id of the signature, if there is one
	role  string // ARN of the role that is asked for, once known
	name  string // its name as the request gave it
	fault Fault  // the scripted fault that this request drew; the zero value is none
	gave  Issued // the credentials in the answer; the zero value is none
}

// reply is a whole answer, held so that faults can damage it before it is sent.
type reply struct {
	status int
	header http.Header
	body   []byte
}

func newReply(status int, contentType string, body []byte) reply {
	h := http.Header{}
	h.Set("Content-Type", contentType)
	return reply{status: status, header: h, body: body}
}

// Handler answers for every service. It works mounted elsewhere as well, at the root of a host.
func (s *Server) Handler() http.Handler { return http.HandlerFunc(s.serve) }

func (s *Server) serve(w http.ResponseWriter, r *http.Request) { s.serveBy(w, r, s.route) }

// serveBy serves a request to a host where route finds the operations.
func (s *Server) serveBy(w http.ResponseWriter, r *http.Request, route func(*call) handler) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		http.Error(w, "closed", http.StatusServiceUnavailable)
		return
	}
	s.active.Add(1)
	s.mu.Unlock()
	defer s.active.Done()

	began := s.now()
	c := &call{r: r, query: r.URL.Query()}
	tooLarge := c.read(w)
	handle := route(c)
	c.keyID = signingKey(r, c.form)
	faulted := s.arrive(c)

	var status int
	switch {
	case tooLarge != nil:
		status = s.send(w, c, c.errorReply(http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", "request body above 1 MiB or cut short"))
	case faulted:
		status = s.serveFault(w, c, handle)
	default:
		status = s.send(w, c, handle(c))
	}
	s.finish(Request{
		Time: began, Op: c.op, Method: clip(r.Method), Path: clip(r.URL.Path), AccessKeyID: c.keyID,
		RoleARN: clip(c.role), Status: status, Faulted: faulted, Fault: c.fault.Label,
		IssuedKeyID: c.gave.AccessKeyID, Expires: c.gave.Expires, Took: s.now().Sub(began),
	})
}

// clip bounds what the log keeps of a caller's words, without holding on to the rest of them.
func clip(s string) string {
	const most = 512
	return strings.Clone(s[:min(len(s), most)])
}

// read takes in the body and, for the query API, the form.
func (c *call) read(w http.ResponseWriter) error {
	c.form = c.query
	if c.r.ContentLength == 0 || c.r.Body == nil {
		return nil
	}
	control := http.NewResponseController(w)
	control.SetReadDeadline(time.Now().Add(bodyTimeout)) // not every ResponseWriter can; then there is no limit
	body, err := io.ReadAll(http.MaxBytesReader(w, c.r.Body, maxBody))
	control.SetReadDeadline(time.Time{}) // a deadline left standing would end a hang as if the client had gone
	if err != nil {
		return err
	}
	c.body = body
	if strings.HasPrefix(c.r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return errors.New("malformed form")
		}
		for k, v := range c.query {
			form[k] = append(form[k], v...)
		}
		c.form = form
	}
	return nil
}

// send writes rep, slowly where a fault says so, and returns the status.
func (s *Server) send(w http.ResponseWriter, c *call, rep reply) int {
	h := w.Header()
	for k, v := range rep.header {
		h[k] = v
	}
	h.Set("Date", s.now().UTC().Format(http.TimeFormat))
	h.Set("X-Amzn-Requestid", newUUID())
	if c.fault.Drip <= 0 {
		h.Set("Content-Length", strconv.Itoa(len(rep.body)))
		w.WriteHeader(rep.status)
		if c.r.Method != http.MethodHead {
			w.Write(rep.body)
		}
		return rep.status
	}
	control := http.NewResponseController(w)
	h.Set("Content-Length", strconv.Itoa(len(rep.body)))
	w.WriteHeader(rep.status)
	control.Flush()
	for i := range rep.body {
		if !s.pause(c, c.fault.Drip) {
			break
		}
		if _, err := w.Write(rep.body[i : i+1]); err != nil {
			break
		}
		control.Flush()
	}
	return rep.status
}

// pause waits for d and reports whether it was let finish: it ends early when the client goes or Close is called.
func (s *Server) pause(c *call, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-c.r.Context().Done():
	case <-s.closing.Done():
	}
	return false
}
