package linklocal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// kernel is a conversation over rtnetlink(7).
type kernel struct {
	fd  int
	seq uint32
	buf []byte
}

func dial() (*kernel, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("netlink: %w", err)
	}
	k := &kernel{fd: fd, buf: make([]byte, 32<<10)} // what one datagram of a dump may hold
	timeout := unix.NsecToTimeval(2e9)
	if err := errors.Join(
		unix.Connect(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout)); err != nil {
		k.close()
		return nil, fmt.Errorf("netlink: %w", err)
	}
	return k, nil
}

func (k *kernel) close() { _ = unix.Close(k.fd) }

// message is one answer of the kernel.
type message struct {
	kind uint16
	body []byte
}

// ask sends one request and returns the answers to it; EPERM and the like are
// errors.
func (k *kernel) ask(kind, flags uint16, body []byte) (answers []message, err error) {
	k.seq++
	req := make([]byte, unix.NLMSG_HDRLEN, unix.NLMSG_HDRLEN+len(body))
	order := binary.NativeEndian
	order.PutUint32(req[0:], uint32(cap(req)))
	order.PutUint16(req[4:], kind)
	order.PutUint16(req[6:], flags|unix.NLM_F_REQUEST)
	order.PutUint32(req[8:], k.seq)
	if _, err := unix.Write(k.fd, append(req, body...)); err != nil {
		return nil, fmt.Errorf("netlink: %w", err)
	}
	for {
		n, err := unix.Read(k.fd, k.buf)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("netlink: %w", err)
		}
		more, done, err := parseMessages(k.buf[:n], k.seq)
		answers = append(answers, more...)
		if err != nil || done || flags&(unix.NLM_F_DUMP|unix.NLM_F_ACK) == 0 {
			return answers, err
		}
	}
}

// parseMessages reads one datagram; done says that the last answer was in it.
func parseMessages(b []byte, seq uint32) (list []message, done bool, err error) {
	order := binary.NativeEndian
	for len(b) >= unix.NLMSG_HDRLEN {
		n := int(order.Uint32(b))
		if n < unix.NLMSG_HDRLEN || n > len(b) {
			return list, true, errors.New("netlink: an answer that cannot be read")
		}
		kind, body := order.Uint16(b[4:]), b[unix.NLMSG_HDRLEN:n]
		own := order.Uint32(b[8:]) == seq
		b = b[min(len(b), align(n)):]
		switch {
		case !own:
		case kind == unix.NLMSG_DONE:
			return list, true, nil
		case kind == unix.NLMSG_ERROR:
			if len(body) < 4 {
				return list, true, errors.New("netlink: an answer that cannot be read")
			}
			if code := int32(order.Uint32(body)); code != 0 {
				return list, true, fmt.Errorf("netlink: %w", unix.Errno(-code))
			}
			return list, true, nil
		default:
			list = append(list, message{kind, append([]byte(nil), body...)})
		}
	}
	return list, false, nil
}

func align(n int) int { return (n + 3) &^ 3 }

