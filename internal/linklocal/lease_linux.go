package linklocal

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Config of a Lease.
type Config struct {
	Warn func(msg string) // told of an address that went and came back; nil: nobody
}

// mark is the label of our addresses. Only who may add addresses can write it,
// and it is gone with the address, so that it is the record of what we added.
const mark = "lo:rolecall"

// keepEvery is how often Keep looks whether the addresses are there.
const keepEvery = 2 * time.Second

// Lease is the addresses as long as we have them.
type Lease struct {
	warn    func(string)
	problem atomic.Pointer[string]

	mu    sync.Mutex // guards what follows
	added []netip.Addr
	ours  []netip.Addr // added, and those found with our mark, once they are ours for sure; see Listen
	found []netip.Addr
	ended bool
}

// Take adds the addresses. Those that a rolecall left behind are used as they
// are. It refuses where one of them is somebody else's already, and where the
// services that they belong to can be reached from here; then nothing has
// changed. Its error is an *Error.
func Take(c Config) (*Lease, error) {
	k, err := dial()
	if err != nil {
		return nil, failure(err)
	}
	defer k.close()
	there, err := k.addresses()
	if err != nil {
		return nil, failure(err)
	}
	l := &Lease{warn: c.Warn}
	if l.warn == nil {
		l.warn = func(string) {}
	}
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		return nil, failure(err)
	}
	for _, a := range all() {
		i := slices.IndexFunc(there, func(x address) bool { return x.addr == a })
		if i >= 0 && there[i].ours(lo.Index) {
			l.found = append(l.found, a)
			continue
		}
		if i >= 0 {
			return nil, hides(a, "is an address of the interface "+there[i].device()+" already")
		}
		if err := k.reachable(a, machine()); err != nil {
			return nil, err
		}
	}
	for _, a := range all() {
		if slices.Contains(l.found, a) {
			continue
		}
		if err := k.add(a, lo.Index); err != nil {
			_ = l.Release()
			return nil, failure(err)
		}
		l.added = append(l.added, a)
	}
	if err := k.up(lo.Index); err != nil {
		_ = l.Release()
		return nil, failure(err)
	}
	l.ours = slices.Clone(l.added)
	return l, nil
}

// Listen listens on one of the addresses, at Port, for connections that arrive
// over the loopback interface alone: a neighbour on the network who sends to
// that address gets no answer. All three must be listened on before Release
// takes away what a crash has left behind: until then those may be another
// rolecall's that runs.
func (l *Lease) Listen(ctx context.Context, a netip.Addr) (net.Listener, error) {
	lc := net.ListenConfig{KeepAlive: -1, Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) {
			// Old kernels want CAP_NET_RAW for it. Who is at the other end is checked all the same.
			_ = unix.BindToDevice(int(fd), "lo")
		})
	}}
	lc.SetMultipathTCP(false)
	ln, err := lc.Listen(ctx, "tcp4", netip.AddrPortFrom(a, Port).String())
	if err != nil {
		return nil, listenFailure(a, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if slices.Contains(l.found, a) {
		l.ours = append(l.ours, a)
	}
	return ln, nil
}

// Keep adds again what somebody took away, e.g. by restarting the interface,
// until ctx ends.
func (l *Lease) Keep(ctx context.Context) error {
	tick := time.NewTicker(keepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		back, err := l.restore()
		if err != nil {
			text := "an address of --link-local is gone and cannot be added again: " + err.Error()
			if old := l.problem.Swap(&text); old == nil || *old != text {
				l.warn(text)
			}
			continue
		}
		l.problem.Store(nil)
		for _, a := range back {
			l.warn(a.String() + " was gone from the loopback interface and is there again")
		}
	}
}

func (l *Lease) restore() (back []netip.Addr, err error) {
	k, err := dial()
	if err != nil {
		return nil, err
	}
	defer k.close()
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		return nil, err
	}
	there, err := k.addresses()
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return nil, nil
	}
	for _, a := range all() {
		if slices.ContainsFunc(there, func(x address) bool { return x.addr == a }) {
			continue
		}
		if err := k.add(a, lo.Index); err != nil {
			return back, failure(err)
		}
		back = append(back, a)
		if !slices.Contains(l.ours, a) {
			l.ours = append(l.ours, a)
		}
	}
	return back, k.up(lo.Index)
}

// Problem is what is wrong with the addresses at present, or "".
func (l *Lease) Problem() string {
	if p := l.problem.Load(); p != nil {
		return *p
	}
	return ""
}

// Release takes the addresses away, but for those that are not ours.
func (l *Lease) Release() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return nil
	}
	l.ended = true
	return remove(slices.Concat(l.ours, l.added))
}

// Sweep takes away what a rolecall that crashed has left behind, if it may: the
// addresses with our mark at which nobody listens.
func Sweep() (removed []netip.Addr, err error) {
	k, err := dial()
	if err != nil {
		return nil, nil // no netlink: nobody could have added anything
	}
	defer k.close()
	there, err := k.addresses()
	if err != nil {
		return nil, nil
	}
	for _, x := range there {
		if x.label != mark || !slices.Contains(all(), x.addr) || listened(x.addr) {
			continue
		}
		if err := k.remove(x.addr, x.index); err != nil {
			return removed, failure(err)
		}
		removed = append(removed, x.addr)
	}
	return removed, nil
}

// listened says whether somebody has the port. Ports below 1024 are not for
// everybody, so that nobody can pretend.
func listened(a netip.Addr) bool {
	ln, err := net.Listen("tcp4", netip.AddrPortFrom(a, Port).String())
	if err == nil {
		_ = ln.Close()
	}
	return errors.Is(err, syscall.EADDRINUSE)
}

// remove takes our addresses off the loopback interface.
func remove(addrs []netip.Addr) error {
	if len(addrs) == 0 {
		return nil
	}
	k, err := dial()
	if err != nil {
		return failure(err)
	}
	defer k.close()
	there, err := k.addresses()
	if err != nil {
		return failure(err)
	}
	var errs []error
	for _, x := range there {
		if x.label == mark && slices.Contains(addrs, x.addr) {
			if err := k.remove(x.addr, x.index); err != nil {
				errs = append(errs, failure(err))
			}
		}
	}
	return errors.Join(errs...)
}

// capabilities is how a program gets what it needs here without being root.
func capabilities() string {
	self, err := os.Executable()
	if err != nil || strings.ContainsAny(self, " '\"$`\\") {
		self = "rolecall"
	}
	return "sudo setcap cap_net_admin,cap_net_bind_service+ep " + self + ", or run it as root; or without: " + instead
}

func failure(err error) error {
	var known *Error
	if errors.As(err, &known) {
		return known
	}
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		return &Error{Msg: "--link-local needs root or CAP_NET_ADMIN to add addresses to the loopback interface", Hint: capabilities(), Err: err}
	}
	return &Error{Msg: fmt.Sprintf("the addresses of --link-local cannot be put on the loopback interface: %v", err), Hint: instead, Err: err}
}

func listenFailure(a netip.Addr, err error) error {
	at := netip.AddrPortFrom(a, Port)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return &Error{Msg: fmt.Sprintf("%s is in use already, by another rolecall or another program that listens at port %d of all addresses", at, Port),
			Hint: fmt.Sprintf("see which with: ss -ltnp 'sport = :%d'", Port), Err: err}
	case errors.Is(err, syscall.EACCES):
		return &Error{Msg: fmt.Sprintf("no permission to listen on %s", at), Hint: capabilities(), Err: err}
	}
	return &Error{Msg: fmt.Sprintf("cannot listen on %s: %v", at, err), Err: err}
}
