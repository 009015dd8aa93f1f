package endpoint

import "syscall"

// limitHops sets the IP TTL of what is sent on this connection from now on.
func (c *Conn) limitHops(n int) {
	sc, ok := c.Conn.(syscall.Conn)
	if !ok || c.local.Addr().Is6() {
		return
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return
	}
	const ipTTL = 4
	_ = raw.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(syscall.Handle(fd), syscall.IPPROTO_IP, ipTTL, n) })
}
