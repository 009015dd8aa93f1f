package control

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"time"

	"rolecall/internal/peercred"
	"rolecall/internal/usererr"
)

const maxRequest = 64 << 10

// HandlerConfig of the control socket.
type HandlerConfig struct {
	Daemon  Daemon
	Allowed func(peercred.Peer) bool // who may command the daemon: its own user, and root
	Metrics http.Handler             // at /metrics; nil: 404
	Denied  func(peercred.Peer)      // told of callers that were refused; nil: nobody
}

type peerKey struct{}

// NewServer returns the HTTP server of the control socket; its listener must be
// of unix sockets. Every connection's user is asked of the kernel.
func NewServer(c HandlerConfig) *http.Server {
	mux := http.NewServeMux()
	mux.Handle("GET /v1/status", call(func(ctx context.Context, _ struct{}) (Status, error) { return c.Daemon.Status(ctx) }))
	mux.Handle("POST /v1/load", call(c.Daemon.Load))
	mux.Handle("POST /v1/sign-in", call(c.Daemon.SignIn))
	mux.Handle("POST /v1/unload", call(func(ctx context.Context, r UnloadRequest) ([]string, error) { return c.Daemon.Unload(ctx, r) }))
	mux.Handle("POST /v1/refresh", call(c.Daemon.Refresh))
	mux.Handle("POST /v1/reload", call(func(ctx context.Context, _ struct{}) (ReloadResult, error) { return c.Daemon.Reload(ctx) }))
	if c.Metrics != nil {
		mux.Handle("GET /metrics", c.Metrics)
	}
	guarded := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, _ := r.Context().Value(peerKey{}).(peercred.Peer)
		if !c.Allowed(p) {
			if c.Denied != nil {
				c.Denied(p)
			}
			reply(w, http.StatusForbidden, &Error{Code: usererr.AccessDenied, Message: "this daemon belongs to another user"})
			return
		}
		mux.ServeHTTP(w, r)
	})
	return &http.Server{
		Handler:           guarded,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		MaxHeaderBytes:    16 << 10,
		ConnContext: func(ctx context.Context, nc net.Conn) context.Context {
			var p peercred.Peer
			if u, ok := nc.(*net.UnixConn); ok {
				p, _ = peercred.Unix(u) // unknown on failure
			}
			return context.WithValue(ctx, peerKey{}, p)
		},
	}
}

// call is one operation over HTTP: decode, call, encode, errors mapped once.
func call[Q, A any](f func(context.Context, Q) (A, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q Q
		if r.Method == http.MethodPost {
			d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest))
			d.DisallowUnknownFields()
			if d.Decode(&q) != nil || d.Decode(&struct{}{}) != io.EOF {
				reply(w, http.StatusBadRequest, &Error{Code: usererr.Internal, Message: "the daemon does not understand the request; is it of the same version?"})
				return
			}
		}
		a, err := f(r.Context(), q)
		if err != nil {
			reply(w, statusOf(usererr.From(err).Code), AsError(err))
			return
		}
		reply(w, http.StatusOK, a)
	})
}

func statusOf(c usererr.Code) int {
	switch c {
	case usererr.LoginRequired:
		return http.StatusUnauthorized
	case usererr.AccessDenied:
		return http.StatusForbidden
	case usererr.NotConfigured:
		return http.StatusNotFound
	case usererr.Throttled, usererr.Unavailable:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // a client that went away is no fault of ours
}
