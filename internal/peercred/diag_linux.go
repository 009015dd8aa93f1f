package peercred

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"
)

// The wire format of linux/netlink.h and linux/inet_diag.h. Everything is in
// the machine's own byte order but ports and addresses.
const (
	headerLen  = 16 // struct nlmsghdr
	idLen      = 48 // struct inet_diag_sockid
	requestLen = headerLen + 8 + idLen
	replyLen   = headerLen + 4 + idLen + 20 // struct inet_diag_msg

	idOffsetInRequest = headerLen + 8
	idOffsetInReply   = headerLen + 4
	uidOffset         = idOffsetInReply + idLen + 12
	inodeOffset       = uidOffset + 4
)

// noUID is the kernel's "no user" (overflow of a 32-bit uid_t).
const noUID = ^uint32(0)

// tuple is the addresses of one TCP socket, seen from its own side, as in
// struct inet_diag_sockid: ports, then two addresses of 16 bytes, IPv4 in the
// first four.
type tuple struct {
	family byte
	ports  [4]byte
	addrs  [32]byte
}

// newTuple describes the socket at src that is connected to dst. It is false
// for addresses that no TCP socket of this machine can have, and for those
// with a zone (link-local), whose interface would have to be looked up.
func newTuple(src, dst netip.AddrPort) (tuple, bool) {
	// A dual-stack listener, and a client such as Java's, show IPv4 as
	// ::ffff:a.b.c.d; the kernel keeps those in its IPv4 tables.
	a, b := src.Addr().Unmap(), dst.Addr().Unmap()
	if a.BitLen() != b.BitLen() || !a.IsValid() || a.Zone() != "" || b.Zone() != "" || src.Port() == 0 || dst.Port() == 0 {
		return tuple{}, false
	}
	t := tuple{family: unix.AF_INET6}
	binary.BigEndian.PutUint16(t.ports[0:], src.Port())
	binary.BigEndian.PutUint16(t.ports[2:], dst.Port())
	if a.Is4() {
		t.family = unix.AF_INET
		a4, b4 := a.As4(), b.As4()
		copy(t.addrs[0:], a4[:])
		copy(t.addrs[16:], b4[:])
	} else {
		a16, b16 := a.As16(), b.As16()
		copy(t.addrs[0:], a16[:])
		copy(t.addrs[16:], b16[:])
	}
	return t, true
}

// putRequest writes the question for exactly this socket: no dump, no
// extensions.
func (t tuple) putRequest(req *[requestLen]byte, seq uint32) {
	*req = [requestLen]byte{}
	order := binary.NativeEndian
	order.PutUint32(req[0:], requestLen)
	order.PutUint16(req[4:], unix.SOCK_DIAG_BY_FAMILY)
	order.PutUint16(req[6:], unix.NLM_F_REQUEST)
	order.PutUint32(req[8:], seq)
	req[headerLen] = t.family
	req[headerLen+1] = unix.IPPROTO_TCP
	order.PutUint32(req[headerLen+4:], ^uint32(0)) // all states
	id := req[idOffsetInRequest:]
	copy(id[0:], t.ports[:])
	copy(id[4:], t.addrs[:])
	order.PutUint64(id[40:], ^uint64(0)) // INET_DIAG_NOCOOKIE, twice
}

// answer is what the kernel said about a socket.
type answer struct {
	uid, inode uint32
	found      bool // the socket is there, is connected, and has an owner
	stale      bool // this belongs to an earlier question: read on
}

// parseAnswer reads one datagram that came after question seq about t. All that
// is not exactly the socket asked for is "not found".
func parseAnswer(buf []byte, seq uint32, t tuple) answer {
	order := binary.NativeEndian
	if len(buf) < headerLen {
		return answer{}
	}
	if order.Uint32(buf[8:]) != seq {
		return answer{stale: true}
	}
	// NLMSG_ERROR is the usual way to say ENOENT.
	if order.Uint16(buf[4:]) != unix.SOCK_DIAG_BY_FAMILY || len(buf) < replyLen || order.Uint32(buf[0:]) < replyLen {
		return answer{}
	}
	// Where no connection has these addresses, the kernel goes on to look for
	// a listener on the port, so that somebody's listener would vouch for a
	// client whose port (on any machine!) happens to be the same.
	if !connected(buf[headerLen+1]) || !t.matches(buf[headerLen], buf[idOffsetInReply:]) {
		return answer{}
	}
	a := answer{uid: order.Uint32(buf[uidOffset:]), inode: order.Uint32(buf[inodeOffset:]), found: true}
	// A socket that its owner has closed is still there for a while, with
	// inode 0 and uid 0, which is nobody and not root.
	if a.inode == 0 || a.uid == noUID {
		return answer{}
	}
	return a
}

// connected says whether a socket in TCP state s can be the client of a
// connection that we have accepted: its handshake is done, and it is neither a
// listener nor a mere reminder (TIME_WAIT) of a connection.
func connected(s byte) bool {
	switch s {
	case unix.BPF_TCP_ESTABLISHED, unix.BPF_TCP_FIN_WAIT1, unix.BPF_TCP_FIN_WAIT2,
		unix.BPF_TCP_CLOSE_WAIT, unix.BPF_TCP_CLOSING, unix.BPF_TCP_LAST_ACK:
		return true
	}
	return false
}

// matches says whether id, a struct inet_diag_sockid of a socket of the given
// family, has the very addresses of t.
func (t tuple) matches(family byte, id []byte) bool {
	if [4]byte(id[0:4]) != t.ports {
		return false
	}
	got := [32]byte(id[4:36])
	if family == t.family {
		return got == t.addrs
	}
	// An IPv6 socket that speaks IPv4 has mapped addresses.
	if family != unix.AF_INET6 || t.family != unix.AF_INET {
		return false
	}
	a, b := netip.AddrFrom16([16]byte(got[:16])), netip.AddrFrom16([16]byte(got[16:]))
	return a.Is4In6() && b.Is4In6() && a.Unmap() == netip.AddrFrom4([4]byte(t.addrs[:4])) &&
		b.Unmap() == netip.AddrFrom4([4]byte(t.addrs[16:20]))
}
