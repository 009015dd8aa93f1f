package daemon

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"

	"github.com/coreos/go-systemd/v22/activation"

	"rolecall/internal/config"
	"rolecall/internal/endpoint"
	"rolecall/internal/harden"
	"rolecall/internal/usererr"
)

// Names of the endpoints, as in logs, metrics and status.
const (
	ecsEndpoint  = "ecs"
	imdsEndpoint = "imds"
)

// binding is one listener that is in force.
type binding struct {
	endpoint string
	from     origin
	wanted   config.ListenAddr // where it is from the settings
	ln       net.Listener
	url      string
	open     bool // clients are let in
	retire   func()
}

// origin says where a listener is from. No reload changes any but those of the
// settings.
type origin int

const (
	fromSettings  origin = iota
	fromSystemd          // in place of all that the settings name for its endpoint
	fromLinkLocal        // beside them
)

// listen makes the endpoints' servers and binds their listeners: those that
// systemd hands over, else those of the configuration.
func (d *daemon) listen(s config.Config) error {
	sc := endpoint.ServerConfig{
		Handler: endpoint.NewECS(endpoint.ECSConfig{Guard: d.guard, Slots: d.shelf(), Shelf: d.shelf(), Auditor: d.audit,
			Metrics: d.metricsOnTCP()}),
		MaxConnections: harden.ConnectionRoom(s.MaxConnections),
		ErrorLog:       httpLog(d.log),
	}
	if !d.c.Private {
		room := sc.MaxConnections / imdsShare
		if len(s.IMDS.Listen) > 0 || s.LinkLocal {
			sc.MaxConnections -= room
		}
		d.imds = d.newMetadata(s, max(1, room))
	}
	if d.peers != nil {
		sc.Peers = d.peers
	}
	if s.TLS.Cert != "" {
		pair, err := loadPair(s.TLS, d.log)
		if err != nil {
			return err
		}
		sc.TLS = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: pair.get, NextProtos: []string{"http/1.1"}}
	}
	d.server = endpoint.NewServer(sc)
	if err := d.listenECS(s); err != nil {
		return err
	}
	return d.listenMetadata(s)
}

func (d *daemon) listenECS(s config.Config) error {
	handed, err := handedOver()
	if err != nil {
		return err
	}
	if len(handed) > 0 {
		for _, ln := range handed {
			d.bind(binding{endpoint: ecsEndpoint, from: fromSystemd, ln: ln})
		}
		return nil
	}
	bound, err := bindAll("--listen", s.Listen)
	if err != nil {
		return err
	}
	for i, ln := range bound {
		d.bind(binding{endpoint: ecsEndpoint, wanted: s.Listen[i], ln: ln})
	}
	return nil
}

// bind adds a listener to those in force. The rest of b is made here.
func (d *daemon) bind(b binding) {
	scheme := "http"
	if b.endpoint == ecsEndpoint && d.began.TLS.Cert != "" {
		scheme = "https"
	}
	b.url, b.retire = scheme+"://"+b.ln.Addr().String()+"/", func() { _ = b.ln.Close() }
	d.boundMu.Lock()
	defer d.boundMu.Unlock()
	d.bound = append(d.bound, b)
}

// open lets clients in at the listeners that are bound and not open yet: once
// all slots are in their places, so that none is said not to be there.
func (d *daemon) open() {
	d.boundMu.Lock()
	defer d.boundMu.Unlock()
	for i := range d.bound {
		if b := &d.bound[i]; !b.open {
			s := d.server
			if b.endpoint == imdsEndpoint {
				s = d.imds.server
			}
			b.open, b.retire = true, s.Add(b.ln)
		}
	}
}

func (d *daemon) listeners() []binding {
	d.boundMu.Lock()
	defer d.boundMu.Unlock()
	return slices.Clone(d.bound)
}

// listening has no TCP keep-alive (setting it takes four system calls for each
// connection, and the endpoint closes idle ones by itself) and no Multipath TCP,
// Go's default, which costs at each read and write and gains nothing here.
func listening() *net.ListenConfig {
	l := &net.ListenConfig{KeepAlive: -1}
	l.SetMultipathTCP(false)
	return l
}

func flagOf(endpoint string) string {
	if endpoint == imdsEndpoint {
		return "--imds"
	}
	return "--listen"
}

// bindAll binds all addresses or none. flag is what names them.
func bindAll(flag string, addrs []config.ListenAddr) (bound []net.Listener, err error) {
	for _, a := range addrs {
		network := "tcp4"
		if a.Addr().Is6() {
			network = "tcp6"
		}
		ln, err := listening().Listen(context.Background(), network, a.String())
		if err != nil {
			for _, b := range bound {
				_ = b.Close()
			}
			return nil, listenError(flag, a, err)
		}
		bound = append(bound, ln)
	}
	return bound, nil
}

