package endpoint

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"rolecall/internal/peer"
)

// Peers tells who is at the other end of a loopback connection.
type Peers interface {
	TCP(local, remote netip.AddrPort) peer.Peer
}

// ServerConfig of the listeners of one endpoint.
type ServerConfig struct {
	Handler        http.Handler
	Peers          Peers       // nil: nobody is known
	TLS            *tls.Config // nil: plain HTTP
	MaxConnections int         // zero: 4096; the oldest idle one makes room
	ErrorLog       *log.Logger // net/http's own complaints; nil: none
}

const (
	defaultMaxConnections = 4096
	maxHeader             = 16 << 10
	acceptPause           = 20 * time.Millisecond // after a passing failure of accept, e.g. no file descriptors
)

// Server holds the connections of one endpoint: their number, their time, and
// who is at their other end.
type Server struct {
	c    ServerConfig
	http *http.Server
	tick atomic.Uint64 // of the sweep

	mu    sync.Mutex // guards conns
	conns map[*Conn]struct{}
}

// NewServer returns a server that listens nowhere yet.
func NewServer(c ServerConfig) *Server {
	if c.MaxConnections <= 0 {
		c.MaxConnections = defaultMaxConnections
	}
	if c.ErrorLog == nil {
		c.ErrorLog = log.New(io.Discard, "", 0)
	}
	s := &Server{c: c, conns: map[*Conn]struct{}{}}
	s.http = &http.Server{
		Handler:        c.Handler,
		MaxHeaderBytes: maxHeader - 4096, // net/http adds 4 KiB of its own
		ErrorLog:       c.ErrorLog,
		ConnState:      stateChanged,

		DisableGeneralOptionsHandler: true, // it answers "OPTIONS *" with 200

		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){}, // HTTP/1.1 only, which is what SDKs speak here
		ConnContext: func(ctx context.Context, nc net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, unwrap(nc))
		},
	}
	return s
}

// Serve answers on the listeners until ctx ends, then lets requests under way
// finish for at most drain before it closes what is left. It closes the
// listeners. A listener's failure ends all of them and is returned.
func (s *Server) Serve(ctx context.Context, drain time.Duration, listeners ...net.Listener) error {
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var jobs sync.WaitGroup
	jobs.Go(func() { s.sweep(work) })
	failed := make(chan error, len(listeners))
	for _, l := range listeners {
		names := namesOf(l.Addr())
		var wrapped net.Listener = &listener{Listener: l, server: s, hosts: &names}
		if s.c.TLS != nil {
			wrapped = tls.NewListener(wrapped, s.c.TLS)
		}
		jobs.Go(func() { failed <- s.http.Serve(wrapped) })
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	if s.http.Shutdown(end) != nil {
		_ = s.http.Close()
	}
	stop()
	jobs.Wait()
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	return err
}

func (s *Server) snapshot() []*Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*Conn, 0, len(s.conns))
	for c := range s.conns {
		all = append(all, c)
	}
	return all
}

func (s *Server) forget(c *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

// admit counts a new connection; false when there is no room.
func (s *Server) admit(c *Conn) bool {
	s.mu.Lock()
	full := len(s.conns) >= s.c.MaxConnections
	if !full {
		s.conns[c] = struct{}{}
	}
	s.mu.Unlock()
	if !full {
		return true
	}
	if !s.evict() {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns[c] = struct{}{}
	return true
}

// listener hands net/http connections that know their server.
type listener struct {
	net.Listener
	server *Server
	hosts  *hostNames
}

// Accept waits for a connection there is room for. Running out of file
// descriptors passes: idle connections are closed to get some back.
func (l *listener) Accept() (net.Conn, error) {
	for {
		nc, err := l.Listener.Accept()
		if err != nil {
			var passing interface{ Temporary() bool }
			if errors.As(err, &passing) && passing.Temporary() {
				l.server.evict()
				time.Sleep(acceptPause)
				continue
			}
			return nil, err
		}
		c := &Conn{Conn: nc, server: l.server, hosts: l.hosts, remote: addrPort(nc.RemoteAddr()), local: addrPort(nc.LocalAddr())}
		c.enter(waiting)
		if l.server.admit(c) {
			return c, nil
		}
		_ = nc.Close()
	}
}
