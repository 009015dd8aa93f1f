package peercred

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func ownProgram(t *testing.T) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return cleanName(filepath.Base(exe))
}

func TestProcesses(t *testing.T) {
	ln := listen(t, "tcp4", "127.0.0.1:0")
	client, server := pair(t, ln, "tcp", ln.Addr().String())
	c := startChild(t, "client", "tcp "+ln.Addr().String(), nil)
	theirs := accept(t, ln)
	c.line()
	l := newLookup(t)
	childInode := ask(l, theirs).Inode
	own, _ := OwnUID()
	clientInode, serverInode := inodeOf(t, client), inodeOf(t, server)

	for name, got := range map[string]map[uint32]Process{
		"everybody's": Processes([]uint32{clientInode, childInode, serverInode, 0, 4294967295}),
		"own":         Processes([]uint32{clientInode, childInode, serverInode}, own+1, own),
	} {
		if len(got) != 3 {
			t.Errorf("%s: found %v", name, got)
		}
		for inode, pid := range map[uint32]int{clientInode: os.Getpid(), serverInode: os.Getpid(), childInode: c.pid} {
			if p := got[inode]; int(p.PID) != pid || p.Program != ownProgram(t) {
				t.Errorf("%s: inode %d: %+v, want pid %d (%s)", name, inode, p, pid, ownProgram(t))
			}
		}
	}
	if got := Processes([]uint32{clientInode}, own+1); len(got) != 0 {
		t.Errorf("among another user's processes: %v", got)
	}
	if got := Processes(nil); len(got) != 0 {
		t.Errorf("of no sockets: %v", got)
	}
	if got := Processes([]uint32{0}); len(got) != 0 {
		t.Errorf("of inode 0: %v", got)
	}
}

func TestProgramOf(t *testing.T) {
	if got := programOf(int32(os.Getpid())); got != ownProgram(t) {
		t.Errorf("got %q, want %q", got, ownProgram(t))
	}
	if got := programOf(1 << 30); got != "" {
		t.Errorf("of no process: %q", got)
	}
	if got := programOf(2); os.Getpid() != 2 && strings.Contains(got, "/") {
		t.Errorf("of a kernel thread: %q", got)
	}
}

func TestSocketInode(t *testing.T) {
	for in, want := range map[string]uint32{
		"socket:[123]": 123, "socket:[4294967295]": 4294967295, "socket:[4294967296]": 0, "socket:[]": 0,
		"socket:[12": 0, "pipe:[12]": 0, "/tmp/socket:[12]": 0, "": 0, "socket:[-1]": 0,
	} {
		if got, ok := socketInode([]byte(in)); ok != (want != 0) || ok && got != want {
			t.Errorf("socketInode(%q) = %d, %v", in, got, ok)
		}
	}
}

func TestUnixOwn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	ln := listen(t, "unix", path)
	client, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server := accept(t, ln)
	own, _ := OwnUID()
	want := Peer{UID: own, Known: true, PID: int32(os.Getpid()), Program: ownProgram(t)}
	for name, c := range map[string]net.Conn{"server's view": server, "client's view": client} {
		if got, err := Unix(c.(*net.UnixConn)); err != nil || got != want {
			t.Errorf("%s: %+v, %v; want %+v", name, got, err, want)
		}
	}
	server.Close()
	if got, err := Unix(server.(*net.UnixConn)); err == nil || got != (Peer{}) {
		t.Errorf("of a closed connection: %+v, %v", got, err)
	}
}

func TestUnixOtherUser(t *testing.T) {
	needRoot(t)
	dir, err := os.MkdirTemp("", "peer-test-") // t.TempDir is closed to other users
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "s")
	ln := listen(t, "unix", path)
	for p, mode := range map[string]os.FileMode{dir: 0o755, path: 0o777} {
		if err := os.Chmod(p, mode); err != nil {
			t.Fatal(err)
		}
	}
	c := startChild(t, "client", "unix "+path, asNobody())
	server := accept(t, ln)
	c.line()
	got, err := Unix(server.(*net.UnixConn))
	if err != nil || !got.Is(nobody) || int(got.PID) != c.pid {
		t.Errorf("got %+v, %v; want uid %d, pid %d", got, err, nobody, c.pid)
	}
}