func listenError(flag string, a config.ListenAddr, err error) error {
	e := &usererr.Error{Code: usererr.NotConfigured, Err: err}
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		e.Msg = fmt.Sprintf("%s is in use already, by another rolecall or another program", a)
		e.Hint = fmt.Sprintf("look with: rolecall status; or choose another port: rolecall serve %s %s:%d", flag, a.Addr(), a.Port()+1)
	case errors.Is(err, syscall.EACCES):
		e.Msg = fmt.Sprintf("no permission to listen on %s", a)
		e.Hint = "ports below 1024 need root or CAP_NET_BIND_SERVICE; choose another port with " + flag
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		e.Msg = fmt.Sprintf("this machine has no address %s", a.Addr())
		e.Hint = "list its addresses with: ip addr"
	default:
		e.Msg = fmt.Sprintf("cannot listen on %s: %v", a, errors.Unwrap(err))
	}
	return e
}

// handedOver are the TCP listeners of systemd's socket activation.
func handedOver() (tcp []net.Listener, err error) {
	all, err := activation.Listeners()
	if err != nil {
		return nil, &usererr.Error{Code: usererr.NotConfigured, Msg: "the sockets that systemd hands over cannot be used: " + err.Error()}
	}
	for _, ln := range all {
		switch ln.(type) {
		case *net.TCPListener:
			tcp = append(tcp, ln)
		case nil: // not a stream socket
		default:
			_ = ln.Close()
			return nil, &usererr.Error{Code: usererr.NotConfigured, Msg: "systemd hands over a socket that is not TCP", Hint: "use ListenStream=127.0.0.1:4144 in the socket unit"}
		}
	}
	return tcp, nil
}

// rebind brings the listeners in line with the configuration: new ones are
// bound before anything changes, so that a failure leaves all as it was.
func (d *daemon) rebind(s config.Config) (changes []string, err error) {
	bound := d.listeners()
	wanted := map[string][]config.ListenAddr{ecsEndpoint: s.Listen}
	if d.imds != nil {
		wanted[imdsEndpoint] = s.IMDS.Listen
		if err := d.mayServeMetadata(s); err != nil {
			return nil, err
		}
	}
	if slices.ContainsFunc(bound, func(b binding) bool { return b.from == fromSystemd }) {
		delete(wanted, ecsEndpoint)
	}
	var fresh []binding
	for _, name := range []string{ecsEndpoint, imdsEndpoint} {
		var addrs []config.ListenAddr
		for _, a := range wanted[name] {
			if !slices.ContainsFunc(bound, func(b binding) bool { return b.endpoint == name && b.from == fromSettings && b.wanted == a }) {
				addrs = append(addrs, a)
			}
		}
		opened, err := bindAll(flagOf(name), addrs)
		if err != nil {
			for _, b := range fresh {
				_ = b.ln.Close()
			}
			return nil, err
		}
		for i, ln := range opened {
			fresh = append(fresh, binding{endpoint: name, wanted: addrs[i], ln: ln})
		}
	}
	var kept []binding
	for _, b := range bound {
		if b.from != fromSettings || slices.Contains(wanted[b.endpoint], b.wanted) {
			kept = append(kept, b)
			continue
		}
		b.retire()
		changes = append(changes, "no longer listening on "+b.url)
	}
	d.boundMu.Lock()
	d.bound = kept
	d.boundMu.Unlock()
	for _, b := range fresh {
		d.bind(b)
		changes = append(changes, "listening on "+b.ln.Addr().String())
	}
	return changes, nil
}

// isSelf says whether host (host:port) is one of our own listeners, from which
// a source of ours would get its own answer.
func (d *daemon) isSelf(host string) bool {
	h, port, err := net.SplitHostPort(host)
	if err != nil {
		h, port = strings.Trim(host, "[]"), "80"
	}
	ip, err := netip.ParseAddr(h)
	local := h == "localhost" || err == nil && ip.Unmap().IsLoopback()
	for _, b := range d.listeners() {
		own, ok := b.ln.Addr().(*net.TCPAddr)
		if !ok || fmt.Sprint(own.Port) != port {
			continue
		}
		if addr := own.AddrPort().Addr().Unmap(); addr == ip.Unmap() || local && (addr.IsLoopback() || addr.IsUnspecified()) {
			return true
		}
	}
	return false
}
