package peercred

import (
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// Unix says who is at the other end of a unix socket, as the kernel noted it
// when the connection was made (LOCAL_PEERCRED, LOCAL_PEERPID). The program's
// name is not told.
func Unix(c *net.UnixConn) (Peer, error) {
	var p Peer
	err := control(c, func(fd int) error {
		cred, err := unix.GetsockoptXucred(fd, unix.SOL_LOCAL, unix.LOCAL_PEERCRED)
		if err != nil {
			return err
		}
		p.UID, p.Known = cred.Uid, true
		// The pid is a courtesy: its absence takes nothing from the uid.
		if pid, err := unix.GetsockoptInt(fd, unix.SOL_LOCAL, unix.LOCAL_PEERPID); err == nil {
			p.PID = int32(pid)
		}
		return nil
	})
	if err != nil {
		return Peer{}, fmt.Errorf("asking the kernel who is at the other end of the unix socket: %w", err)
	}
	return p, nil
}