// attribute appends one.
func attribute(b []byte, kind uint16, value []byte) []byte {
	b = binary.NativeEndian.AppendUint16(b, uint16(4+len(value)))
	b = binary.NativeEndian.AppendUint16(b, kind)
	b = append(b, value...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

// attributes reads those behind a message's fixed part.
func attributes(b []byte, each func(kind uint16, value []byte)) {
	order := binary.NativeEndian
	for len(b) >= 4 {
		n := int(order.Uint16(b))
		if n < 4 || n > len(b) {
			return
		}
		each(order.Uint16(b[2:])&^uint16(unix.NLA_F_NESTED|unix.NLA_F_NET_BYTEORDER), b[4:n])
		b = b[min(len(b), align(n)):]
	}
}

// address is one IPv4 address of one interface.
type address struct {
	addr  netip.Addr
	index int
	label string
}

func (a address) ours(lo int) bool { return a.index == lo && a.label == mark }

func (a address) device() string {
	i, err := net.InterfaceByIndex(a.index)
	if err != nil {
		return fmt.Sprintf("number %d", a.index)
	}
	return i.Name
}

func (k *kernel) addresses() (list []address, err error) {
	answers, err := k.ask(unix.RTM_GETADDR, unix.NLM_F_DUMP, []byte{unix.AF_INET, 0, 0, 0, 0, 0, 0, 0})
	if err != nil {
		return nil, err
	}
	for _, m := range answers {
		if a, ok := parseAddress(m); ok {
			list = append(list, a)
		}
	}
	return list, nil
}

func parseAddress(m message) (a address, ok bool) {
	if m.kind != unix.RTM_NEWADDR || len(m.body) < unix.SizeofIfAddrmsg || m.body[0] != unix.AF_INET {
		return a, false
	}
	a.index = int(binary.NativeEndian.Uint32(m.body[4:]))
	attributes(m.body[unix.SizeofIfAddrmsg:], func(kind uint16, v []byte) {
		switch {
		case kind == unix.IFA_LOCAL && len(v) == 4:
			a.addr = netip.AddrFrom4([4]byte(v))
		case kind == unix.IFA_LABEL && len(v) > 0:
			a.label = string(v[:len(v)-1]) // without its NUL
		}
	})
	return a, a.addr.IsValid()
}

// add puts an address with our mark on an interface. Its scope is the machine,
// so that it never becomes the source of what goes out.
func (k *kernel) add(a netip.Addr, index int) error {
	_, err := k.ask(unix.RTM_NEWADDR, unix.NLM_F_ACK|unix.NLM_F_CREATE|unix.NLM_F_EXCL, addressBody(a, index))
	return err
}

func (k *kernel) remove(a netip.Addr, index int) error {
	_, err := k.ask(unix.RTM_DELADDR, unix.NLM_F_ACK, addressBody(a, index))
	if errors.Is(err, unix.EADDRNOTAVAIL) {
		return nil // gone already
	}
	return err
}

func addressBody(a netip.Addr, index int) []byte {
	b := []byte{unix.AF_INET, 32, 0, unix.RT_SCOPE_HOST}
	b = binary.NativeEndian.AppendUint32(b, uint32(index))
	b4 := a.As4()
	b = attribute(b, unix.IFA_LOCAL, b4[:])
	b = attribute(b, unix.IFA_ADDRESS, b4[:])
	return attribute(b, unix.IFA_LABEL, append([]byte(mark), 0))
}

// up brings the loopback interface up, which it is everywhere but in a network
// namespace that was just made.
func (k *kernel) up(index int) error {
	if i, err := net.InterfaceByIndex(index); err == nil && i.Flags&net.FlagUp != 0 {
		return nil
	}
	b := make([]byte, unix.SizeofIfInfomsg)
	binary.NativeEndian.PutUint32(b[4:], uint32(index))
	binary.NativeEndian.PutUint32(b[8:], unix.IFF_UP)
	binary.NativeEndian.PutUint32(b[12:], unix.IFF_UP)
	_, err := k.ask(unix.RTM_NEWLINK, unix.NLM_F_ACK, b)
	return err
}

// reachable says why an address must be left alone: the service it belongs to
// may answer there now. It asks the routing table and no network.
func (k *kernel) reachable(a netip.Addr, m facts) error {
	b := make([]byte, unix.SizeofRtMsg)
	b[0], b[1] = unix.AF_INET, 32
	binary.NativeEndian.PutUint32(b[8:], unix.RTM_F_LOOKUP_TABLE|rtmFIBMatch)
	b4 := a.As4()
	answers, err := k.ask(unix.RTM_GETROUTE, 0, attribute(b, unix.RTA_DST, b4[:]))
	if err != nil || len(answers) == 0 || answers[0].kind != unix.RTM_NEWROUTE || len(answers[0].body) < unix.SizeofRtMsg {
		return nil // no way leads there
	}
	switch route := answers[0].body; {
	case route[1] == 32 && route[7] == unix.RTN_UNICAST:
		return hides(a, "has a route of its own")
	case a == Metadata && m.cloud != "":
		return hides(a, "is at work, as this is a machine of "+m.cloud)
	case a == Container && m.task:
		return hides(a, "is at work, as this is a container of ECS")
	}
	return nil
}

const rtmFIBMatch = 0x2000 // RTM_F_FIB_MATCH: the route as it stands in the table
