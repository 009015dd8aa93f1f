//go:build !linux

package linklocal

import (
	"context"
	"net"
	"net/netip"
)

// Lease is the addresses as long as we have them. There is none on this platform.
type Lease struct{}

// Config of a Lease.
type Config struct {
	Warn func(msg string) // told of an address that went and came back; nil: nobody
}

// Take fails on this platform.
func Take(Config) (*Lease, error) {
	return nil, &Error{Msg: "--link-local is for Linux only", Hint: instead}
}

// Listen fails on this platform.
func (*Lease) Listen(context.Context, netip.Addr) (net.Listener, error) { return nil, &Error{} }

// Keep does nothing on this platform.
func (*Lease) Keep(context.Context) error { return nil }

// Problem is always "" on this platform.
func (*Lease) Problem() string { return "" }

// Release does nothing on this platform.
func (*Lease) Release() error { return nil }

// Sweep does nothing on this platform.
func Sweep() (removed []netip.Addr, err error) { return nil, nil }
