package peercred

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func newLookup(t testing.TB) *Lookup {
	t.Helper()
	if !Supported() {
		t.Skip("this kernel or sandbox has no sock_diag")
	}
	l, err := New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

func listen(t testing.TB, network, addr string) net.Listener {
	t.Helper()
	ln, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln
}

func accept(t testing.TB, ln net.Listener) net.Conn {
	t.Helper()
	c, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// pair returns both ends of a connection to ln.
func pair(t testing.TB, ln net.Listener, network, addr string) (client, server *net.TCPConn) {
	t.Helper()
	c, err := net.Dial(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.(*net.TCPConn), accept(t, ln).(*net.TCPConn)
}

// ask looks the client of an accepted connection up.
func ask(l *Lookup, server net.Conn) Peer {
	return l.TCP(addrPort(server.LocalAddr()), addrPort(server.RemoteAddr()))
}

func inodeOf(t testing.TB, c syscall.Conn) uint32 {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var st unix.Stat_t
	if cerr := raw.Control(func(fd uintptr) { err = unix.Fstat(int(fd), &st) }); cerr != nil || err != nil {
		t.Fatal(cerr, err)
	}
	return uint32(st.Ino)
}

// Tests are skipped where Supported says no, so what it says is checked against
// another kind of question: a dump, which a kernel with sock_diag answers with
// anything but an error.
func TestSupported(t *testing.T) {
	if got, want := Supported(), dumpAnswered(t); got != want {
		t.Errorf("Supported() = %v, and the kernel answers a dump: %v", got, want)
	}
}

func dumpAnswered(t *testing.T) bool {
	t.Helper()
	s, err := newDiagSocket()
	if err != nil {
		t.Log(err)
		return false
	}
	defer s.close()
	(tuple{family: unix.AF_INET}).putRequest(&s.req, 1)
	binary.NativeEndian.PutUint16(s.req[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	send(t, s.fd, s.req[:])
	n, err := unix.Read(s.fd, s.buf[:])
	if err != nil || n < headerLen {
		t.Fatal(n, err)
	}
	return binary.NativeEndian.Uint16(s.buf[4:]) != unix.NLMSG_ERROR
}

func TestTCPKnowsItsClient(t *testing.T) {
	l := newLookup(t)
	own, _ := OwnUID()
	tests := []struct{ name, network, listen, dial string }{
		{"IPv4", "tcp4", "127.0.0.1:0", "127.0.0.1"},
		{"another loopback address", "tcp4", "127.0.0.77:0", "127.0.0.77"},
		{"IPv6", "tcp6", "[::1]:0", "[::1]"},
		{"IPv4 client of a dual-stack listener", "tcp", "[::]:0", "127.0.0.1"},
		{"IPv6 client of a dual-stack listener", "tcp", "[::]:0", "[::1]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ln, err := net.Listen(tt.network, tt.listen)
			if err != nil {
				t.Skipf("this machine has no %s: %v", tt.network, err)
			}
			defer ln.Close()
			_, port, _ := net.SplitHostPort(ln.Addr().String())
			client, server := pair(t, ln, "tcp", tt.dial+":"+port)
			got := ask(l, server)
			if !got.Is(own) || got.Inode != inodeOf(t, client) {
				t.Errorf("got %+v, want uid %d, inode %d", got, own, inodeOf(t, client))
			}
			// The same with IPv4 written as IPv6, as some listeners report it.
			local, remote := addrPort(server.LocalAddr()), addrPort(server.RemoteAddr())
			mapped := func(a netip.AddrPort) netip.AddrPort {
				return netip.AddrPortFrom(netip.AddrFrom16(a.Addr().As16()), a.Port())
			}
			if again := l.TCP(mapped(local), mapped(remote)); again != got {
				t.Errorf("with mapped addresses: %+v, want %+v", again, got)
			}
			// The other direction is the server's own socket.
			if back := l.TCP(remote, local); back.Inode != inodeOf(t, server) {
				t.Errorf("the reverse look-up gave inode %d, want %d", back.Inode, inodeOf(t, server))
			}
		})
	}
}

// Java's clients speak IPv4 through an IPv6 socket.
func TestTCPMappedClientSocket(t *testing.T) {
	l := newLookup(t)
	ln := listen(t, "tcp4", "127.0.0.1:0")
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Skipf("this machine has no IPv6: %v", err)
	}
	defer unix.Close(fd)
	to := &unix.SockaddrInet6{Port: ln.Addr().(*net.TCPAddr).Port, Addr: netip.MustParseAddr("::ffff:127.0.0.1").As16()}
	if err := unix.Connect(fd, to); err != nil {
		t.Fatal(err)
	}
	own, _ := OwnUID()
	if got := ask(l, accept(t, ln)); !got.Is(own) || got.Inode == 0 {
		t.Errorf("got %+v, want uid %d", got, own)
	}
}

func TestTCPHalfClosedClient(t *testing.T) {
	l := newLookup(t)
	ln := listen(t, "tcp4", "127.0.0.1:0")
	client, server := pair(t, ln, "tcp", ln.Addr().String())
	if err := client.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if _, err := server.Read(make([]byte, 1)); err == nil {
		t.Fatal("the client's FIN has not arrived")
	}
	own, _ := OwnUID()
	if got := ask(l, server); !got.Is(own) || got.Inode != inodeOf(t, client) {
		t.Errorf("got %+v, want uid %d", got, own)
	}
}

// A client that closed comes back from the kernel as uid 0, inode 0, or as
// nothing, and must be unknown either way, above all not root.
func TestTCPClientGone(t *testing.T) {
	l := newLookup(t)
	ln := listen(t, "tcp4", "127.0.0.1:0")
	for name, linger := range map[string]int{"closed": -1, "reset": 0} {
		t.Run(name, func(t *testing.T) {
			client, server := pair(t, ln, "tcp", ln.Addr().String())
			if err := client.SetLinger(linger); err != nil {
				t.Fatal(err)
			}
			client.Close()
			if got := ask(l, server); got != (Peer{}) {
				t.Errorf("the server's end still open: %+v", got)
			}
			server.Close()
			if got := ask(l, server); got != (Peer{}) {
				t.Errorf("both ends closed: %+v", got)
			}
		})
	}
}

// The kernel answers with a listener where no connection has the addresses.
func TestTCPListenerDoesNotVouch(t *testing.T) {
	l := newLookup(t)
	ln := listen(t, "tcp4", "127.0.0.1:0")

	t.Run("on the port of a client that is gone", func(t *testing.T) {
		for range 50 { // another program may be quicker to take the port
			client, server := pair(t, ln, "tcp", ln.Addr().String())
			if err := client.SetLinger(0); err != nil {
				t.Fatal(err)
			}
			addr := client.LocalAddr().String()
			client.Close()
			taken, err := net.Listen("tcp4", addr)
			if errors.Is(err, syscall.EADDRINUSE) {
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			defer taken.Close()
			if got := ask(l, server); got != (Peer{}) {
				t.Errorf("got %+v", got)
			}
			return
		}
		t.Fatal("the port was taken by others each time")
	})
	t.Run("on the port that a client elsewhere chose", func(t *testing.T) {
		wildcard := listen(t, "tcp4", "0.0.0.0:0")
		port := uint16(wildcard.Addr().(*net.TCPAddr).Port)
		remote := netip.AddrPortFrom(netip.MustParseAddr("203.0.113.7"), port)
		if got := l.TCP(addrPort(ln.Addr()), remote); got != (Peer{}) {
			t.Errorf("got %+v", got)
		}
	})
}

func TestTCPImpossibleAddresses(t *testing.T) {
	l := newLookup(t)
	v4, v6 := netip.MustParseAddrPort("127.0.0.1:1"), netip.MustParseAddrPort("[::1]:1")
	for _, a := range [][2]netip.AddrPort{
		{}, {v4, {}}, {{}, v4}, {v4, v6}, {v6, v4}, {v4, v4},
		{v4, netip.MustParseAddrPort("127.0.0.1:0")},
		{netip.MustParseAddrPort("[fe80::1%lo]:80"), netip.MustParseAddrPort("[fe80::2%lo]:81")},
	} {
		if got := l.TCP(a[0], a[1]); got != (Peer{}) {
			t.Errorf("%v: got %+v", a, got)
		}
	}
}

func TestTCPOtherUser(t *testing.T) {
	needRoot(t)
	l := newLookup(t)
	ln := listen(t, "tcp4", "127.0.0.1:0")
	c := startChild(t, "client", "tcp "+ln.Addr().String(), asNobody())
	server := accept(t, ln)
	if s := c.line(); s != "connected" {
		t.Fatal(s)
	}
	if got := ask(l, server); !got.Is(nobody) || got.Is(0) {
		t.Errorf("got %+v, want uid %d", got, nobody)
	}
}

// A daemon without any rights is told the user of every client, root's too.
func TestTCPUnprivilegedDaemon(t *testing.T) {
	needRoot(t)
	newLookup(t)
	ln := listen(t, "tcp4", "127.0.0.1:0")
	_, server := pair(t, ln, "tcp", ln.Addr().String())
	asker := startChild(t, "lookup", "", asNobody())
	if got := asker.ask(server.LocalAddr(), server.RemoteAddr()); got != "0 true" {
		t.Errorf("a client of root: %s", got)
	}
	theirs := startChild(t, "client", "tcp "+ln.Addr().String(), asNobody())
	server2 := accept(t, ln)
	theirs.line()
	if got := asker.ask(server2.LocalAddr(), server2.RemoteAddr()); got != "65534 true" {
		t.Errorf("a client of its own user: %s", got)
	}
}

func TestTCPOtherNetworkNamespace(t *testing.T) {
	needRoot(t)
	newLookup(t)
	ln := listen(t, "tcp4", "127.0.0.1:0")
	_, server := pair(t, ln, "tcp", ln.Addr().String())
	asker := startChild(t, "lookup", "", &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET})
	if got := asker.ask(server.LocalAddr(), server.RemoteAddr()); got != "0 false" {
		t.Errorf("a socket of another network namespace: %s", got)
	}
}

// In a user namespace that leaves users out, all of those look like 65534.
func TestTCPUnmappedUser(t *testing.T) {
	needRoot(t)
	newLookup(t)
	ln := listen(t, "tcp4", "127.0.0.1:0")
	_, server := pair(t, ln, "tcp", ln.Addr().String())
	asker := startChild(t, "lookup", "", &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: nobody, HostID: nobody, Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: nobody, HostID: nobody, Size: 1}},
		Credential:  &syscall.Credential{Uid: nobody, Gid: nobody, NoSetGroups: true},
	})
	if got := asker.ask(server.LocalAddr(), server.RemoteAddr()); got != "0 false" {
		t.Errorf("root's client, seen from where root has no number: %s", got)
	}
}

