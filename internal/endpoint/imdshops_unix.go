//go:build unix

package endpoint

import (
	"syscall"
)

// limitHops sets the IP TTL (IPv6: hop limit) of what is sent on this connection
// from now on, so that a token does not travel further than it should.
func (c *Conn) limitHops(n int) {
	sc, ok := c.Conn.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		if c.local.Addr().Is6() {
			_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IPV6, syscall.IPV6_UNICAST_HOPS, n)
			return
		}
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IP, syscall.IP_TTL, n)
	})
}
