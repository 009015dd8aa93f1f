// Package faultproxy is a TCP proxy on loopback that breaks connections on
// order, for tests.
package faultproxy

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Fault is what happens to connections. The zero Fault passes all on.
type Fault struct {
	Reset bool          // a RST at once
	Hole  bool          // connected, and then nothing: not a byte is passed on
	Delay time.Duration // before the first byte of the answer
	Drip  time.Duration // before each byte of the answer
	Cut   int           // the connection ends after this many bytes of the answer; zero: it does not
}

// Proxy passes connections on to one target.
type Proxy struct {
	target string
	ln     net.Listener
	fault  atomic.Pointer[Fault]
	conns  atomic.Int64
	done   chan struct{}
	wg     sync.WaitGroup

	mu   sync.Mutex // guards open
	open map[net.Conn]bool
}

// Start makes a proxy for target, a host:port.
func Start(target string) (*Proxy, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{target: target, ln: ln, done: make(chan struct{}), open: map[net.Conn]bool{}}
	p.Set(Fault{})
	p.wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			p.conns.Add(1)
			p.wg.Go(func() { p.serve(c, *p.fault.Load()) })
		}
	})
	return p, nil
}

// Addr is host:port of the proxy.
func (p *Proxy) Addr() string { return p.ln.Addr().String() }

// Set is what happens to connections from now on; those that are open are cut.
func (p *Proxy) Set(f Fault) {
	p.fault.Store(&f)
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.open {
		_ = c.Close()
	}
}

// Conns is how many connections came in so far.
func (p *Proxy) Conns() int { return int(p.conns.Load()) }

// Close ends all connections and waits for that.
func (p *Proxy) Close() error {
	err := p.ln.Close()
	close(p.done)
	p.Set(Fault{})
	p.wg.Wait()
	return err
}

func (p *Proxy) track(c net.Conn, open bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if open {
		p.open[c] = true
	} else {
		delete(p.open, c)
	}
}

func (p *Proxy) serve(client net.Conn, f Fault) {
	p.track(client, true)
	defer func() { p.track(client, false); _ = client.Close() }()
	if f.Reset {
		_ = client.(*net.TCPConn).SetLinger(0)
		return
	}
	if f.Hole {
		_, _ = io.Copy(io.Discard, client) // until the client gives up
		return
	}
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	p.track(server, true)
	defer func() { p.track(server, false); _ = server.Close() }()
	p.wg.Go(func() {
		_, _ = io.Copy(server, client)
		_ = server.(*net.TCPConn).CloseWrite()
	})
	p.answer(client, server, f)
}

func (p *Proxy) answer(client io.Writer, server io.Reader, f Fault) {
	buf := make([]byte, 32<<10)
	if f.Drip > 0 {
		buf = buf[:1]
	}
	for wait, left := f.Delay, f.Cut; ; wait = 0 {
		n, err := server.Read(buf)
		if f.Cut > 0 {
			n = min(n, left)
			left -= n
		}
		if n > 0 && !p.pause(wait+f.Drip) {
			return
		}
		if _, failed := client.Write(buf[:n]); failed != nil || err != nil || f.Cut > 0 && left == 0 {
			return
		}
	}
}

func (p *Proxy) pause(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	select {
	case <-time.After(d):
		return true
	case <-p.done:
		return false
	}
}
