package endpoint

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"rolecall/internal/usererr"
	"runtime/debug"
	"strconv"
	"time"
)

// Refusal is an answer without credentials. Msg is safe to show to the client.
type Refusal struct {
	Status     int
	Code       string // one word for logs, metrics and the body
	Msg        string
	Hint       string        // told apart in the body; Msg has it too, as SDKs show nothing else
	RetryAfter time.Duration // zero: none told
	Allow      string        // of a 405
	Close      bool          // the connection ends with this answer
}

func (r *Refusal) Error() string { return r.Msg }

func refuse(status int, code, msg string) *Refusal {
	return &Refusal{Status: status, Code: code, Msg: msg}
}

// NotFound is the error of a slot that is not there. what is shown to the
// client and must not be what the client sent.
func NotFound(what, hint string) error {
	r := refuse(http.StatusNotFound, "not_found", sentence(what, hint))
	r.Hint = hint
	return r
}

// BadRequest is the error of a request that cannot be carried out as it is.
func BadRequest(msg string) error { return refuse(http.StatusBadRequest, "bad_request", msg) }

// refusalOf is the one place that gives an error its HTTP status. SDKs retry
// 5xx and take 4xx for a fault in the configuration; so what may pass, or what
// a person can mend while the program runs, is 503 with Retry-After.
func refusalOf(err error) *Refusal {
	var r *Refusal
	if errors.As(err, &r) {
		return r
	}
	e := usererr.From(err)
	r = &Refusal{Code: string(e.Code), Msg: sentence(e.Msg, e.Hint), Hint: e.Hint, RetryAfter: e.RetryAfter}
	switch e.Code {
	case usererr.AccessDenied:
		r.Status = http.StatusForbidden
	case usererr.NotConfigured:
		r.Status = http.StatusNotFound
	case usererr.Internal:
		r.Status = http.StatusInternalServerError
	default:
		r.Status = http.StatusServiceUnavailable
		r.RetryAfter = max(r.RetryAfter, time.Second)
	}
	return r
}

// panicked is the answer to a request whose handler panicked. net/http would log
// the panic's value, which may hold anything; a stack holds no text.
func (c *Conn) panicked(p any) *Refusal {
	c.server.c.ErrorLog.Printf("a request ended in a panic of type %T\n%s", p, debug.Stack())
	r := refuse(http.StatusInternalServerError, string(usererr.Internal), "rolecall failed on this request by a fault of its own (its log tells where, at level debug)")
	r.Close = true
	return r
}

func sentence(msg, hint string) string {
	if hint == "" {
		return msg
	}
	return fmt.Sprintf("%s (%s)", msg, hint)
}

// wireError has the keys in both spellings that SDKs look for: code and message
// (Go, Java) and Code and Message (JavaScript). code is the HTTP status, as
// aws-sso sends it; Code, which Go takes too, is a word.
type wireError struct {
	Status   string `json:"code"`
	Message  string `json:"message"`
	Code     string
	Message2 string `json:"Message"`
	Hint     string `json:"hint,omitempty"`
}

// Header values that every answer shares. They are never written to.
var (
	jsonType   = []string{"application/json"} // exactly: Go's SDK reads the error body of no other
	noStore    = []string{"no-store"}
	noSniff    = []string{"nosniff"}
	sameOrigin = []string{"same-origin"}
)

func setCommon(h http.Header) {
	h["Content-Type"] = jsonType
	h["Cache-Control"] = noStore
	h["X-Content-Type-Options"] = noSniff
	h["Cross-Origin-Resource-Policy"] = sameOrigin
}

func (d *Document) write(w http.ResponseWriter) {
	h := w.Header()
	setCommon(h)
	h["Content-Length"] = d.length
	_, _ = w.Write(d.body) // a client that went away is no fault of ours
}

// writeJSON answers with what may hold names that somebody chose, and so escapes
// what means something in HTML.
func writeJSON(w http.ResponseWriter, status int, v any) {
	body, _ := json.Marshal(v) // this package's own structs: it cannot fail
	h := w.Header()
	setCommon(h)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

func (r *Refusal) write(w http.ResponseWriter) {
	r.setHeaders(w.Header())
	writeJSON(w, r.Status, wireError{strconv.Itoa(r.Status), r.Msg, r.Code, r.Msg, r.Hint})
}

func (r *Refusal) setHeaders(h http.Header) {
	if r.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(r.RetryAfter.Seconds()))))
	}
	if r.Allow != "" {
		h.Set("Allow", r.Allow)
	}
	if r.Close {
		h.Set("Connection", "close")
	}
}

// writeDone is the answer to an upload or a deletion.
func writeDone(w http.ResponseWriter) {
	writeJSON(w, http.StatusOK, wireError{"200", "OK", "OK", "OK", ""})
}
