package peercred

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Lookup asks the kernel for the owner of the other end of a loopback TCP
// connection (sock_diag(7)). It keeps a few netlink sockets open, so that a
// question costs two system calls and no memory, whatever the number of
// connections. It is safe for use by many goroutines.
type Lookup struct {
	free     chan *diagSocket // those nobody is asking through; closed by Close
	opened   int              // how many there are in all
	unmapped uint32           // see unmappedUID
	shut     sync.Once
}

// sockets is how many questions may be under way at once. Each takes about two
// microseconds of kernel time, so that more would only wait for a processor.
const sockets = 2

// New opens the sockets. It fails only where the system refuses netlink
// altogether; see Supported for whether the answers are any good.
func New() (*Lookup, error) {
	l := &Lookup{free: make(chan *diagSocket, sockets), unmapped: unmappedUID()}
	for range sockets {
		s, err := newDiagSocket()
		if err != nil {
			l.Close()
			return nil, err
		}
		l.free <- s
		l.opened++
	}
	return l, nil
}

// Close closes the sockets once nobody uses them any more. A look-up after
// Close answers "unknown".
func (l *Lookup) Close() {
	l.shut.Do(func() {
		for range l.opened {
			s := <-l.free
			s.close()
		}
		close(l.free)
	})
}

// TCP says who is at the other end of the connection whose addresses, seen from
// our side, are local and remote, that is, who made the socket whose own
// addresses are the reverse. What cannot be told for any reason is an unknown
// peer: a client on another machine, in another network namespace (a
// container) or bound to a device, a client that closed its socket already, a
// kernel without sock_diag.
func (l *Lookup) TCP(local, remote netip.AddrPort) Peer {
	tuple, ok := newTuple(remote, local)
	if !ok {
		return Peer{}
	}
	s, ok := <-l.free
	if !ok {
		return Peer{}
	}
	a := s.ask(tuple)
	l.free <- s
	if !a.found || a.uid == l.unmapped {
		return Peer{}
	}
	return Peer{UID: a.uid, Known: true, Inode: a.inode}
}

// Supported says whether the kernel can tell the user of a loopback TCP peer
// here. It tries: a kernel or sandbox without sock_diag answers every question
// with "no such socket", so that asking is the only way to know.
func Supported() bool {
	own, _ := OwnUID()
	l, err := New()
	if err != nil {
		return false
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		return false
	}
	defer ln.Close()
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp4", ln.Addr().String())
	if err != nil {
		return false
	}
	defer c.Close()
	return l.TCP(addrPort(c.RemoteAddr()), addrPort(c.LocalAddr())).Is(own)
}

func addrPort(a net.Addr) netip.AddrPort {
	if t, ok := a.(*net.TCPAddr); ok {
		return t.AddrPort()
	}
	return netip.AddrPort{}
}

// diagSocket is one netlink socket with its buffers, used by one goroutine at a
// time.
type diagSocket struct {
	fd  int
	seq uint32
	req [requestLen]byte
	buf [4096]byte // an answer without extensions has about 100 bytes
}

// answerTimeout bounds the wait for the kernel, in microseconds. In truth it
// answers before the question's own system call is over.
const answerTimeout = 200_000

func newDiagSocket() (*diagSocket, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return nil, fmt.Errorf("cannot ask the kernel for the owners of connections: %w", err)
	}
	s := &diagSocket{fd: fd}
	// Connected to the kernel (port 0), so that no other process's netlink
	// message ever reaches us.
	if err := unix.Connect(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		s.close()
		return nil, fmt.Errorf("cannot reach the kernel over netlink: %w", err)
	}
	timeout := unix.NsecToTimeval(answerTimeout * 1000)
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout); err != nil {
		s.close()
		return nil, fmt.Errorf("cannot set a time limit on netlink: %w", err)
	}
	return s, nil
}

func (s *diagSocket) close() { unix.Close(s.fd) }

// maxStale is how many answers to earlier questions, which had timed out, are
// skipped before giving up.
const maxStale = 16

// ask sends one question and returns its answer, or one that is not found.
func (s *diagSocket) ask(t tuple) answer {
	s.seq++
	t.putRequest(&s.req, s.seq)
	for {
		_, err := unix.Write(s.fd, s.req[:])
		if err == nil {
			break
		}
		if !errors.Is(err, unix.EINTR) {
			return answer{}
		}
	}
	for range maxStale {
		n, err := unix.Read(s.fd, s.buf[:])
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || n <= 0 {
			return answer{}
		}
		if a := parseAnswer(s.buf[:n], s.seq, t); !a.stale {
			return a
		}
	}
	return answer{}
}
