package linklocal

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"rolecall/test/faults"
)

// Everything here that touches an address runs in a network namespace of its
// own, which this program makes by starting itself anew. The addresses are never
// added anywhere else.
const scenarioOf = "LINKLOCAL_TEST_SCENARIO"

func TestMain(m *testing.M) {
	name := os.Getenv(scenarioOf)
	if name == "" {
		os.Exit(m.Run())
	}
	if err := isolated(); err != nil {
		fmt.Println("not in a namespace of its own:", err)
		os.Exit(2)
	}
	if err := scenarios()[name](); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Print("done")
}

// isolated says why this process is not in a fresh network namespace, and brings
// up its loopback interface.
func isolated() error {
	all, err := net.Interfaces()
	if err != nil || len(all) != 1 || all[0].Name != "lo" || all[0].Flags&net.FlagUp != 0 {
		return fmt.Errorf("interfaces %v, %w", all, err)
	}
	k, err := dial()
	if err != nil {
		return err
	}
	defer k.close()
	return k.up(all[0].Index)
}

func TestLease(t *testing.T) {
	for name := range scenarios() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := inNamespace(t, name, &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET})
			if after, found := strings.CutPrefix(out, backAfter); found {
				after, _, _ = strings.Cut(after, "\n")
				took, err := time.ParseDuration(after)
				faults.Record(t, 55, err == nil && faults.Within(took, 5*time.Second), "added again after %v, and said", took)
			}
		})
	}
}

const backAfter = "there again after "

// inNamespace returns what the scenario said.
func inNamespace(t *testing.T, name string, attr *syscall.SysProcAttr) string {
	t.Helper()
	if os.Geteuid() != 0 { // then in a user namespace, where that is allowed
		attr.Cloneflags |= syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	c := exec.CommandContext(ctx, "/proc/self/exe")
	c.Env = append(os.Environ(), scenarioOf+"="+name)
	c.SysProcAttr, c.Dir = attr, "/"
	out, err := c.CombinedOutput()
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSYS) {
		t.Skip("this machine lets nobody but root make a network namespace")
	}
	if err != nil || !strings.HasSuffix(string(out), "done") {
		t.Errorf("%v: %s", err, out)
	}
	return string(out)
}

func scenarios() map[string]func() error {
	return map[string]func() error{
		"take and release":     takeAndRelease,
		"after a crash":        afterACrash,
		"sweep":                sweepAfterACrash,
		"two at once":          twoAtOnce,
		"somebody else's":      somebodyElses,
		"routes":               routes,
		"interface reset":      interfaceReset,
		"port taken":           portTaken,
		"neighbours":           neighbours,
		"without the right to": withoutTheRight,
	}
}

// marked are the addresses of the loopback interface that have our mark, and
// others those of the three that have not.
func marked() (ours, others []netip.Addr, err error) {
	k, err := dial()
	if err != nil {
		return nil, nil, err
	}
	defer k.close()
	list, err := k.addresses()
	for _, a := range list {
		switch {
		case a.label == mark:
			ours = append(ours, a.addr)
		case slices.Contains(all(), a.addr):
			others = append(others, a.addr)
		}
	}
	return ours, others, err
}

func want(what string, n int) error {
	ours, others, err := marked()
	if err != nil || len(ours) != n || len(others) != 0 {
		return fmt.Errorf("%s: %v are ours and %v are not, want %d and none: %w", what, ours, others, n, err)
	}
	return nil
}

func listenAll(l *Lease) (lns []net.Listener, err error) {
	for _, a := range all() {
		ln, err := l.Listen(context.Background(), a)
		if err != nil {
			return lns, err
		}
		lns = append(lns, ln)
	}
	return lns, nil
}

func closeAll(lns []net.Listener) {
	for _, ln := range lns {
		_ = ln.Close()
	}
}

// reach connects as a program of this machine does.
func reach(a netip.Addr) error {
	c, err := net.DialTimeout("tcp4", netip.AddrPortFrom(a, Port).String(), 2*time.Second)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	if from := c.LocalAddr().(*net.TCPAddr).AddrPort().Addr(); from != a {
		return fmt.Errorf("a client of %v has the address %v, by which it is not known to be of this machine", a, from)
	}
	return nil
}

// served is the addresses taken, with a listener at each.
func served(c Config) (*Lease, []net.Listener, error) {
	l, err := Take(c)
	if err != nil {
		return nil, nil, err
	}
	lns, err := listenAll(l)
	return l, lns, err
}

