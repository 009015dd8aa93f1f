package endpoint

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"rolecall/internal/peercred"
)

// Conn is one client's connection and what is known of its other end. It is
// looked up once, at the first request that needs it.
type Conn struct {
	net.Conn
	server *Server
	hosts  *hostNames
	remote netip.AddrPort
	local  netip.AddrPort

	once  sync.Once
	peer  peercred.Peer // see Peer
	phase atomic.Uint64 // what it does, and since which tick; see sweep.go
	gone  sync.Once

	deadlines atomic.Bool // one was set once
	token     opened      // of IMDS; for the one request under way

	next, prev *Conn // guarded by server.mu, like listed
	listed     bool
}

type connKey struct{}

// connOf finds the connection of a request.
func connOf(r *http.Request) *Conn {
	c, _ := r.Context().Value(connKey{}).(*Conn)
	return c
}

// unwrap finds the Conn below TLS.
func unwrap(c net.Conn) *Conn {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	conn, _ := c.(*Conn)
	return conn
}

// Peer is who is at the other end, asked of the kernel once.
func (c *Conn) Peer() peercred.Peer {
	c.once.Do(c.lookUp)
	return c.peer
}

func (c *Conn) lookUp() {
	if c.server.c.Peers != nil && (c.server.c.AskAll || c.sameHost()) {
		c.peer = c.server.c.Peers.TCP(c.local, c.remote)
	}
}

func (c *Conn) loopback() bool {
	return c.remote.Addr().IsLoopback() && c.local.Addr().IsLoopback()
}

// sameHost says whether the other end can only be on this machine: on loopback,
// or at the very link-local address that it connected to (Linux gives a client
// of an address of its own machine that address).
func (c *Conn) sameHost() bool {
	return c.loopback() || c.remote.Addr() == c.local.Addr() && c.local.Addr().IsLinkLocalUnicast()
}

// localHost is the connection's own address as a Host header has it.
func (c *Conn) localHost() string {
	return netip.AddrPortFrom(c.local.Addr(), c.local.Port()).String()
}

// SetReadDeadline leaves out what net/http does twice a request for nothing
// here: taking away a deadline where none was ever set, and setting one in 1970
// to end the read of one byte that ends by itself, see Read. Below TLS there is
// no such read.
func (c *Conn) SetReadDeadline(t time.Time) error {
	if !c.deadlines.Load() && (t.IsZero() || t.Unix() == 1 && c.server.c.TLS == nil) {
		return nil
	}
	c.deadlines.Store(true)
	return c.Conn.SetReadDeadline(t)
}

// SetWriteDeadline does not take away what was never set either.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	if t.IsZero() && !c.deadlines.Load() {
		return nil
	}
	c.deadlines.Store(true)
	return c.Conn.SetWriteDeadline(t)
}

// Close closes the connection; the server forgets it the first time.
func (c *Conn) Close() error {
	c.gone.Do(func() { c.server.forget(c) })
	return c.Conn.Close()
}

func addrPort(a net.Addr) netip.AddrPort {
	if t, ok := a.(*net.TCPAddr); ok {
		ap := t.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return netip.AddrPort{}
}
