package login

import (
	"context"
	"crypto/subtle"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"rolecall/internal/creds"
	"rolecall/internal/sso"
	"rolecall/internal/usererr"
)

const (
	redirectPath = "/oauth/callback"
	// redirectBase is what is registered: the port may be any (RFC 8252, 7.3).
	redirectBase = "http://127.0.0.1" + redirectPath
	maxCode      = 8 << 10 // bytes
)

// redirected is what the browser brought. tell takes one value: whether the
// sign-in worked, for the page.
type redirected struct {
	code creds.Secret
	err  error
	tell chan<- bool
}

// redirect listens for the one request that ends a sign-in: to 127.0.0.1, under
// that name, with the right state. Whatever else comes is refused and changes
// nothing.
type redirect struct {
	url     string
	answers chan redirected // of one
	server  *http.Server
	ended   chan struct{}
	host    string
	state   string

	mu    sync.Mutex // guards taken
	taken bool
}

func listenRedirect(state string) (*redirect, error) {
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &redirect{host: ln.Addr().String(), state: state, answers: make(chan redirected, 1), ended: make(chan struct{})}
	r.url = "http://" + r.host + redirectPath
	r.server = &http.Server{Handler: r, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 5 * time.Second, WriteTimeout: time.Minute,
		MaxHeaderBytes: 16 << 10, ErrorLog: log.New(io.Discard, "", 0)}
	r.server.SetKeepAlivesEnabled(false)
	go func() {
		defer close(r.ended)
		_ = r.server.Serve(ln) // ends with ErrServerClosed at close
	}()
	return r, nil
}

// close lets the page be sent, for a moment, and frees the port.
func (r *redirect) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if r.server.Shutdown(ctx) != nil {
		_ = r.server.Close()
	}
	<-r.ended
}

func (r *redirect) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer") // the URL holds the code
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	q := req.URL.Query()
	switch {
	case req.Host != r.host, !plainNavigation(req.Header):
		page(w, http.StatusForbidden, "Refused", "This request does not come from the sign-in page.")
		return
	case req.URL.Path != redirectPath:
		page(w, http.StatusNotFound, "Nothing here", "This port only waits for a sign-in.")
		return
	case req.Method != http.MethodGet:
		page(w, http.StatusMethodNotAllowed, "Refused", "This port only waits for a sign-in.")
		return
	case subtle.ConstantTimeCompare([]byte(q.Get("state")), []byte(r.state)) != 1:
		page(w, http.StatusForbidden, "Refused", "This answer is not for the sign-in that is waiting here.")
		return
	case !r.take():
		page(w, http.StatusGone, "Used already", "This sign-in has been answered.")
		return
	}
	tell := make(chan bool, 1)
	a := redirected{code: creds.NewSecret(q.Get("code")), tell: tell}
	switch {
	case q.Get("error") == "access_denied":
		a.err = &usererr.Error{Code: usererr.AccessDenied, Msg: "the sign-in was denied", Err: sso.ErrDenied}
	case q.Has("error"):
		a.err = &Error{Msg: "the sign-in page answered " + word(q.Get("error"))}
	case a.code.IsZero() || len(a.code.Reveal()) > maxCode:
		a.err = &Error{Msg: "the sign-in page sent no code"}
	}
	r.answers <- a
	worked := false
	select {
	case worked = <-tell:
	case <-req.Context().Done():
	}
	if worked {
		page(w, http.StatusOK, "Signed in", "You can close this window and go back to the terminal.")
	} else {
		page(w, http.StatusOK, "Not signed in", "The terminal says why. You can close this window.")
	}
}

// take is true once.
func (r *redirect) take() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	taken := r.taken
	r.taken = true
	return !taken
}

// plainNavigation holds for what a browser sends when a page is opened, and for
// programs that are no browsers.
func plainNavigation(h http.Header) bool {
	mode, dest := h.Get("Sec-Fetch-Mode"), h.Get("Sec-Fetch-Dest")
	return h.Get("Origin") == "" && (mode == "" || mode == "navigate") && (dest == "" || dest == "document")
}

// page is plain, and says nothing that came with the request.
func page(w http.ResponseWriter, status int, title, text string) {
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>%[1]s</title><h1>%[1]s</h1><p>%[2]s</p></html>\n", title, text)
}

// word is an OAuth error code where it looks like one.
func word(s string) string {
	if s == "" || len(s) > 40 || strings.Trim(s, "abcdefghijklmnopqrstuvwxyz_") != "" {
		return "with an error"
	}
	return s
}