func takeAndRelease() error {
	l, lns, err := served(Config{})
	if err != nil {
		return err
	}
	var errs []error
	for _, a := range all() {
		errs = append(errs, reach(a))
	}
	out, err := exec.Command("ip", "-4", "addr", "show", "dev", "lo").Output()
	if err == nil && strings.Count(string(out), "/32 scope host lo:rolecall") != 3 {
		errs = append(errs, fmt.Errorf("ip shows %s", out))
	}
	errs = append(errs, want("taken", 3))
	closeAll(lns)
	return errors.Join(append(errs, l.Release(), l.Release(), want("released", 0))...)
}

func afterACrash() error {
	if _, err := Take(Config{}); err != nil { // and nobody releases it
		return err
	}
	l, err := Take(Config{})
	if err != nil {
		return err
	}
	lns, err := listenAll(l)
	defer closeAll(lns)
	return errors.Join(err, want("taken over", 3), l.Release(), want("released", 0))
}

func sweepAfterACrash() error {
	_, lns, err := served(Config{})
	if err != nil {
		return err
	}
	removed, err := Sweep() // it still runs
	if err != nil || len(removed) != 0 {
		return fmt.Errorf("swept a running one: %v, %w", removed, err)
	}
	closeAll(lns)
	removed, err = Sweep()
	if err != nil || len(removed) != 3 {
		return fmt.Errorf("swept %v, %w", removed, err)
	}
	return want("swept", 0)
}

func twoAtOnce() error {
	first, lns, err := served(Config{})
	if err != nil {
		return err
	}
	second, err := Take(Config{})
	if err != nil {
		return err
	}
	if _, err := listenAll(second); !errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("the second one: %w", err)
	}
	err = errors.Join(second.Release(), want("after the second one's end", 3))
	closeAll(lns)
	return errors.Join(err, first.Release(), want("released", 0))
}

func somebodyElses() error {
	k, err := dial()
	if err != nil {
		return err
	}
	defer k.close()
	for _, a := range all() {
		if out, err := exec.Command("ip", "addr", "add", a.String()+"/32", "dev", "lo").CombinedOutput(); err != nil {
			return fmt.Errorf("ip: %w: %s", err, out)
		}
		_, err := Take(Config{})
		var e *Error
		if !errors.As(err, &e) || !strings.Contains(e.Msg, a.String()) || !strings.Contains(e.Msg, "lo already") || e.Hint == "" {
			return fmt.Errorf("%v is there: %w", a, err)
		}
		if removed, err := Sweep(); err != nil || len(removed) > 0 {
			return fmt.Errorf("swept %v, %w", removed, err)
		}
		ours, others, err := marked()
		if err != nil || len(ours) != 0 || len(others) != 1 || others[0] != a {
			return fmt.Errorf("ours %v, others %v, %w", ours, others, err)
		}
		if err := k.remove(a, 1); err != nil { // the kernel compares the mark, too
			return err
		}
		if _, others, err := marked(); err != nil || len(others) != 1 {
			return fmt.Errorf("%v was taken away without our mark: %w", a, err)
		}
		if out, err := exec.Command("ip", "addr", "del", a.String()+"/32", "dev", "lo").CombinedOutput(); err != nil {
			return fmt.Errorf("ip: %w: %s", err, out)
		}
	}
	return nil
}

func routes() error {
	k, err := dial()
	if err != nil {
		return err
	}
	defer k.close()
	ip := func(args ...string) error {
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %v: %w: %s", args, err, out)
		}
		return nil
	}
	instance, task := facts{cloud: "EC2"}, facts{task: true}
	for _, a := range all() { // no way leads anywhere
		for _, m := range []facts{{}, instance, task} {
			if err := k.reachable(a, m); err != nil {
				return fmt.Errorf("without a route: %w", err)
			}
		}
	}
	if err := ip("route", "add", "default", "dev", "lo"); err != nil {
		return err
	}
	for _, c := range []struct {
		addr    netip.Addr
		m       facts
		refused bool
	}{{Metadata, facts{}, false}, {Metadata, instance, true}, {Metadata, task, false}, {Container, task, true}, {Container, instance, false}, {PodAddress, instance, false}} {
		if err := k.reachable(c.addr, c.m); (err != nil) != c.refused {
			return fmt.Errorf("%v on %+v with a default route: %w", c.addr, c.m, err)
		}
	}
	if err := ip("route", "add", Container.String()+"/32", "dev", "lo"); err != nil {
		return err
	}
	_, err = Take(Config{})
	if err == nil || !strings.Contains(err.Error(), "a route of its own") || !strings.Contains(err.Error(), "the credentials service of ECS") {
		return fmt.Errorf("with a route to it: %w", err)
	}
	return want("refused", 0)
}

