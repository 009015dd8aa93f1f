package peercred

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

func testTuple(t testing.TB) tuple {
	t.Helper()
	tu, ok := newTuple(netip.MustParseAddrPort("127.0.0.1:40000"), netip.MustParseAddrPort("127.0.0.1:4144"))
	if !ok {
		t.Fatal("no tuple")
	}
	return tu
}

// reply is the kernel's answer to question seq about t.
func reply(t tuple, seq uint32, state byte, uid, inode uint32) []byte {
	b := make([]byte, replyLen)
	order := binary.NativeEndian
	order.PutUint32(b[0:], replyLen)
	order.PutUint16(b[4:], unix.SOCK_DIAG_BY_FAMILY)
	order.PutUint32(b[8:], seq)
	b[headerLen], b[headerLen+1] = t.family, state
	copy(b[idOffsetInReply:], t.ports[:])
	copy(b[idOffsetInReply+4:], t.addrs[:])
	order.PutUint32(b[uidOffset:], uid)
	order.PutUint32(b[inodeOffset:], inode)
	return b
}

func TestParseAnswer(t *testing.T) {
	tu := testTuple(t)
	good := reply(tu, 7, unix.BPF_TCP_ESTABLISHED, 33, 12345)
	edit := func(f func(b []byte)) []byte {
		b := append([]byte(nil), good...)
		f(b)
		return b
	}
	mapped := func(first []byte) []byte {
		return edit(func(b []byte) {
			b[headerLen] = unix.AF_INET6
			id := b[idOffsetInReply+4:]
			clear(id[:32])
			copy(id, first)
			copy(id[16:], []byte{10: 0xff, 11: 0xff, 12: 127, 15: 1})
		})
	}
	tests := []struct {
		name string
		buf  []byte
		want answer
	}{
		{"found", good, answer{uid: 33, inode: 12345, found: true}},
		{"with attributes behind", append(good[:len(good):len(good)], 1, 2, 3), answer{uid: 33, inode: 12345, found: true}},
		{"root", reply(tu, 7, unix.BPF_TCP_ESTABLISHED, 0, 1), answer{inode: 1, found: true}},
		{"IPv6 socket with mapped addresses", mapped([]byte{10: 0xff, 11: 0xff, 12: 127, 15: 1}), answer{uid: 33, inode: 12345, found: true}},
		{"IPv6 socket with other addresses", mapped([]byte{15: 1}), answer{}},
		{"inode 0 is not root", reply(tu, 7, unix.BPF_TCP_FIN_WAIT2, 0, 0), answer{}},
		{"inode 0 is not its uid either", reply(tu, 7, unix.BPF_TCP_ESTABLISHED, 33, 0), answer{}},
		{"no uid", reply(tu, 7, unix.BPF_TCP_ESTABLISHED, noUID, 5), answer{}},
		{"listener", reply(tu, 7, unix.BPF_TCP_LISTEN, 33, 5), answer{}},
		{"time-wait", reply(tu, 7, unix.BPF_TCP_TIME_WAIT, 33, 5), answer{}},
		{"not yet connected", reply(tu, 7, unix.BPF_TCP_SYN_SENT, 33, 5), answer{}},
		{"state unknown to us", reply(tu, 7, 99, 33, 5), answer{}},
		{"earlier question", reply(tu, 6, unix.BPF_TCP_ESTABLISHED, 33, 5), answer{stale: true}},
		{"other port", edit(func(b []byte) { b[idOffsetInReply]++ }), answer{}},
		{"other address", edit(func(b []byte) { b[idOffsetInReply+4+3]++ }), answer{}},
		{"error message", edit(func(b []byte) { b[4] = unix.NLMSG_ERROR; b[5] = 0 }), answer{}},
		{"cut short", good[:replyLen-1], answer{}},
		{"length that lies", edit(func(b []byte) { binary.NativeEndian.PutUint32(b, 20) }), answer{}},
		{"header only", good[:headerLen], answer{}},
		{"nothing", nil, answer{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := parseAnswer(tt.buf, 7, tu); got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

// socketPair is a diagSocket whose "kernel" is the test.
func socketPair(t *testing.T) (s *diagSocket, kernel int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fds[0]); unix.Close(fds[1]) })
	short := unix.NsecToTimeval(1e6)
	if err := unix.SetsockoptTimeval(fds[0], unix.SOL_SOCKET, unix.SO_RCVTIMEO, &short); err != nil {
		t.Fatal(err)
	}
	return &diagSocket{fd: fds[0]}, fds[1]
}

func send(t *testing.T, fd int, messages ...[]byte) {
	t.Helper()
	for _, m := range messages {
		if _, err := unix.Write(fd, m); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAskSilentKernel(t *testing.T) {
	s, _ := socketPair(t)
	if got := s.ask(testTuple(t)); got != (answer{}) {
		t.Errorf("got %+v", got)
	}
}

func TestAskSkipsLateAnswers(t *testing.T) {
	tu := testTuple(t)
	s, kernel := socketPair(t)
	if got := s.ask(tu); got != (answer{}) { // question 1 times out
		t.Fatalf("got %+v", got)
	}
	send(t, kernel, // and is answered when question 2 is under way
		reply(tu, 1, unix.BPF_TCP_ESTABLISHED, 0, 111),
		reply(tu, 2, unix.BPF_TCP_ESTABLISHED, 33, 222))
	if got, want := s.ask(tu), (answer{uid: 33, inode: 222, found: true}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestAskGivesUpOnEndlessLateAnswers(t *testing.T) {
	tu := testTuple(t)
	s, kernel := socketPair(t)
	const queued = 10 // as many as a datagram socket holds by default
	for range 2 {
		for range queued {
			send(t, kernel, reply(tu, 1000, unix.BPF_TCP_ESTABLISHED, 0, 111))
		}
		if got := s.ask(tu); got != (answer{}) {
			t.Errorf("got %+v", got)
		}
	}
}

func TestLateAnswerOfTheRealKernel(t *testing.T) {
	newLookup(t)
	ln := listen(t, "tcp4", "127.0.0.1:0")
	one, oneServer := pair(t, ln, "tcp", ln.Addr().String())
	two, twoServer := pair(t, ln, "tcp", ln.Addr().String())
	s, err := newDiagSocket()
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	first, _ := newTuple(addrPort(oneServer.RemoteAddr()), addrPort(oneServer.LocalAddr()))
	second, _ := newTuple(addrPort(twoServer.RemoteAddr()), addrPort(twoServer.LocalAddr()))
	s.seq++
	first.putRequest(&s.req, s.seq) // asked, and its answer never read
	send(t, s.fd, s.req[:])
	if got, want := s.ask(second).inode, inodeOf(t, two); got != want {
		t.Errorf("got inode %d, want %d (the earlier question was about %d)", got, want, inodeOf(t, one))
	}
}

func FuzzParseAnswer(f *testing.F) {
	tu := testTuple(f)
	f.Add(reply(tu, 7, unix.BPF_TCP_ESTABLISHED, 33, 12345))
	f.Add(reply(tu, 7, unix.BPF_TCP_LISTEN, 0, 0))
	f.Add(reply(tu, 6, unix.BPF_TCP_ESTABLISHED, 0, 1))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, buf []byte) {
		a := parseAnswer(buf, 7, tu)
		if !a.found && (a.uid != 0 || a.inode != 0) {
			t.Errorf("not found, and yet %+v", a)
		}
		if a.found && (a.inode == 0 || a.stale || len(buf) < replyLen || [4]byte(buf[idOffsetInReply:]) != tu.ports) {
			t.Errorf("found in %x: %+v", buf, a)
		}
	})
}

func TestMapsAll(t *testing.T) {
	for in, want := range map[string]bool{
		"         0          0 4294967295\n": true,
		"         0       1000          1\n": false,
		"0 1000 1\n1 100000 65536\n":         false,
		"":                                   false,
		"         0          0 4294967295\n5 5 1\n": false,
		"         1          1 4294967295\n":        false,
		"0 0 4294967294\n":                          false,
	} {
		if got := mapsAll(in); got != want {
			t.Errorf("mapsAll(%q) = %v", in, got)
		}
	}
}
