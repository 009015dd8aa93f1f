package peercred

import (
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// Unix says who connected to (or, seen from a client, listens on) a unix
// socket, as the kernel noted it when the connection was made (SO_PEERCRED).
func Unix(c *net.UnixConn) (Peer, error) {
	var cred *unix.Ucred
	err := control(c, func(fd int) (err error) {
		cred, err = unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
		return err
	})
	if err != nil {
		return Peer{}, fmt.Errorf("asking the kernel who is at the other end of the unix socket: %w", err)
	}
	p := Peer{PID: cred.Pid} // 0 from another pid namespace
	if cred.Uid != noUID && cred.Uid != unmappedUID() {
		p.UID, p.Known = cred.Uid, true
	}
	if p.PID > 0 {
		p.Program = programOf(p.PID)
	}
	return p, nil
}
