package peercred

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

const nobody = 65534

// TestMain lets the test binary be its own child: a client, or somebody who
// looks up, under another user or in another network namespace.
func TestMain(m *testing.M) {
	var err error
	switch role, arg := os.Getenv("PEER_TEST_ROLE"), os.Getenv("PEER_TEST_ARG"); role {
	case "":
		os.Exit(m.Run())
	case "client":
		err = childClient(arg)
	case "lookup":
		err = childLookup()
	default:
		err = fmt.Errorf("no such role: %s", role)
	}
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
}

// childClient connects, says from where, and stays until its stdin ends.
func childClient(arg string) error {
	network, addr, _ := strings.Cut(arg, " ")
	c, err := net.Dial(network, addr)
	if err != nil {
		return err
	}
	defer c.Close()
	fmt.Println("connected")
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// childLookup answers lines of two addresses with the peer's uid and whether it
// is known.
func childLookup() error {
	l, err := New()
	if err != nil {
		return err
	}
	defer l.Close()
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		local, remote, _ := strings.Cut(in.Text(), " ")
		p := l.TCP(netip.MustParseAddrPort(local), netip.MustParseAddrPort(remote))
		fmt.Println(p.UID, p.Known)
	}
	return in.Err()
}

type child struct {
	t   *testing.T
	pid int
	in  io.WriteCloser
	out *bufio.Scanner
}

// startChild runs the test binary in a role. It is started as /proc/self/exe,
// which another user may execute even where the binary's directory is private.
func startChild(t *testing.T, role, arg string, attr *syscall.SysProcAttr) *child {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), "PEER_TEST_ROLE="+role, "PEER_TEST_ARG="+arg)
	cmd.Dir = "/"
	cmd.SysProcAttr = attr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("child %s: %v", role, err)
		}
	})
	return &child{t, cmd.Process.Pid, in, bufio.NewScanner(out)}
}

func (c *child) line() string {
	c.t.Helper()
	if !c.out.Scan() {
		c.t.Fatalf("the child ended early: %v", c.out.Err())
	}
	return c.out.Text()
}

func (c *child) ask(local, remote net.Addr) string {
	c.t.Helper()
	if _, err := fmt.Fprintln(c.in, local, remote); err != nil {
		c.t.Fatal(err)
	}
	return c.line()
}

func asNobody() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can start a process of another user or in another network namespace")
	}
}
