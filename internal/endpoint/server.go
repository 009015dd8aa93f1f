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

	"rolecall/internal/peercred"
)

// Peers tells who is at the other end of a loopback connection.
type Peers interface {
	TCP(local, remote netip.AddrPort) peercred.Peer
}

// ServerConfig of the listeners of one endpoint.
type ServerConfig struct {
	Handler        http.Handler
	Peers          Peers       // nil: nobody is known
	AskAll         bool        // Peers is asked of every connection, and not only of those that can be of this machine alone
	TLS            *tls.Config // nil: plain HTTP
	Hosts          []string    // further names of every listener, each with its port and without
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

	ending atomic.Bool // clients that have asked nothing yet are not waited for

	serving sync.WaitGroup
	failed  chan error // has room for one

	mu     sync.Mutex // guards what follows
	conns  list
	retire []func() // one for each listener
}

// NewServer returns a server that listens nowhere yet.
func NewServer(c ServerConfig) *Server {
	if c.MaxConnections <= 0 {
		c.MaxConnections = defaultMaxConnections
	}
	if c.ErrorLog == nil {
		c.ErrorLog = log.New(io.Discard, "", 0)
	}
	s := &Server{c: c, failed: make(chan error, 1)}
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

// Add answers on one more listener, from now until Run ends or retire is called,
// which closes the listener and lets its connections go on. A listener that
// fails by itself ends Run.
func (s *Server) Add(l net.Listener) (retire func()) {
	names := namesOf(l.Addr())
	for _, h := range s.c.Hosts {
		names.names[h], names.names[h+names.port] = true, true
	}
	own := &listener{Listener: l, server: s, hosts: &names}
	var wrapped net.Listener = own
	if s.c.TLS != nil {
		wrapped = tls.NewListener(wrapped, s.c.TLS)
	}
	retire = sync.OnceFunc(own.retire)
	s.mu.Lock()
	s.retire = append(s.retire, retire)
	s.mu.Unlock()
	s.serving.Go(func() {
		err := s.http.Serve(wrapped)
		_ = l.Close()
		if own.retired.Load() {
			return
		}
		select {
		case s.failed <- err:
		default: // one failure is enough to end Run
		}
	})
	return retire
}

// Run keeps the time of connections until ctx ends, then lets requests under
// way finish for at most drain before it closes what is left, listeners
// included. Its error is that of a listener that failed.
//
// It does not use http.Server.Shutdown, which hangs up on requests that it reads
// after its beginning.
func (s *Server) Run(ctx context.Context, drain time.Duration) error {
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var sweeping sync.WaitGroup
	sweeping.Go(func() { s.sweep(work) })
	var err error
	select {
	case <-ctx.Done():
	case err = <-s.failed:
	}
	end, cancel := context.WithTimeout(work, drain)
	defer cancel()
	for _, retire := range s.retiring() {
		retire()
	}
	s.serving.Wait()
	s.ending.Store(true)
	s.http.SetKeepAlivesEnabled(false) // also closes the idle ones
	s.quiet(end)
	_ = s.http.Close()
	stop()
	sweeping.Wait()
	return err
}

func (s *Server) retiring() []func() {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.retire
}

// quiet waits until no connection is left.
func (s *Server) quiet(ctx context.Context) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for len(s.snapshot()) > 0 {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (s *Server) snapshot() []*Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conns.all()
}

func (s *Server) forget(c *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns.remove(c)
}

// admit counts a new connection; false when there is no room.
func (s *Server) admit(c *Conn) bool {
	if s.add(c, s.c.MaxConnections) {
		return true
	}
	return s.evict() && s.add(c, s.c.MaxConnections+1) // another may have come meanwhile
}

func (s *Server) add(c *Conn, most int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns.n >= most {
		return false
	}
	s.conns.add(c)
	return true
}

// listener hands net/http connections that know their server.
type listener struct {
	net.Listener
	server  *Server
	hosts   *hostNames
	retired atomic.Bool
}

// lastCalls is how long a listener that retires goes on accepting, so that
// clients who are connected as far as they know are not sent away.
const lastCalls = 50 * time.Millisecond

// retire ends Accept soon.
func (l *listener) retire() {
	l.retired.Store(true)
	if d, ok := l.Listener.(interface{ SetDeadline(time.Time) error }); ok && d.SetDeadline(time.Now().Add(lastCalls)) == nil {
		return
	}
	_ = l.Close()
}

// Accept waits for a connection there is room for. Running out of file
// descriptors passes: idle connections are closed to get some back.
func (l *listener) Accept() (net.Conn, error) {
	for {
		nc, err := l.Listener.Accept()
		if err != nil {
			if l.retired.Load() {
				return nil, net.ErrClosed // the deadline's own error would be tried again
			}
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
