//go:build !linux

package peercred

import "net/netip"

// Lookup asks for the owner of the other end of a loopback TCP connection.
// This platform does not tell without special rights, so that every TCP peer is
// unknown and needs the authorization token.
type Lookup struct{}

// New never fails on this platform.
func New() (*Lookup, error) { return &Lookup{}, nil }

// Close does nothing on this platform.
func (*Lookup) Close() {}

// TCP always answers "unknown" on this platform.
func (*Lookup) TCP(_, _ netip.AddrPort) Peer { return Peer{} }

// Supported says whether the kernel can tell the user of a loopback TCP peer:
// not on this platform.
func Supported() bool { return false }

// Processes finds the processes that hold sockets: none on this platform.
func Processes(_ []uint32, _ ...uint32) map[uint32]Process { return nil }