func TestTCPConcurrent(t *testing.T) {
	l := newLookup(t)
	ln := listen(t, "tcp4", "127.0.0.1:0")
	own, _ := OwnUID()
	var wg sync.WaitGroup
	for range 16 {
		client, server := pair(t, ln, "tcp", ln.Addr().String())
		want := Peer{UID: own, Known: true, Inode: inodeOf(t, client)}
		wg.Go(func() {
			for range 200 {
				if got := ask(l, server); got != want {
					t.Errorf("got %+v, want %+v", got, want)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestCloseWhileAsked(t *testing.T) {
	l := newLookup(t)
	ln := listen(t, "tcp4", "127.0.0.1:0")
	_, server := pair(t, ln, "tcp", ln.Addr().String())
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for ask(l, server).Known {
			}
		})
		wg.Go(l.Close)
	}
	wg.Wait()
	l.Close()
	if got := ask(l, server); got != (Peer{}) {
		t.Errorf("after Close: %+v", got)
	}
}

func TestTCPWithoutAllocation(t *testing.T) {
	l := newLookup(t)
	ln := listen(t, "tcp4", "127.0.0.1:0")
	_, server := pair(t, ln, "tcp", ln.Addr().String())
	local, remote := addrPort(server.LocalAddr()), addrPort(server.RemoteAddr())
	if n := testing.AllocsPerRun(100, func() { l.TCP(local, remote) }); n != 0 {
		t.Errorf("%v allocations for a look-up", n)
	}
}

func BenchmarkTCP(b *testing.B) {
	l := newLookup(b)
	ln := listen(b, "tcp4", "127.0.0.1:0")
	_, server := pair(b, ln, "tcp", ln.Addr().String())
	local, remote := addrPort(server.LocalAddr()), addrPort(server.RemoteAddr())
	b.Run("one", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			l.TCP(local, remote)
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.SetParallelism(8)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				l.TCP(local, remote)
			}
		})
	})
}

func BenchmarkProcesses(b *testing.B) {
	ln := listen(b, "tcp4", "127.0.0.1:0")
	client, _ := pair(b, ln, "tcp", ln.Addr().String())
	inode := inodeOf(b, client)
	for b.Loop() {
		if p := Processes([]uint32{inode}); p[inode].PID != int32(os.Getpid()) {
			b.Fatalf("got %v", p)
		}
	}
}