func interfaceReset() error {
	told := make(chan string, 8)
	l, lns, err := served(Config{Warn: func(m string) { told <- m }})
	if err != nil {
		return err
	}
	defer closeAll(lns)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	kept := make(chan error, 1)
	go func() { kept <- l.Keep(ctx) }()
	began := time.Now()
	if err := remove([]netip.Addr{Metadata}); err != nil {
		return err
	}
	select {
	case m := <-told:
		if !strings.Contains(m, "169.254.169.254 was gone") {
			return errors.New(m)
		}
	case <-time.After(5 * time.Second):
		return errors.New("not there again within 5 s")
	}
	fmt.Printf(backAfter+"%v\n", time.Since(began).Round(time.Millisecond))
	err = errors.Join(reach(Metadata), want("restored", 3))
	cancel()
	return errors.Join(err, <-kept, l.Release(), want("released", 0))
}

func portTaken() error {
	ln, err := net.Listen("tcp4", ":80")
	if err != nil {
		return err
	}
	defer func() { _ = ln.Close() }()
	l, err := Take(Config{})
	if err != nil {
		return err
	}
	_, err = l.Listen(context.Background(), Metadata)
	var e *Error
	if !errors.As(err, &e) || !strings.Contains(e.Msg, "in use") || e.Hint == "" {
		return fmt.Errorf("with the port taken: %w", err)
	}
	return errors.Join(l.Release(), want("released", 0))
}

// A packet to one of the addresses that comes from the network gets no
// connection: the listeners take those of the loopback interface only.
func neighbours() error {
	for _, args := range [][]string{
		{"link", "add", "here", "type", "veth", "peer", "name", "there"},
		{"addr", "add", "10.77.0.1/24", "dev", "here"}, {"link", "set", "here", "up"},
	} {
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			if strings.Contains(string(out), "Unknown device type") {
				return nil // no such devices in this kernel; nothing to try
			}
			return fmt.Errorf("ip %v: %w: %s", args, err, out)
		}
	}
	l, lns, err := served(Config{})
	if err != nil {
		return err
	}
	defer closeAll(lns)
	everywhere, err := net.Listen("tcp4", "0.0.0.0:8080") // to show that the neighbour has a way here
	if err != nil {
		return err
	}
	defer func() { _ = everywhere.Close() }()
	script := `ip addr add 10.77.0.2/24 dev there && ip link set there up && ip route add 169.254.0.0/16 via 10.77.0.1
try() { timeout 2 bash -c "</dev/tcp/$1/$2" 2>/dev/null && echo "reached $1:$2"; }
for i in 1 2 3 4 5; do try 169.254.169.254 8080 && break; done
try 169.254.169.254 80; try 169.254.170.2 80; try 169.254.170.23 80; true`
	// ip moves the device into the namespace of the neighbour, a child of ours.
	neighbour := exec.Command("unshare", "-n", "sh", "-c", "read go; "+script)
	in, err := neighbour.StdinPipe()
	if err != nil {
		return err
	}
	var out strings.Builder
	neighbour.Stdout, neighbour.Stderr = &out, &out
	if err := neighbour.Start(); err != nil {
		return err
	}
	if text, err := exec.Command("sh", "-c", fmt.Sprintf("for i in 1 2 3 4 5 6 7 8 9; do [ $(readlink /proc/%d/ns/net) != $(readlink /proc/self/ns/net) ] && break; done; ip link set there netns %[1]d", neighbour.Process.Pid)).CombinedOutput(); err != nil {
		return fmt.Errorf("ip: %w: %s", err, text)
	}
	_, _ = in.Write([]byte("\n"))
	_ = in.Close()
	_ = neighbour.Wait()
	if text := strings.TrimSpace(out.String()); text != "reached 169.254.169.254:8080" {
		return fmt.Errorf("the neighbour: %s", text)
	}
	return errors.Join(reach(Metadata), l.Release())
}

func withoutTheRight() error {
	const nobody = 65534
	if os.Geteuid() != 0 {
		return nil
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var caps [2]unix.CapUserData
	if err := unix.Capget(&header, &caps[0]); err != nil {
		return err
	}
	for i := range caps {
		caps[i] = unix.CapUserData{}
	}
	if err := syscall.Setgroups(nil); err != nil && !errors.Is(err, syscall.EPERM) {
		return err
	}
	if err := syscall.Setuid(nobody); err != nil { // of a user namespace of one user
		if err := unix.Capset(&header, &caps[0]); err != nil {
			return err
		}
	}
	_, err := Take(Config{})
	var e *Error
	if !errors.As(err, &e) || !strings.Contains(e.Msg, "CAP_NET_ADMIN") || !strings.Contains(e.Hint, "setcap") || !strings.Contains(e.Hint, "--imds") {
		return fmt.Errorf("without the right to: %w", err)
	}
	return want("refused", 0)
}
