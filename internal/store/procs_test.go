//go:build unix

package store

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"rolecall/internal/creds"
	"rolecall/test/faults"
)

// The test program is its own child: what it does then is in this variable.
const asChild = "STORE_TEST_CHILD"

func TestMain(m *testing.M) {
	if what := os.Getenv(asChild); what != "" {
		if err := child(what, os.Getenv("STORE_TEST_DIR"), os.Getenv("STORE_TEST_UPSTREAM")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func child(what, dir, upstream string) error {
	syscall.Umask(0) // whatever it is, modes are ours
	key, err := OpenKey(KeyConfig{Dir: dir, Getenv: func(string) string { return "" }, Make: true})
	if err != nil {
		return err
	}
	sealer, err := NewSealer(key.Bytes)
	if err != nil {
		return err
	}
	f, err := NewFile(FileConfig{Dir: dir, Sealer: sealer, Warn: func(m string) { fmt.Fprintln(os.Stderr, "warning:", m) }})
	if err != nil {
		return err
	}
	fetch := func(context.Context) (creds.Credentials, error) { return dial(upstream) }
	switch what {
	case "once":
		c, _, err := f.Update(context.Background(), "dev", all, fetch)
		fmt.Println(c.AccessKeyID)
		return err
	case "rounds": // one key after the other, each begun by a line on stdin
		in := bufio.NewScanner(os.Stdin)
		for in.Scan() {
			c, _, err := f.Update(context.Background(), in.Text(), all, fetch)
			if err != nil {
				return err
			}
			fmt.Println(c.AccessKeyID)
		}
		return in.Err()
	case "write": // for ever
		for n := 0; ; n++ {
			if _, _, err := f.Update(context.Background(), "dev", none, func(context.Context) (creds.Credentials, error) { return sample(n), nil }); err != nil {
				return err
			}
		}
	}
	return errors.New("what?")
}

// dial asks the upstream of the parent, which answers with the number of the
// call once it wants to.
func dial(upstream string) (creds.Credentials, error) {
	c, err := net.Dial("tcp", upstream)
	if err != nil {
		return creds.Credentials{}, err
	}
	defer c.Close()
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		return creds.Credentials{}, err
	}
	n, err := strconv.Atoi(strings.TrimSpace(line))
	return sample(n), err
}

// counting is an upstream of children.
type counting struct {
	addr string
	mu   sync.Mutex // guards calls
	n    int
	came chan struct{} // one for each call
}

// newUpstream answers each call after delay; less than 0: never.
func newUpstream(t *testing.T, delay time.Duration) *counting {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	u := &counting{addr: ln.Addr().String(), came: make(chan struct{}, 1000)}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			u.mu.Lock()
			u.n++
			n := u.n
			u.mu.Unlock()
			u.came <- struct{}{}
			if delay >= 0 {
				time.AfterFunc(delay, func() { fmt.Fprintln(c, n); c.Close() })
			}
		}
	}()
	return u
}

func (u *counting) calls() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.n
}

func command(t *testing.T, what, dir, upstream string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	c := exec.CommandContext(ctx, os.Args[0])
	c.Env = append(os.Environ(), asChild+"="+what, "STORE_TEST_DIR="+dir, "STORE_TEST_UPSTREAM="+upstream)
	c.Stderr = os.Stderr
	return c
}

// Two processes refresh one key, 200 times: one call in each round.
func TestTwoProcesses(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	u := newUpstream(t, 2*time.Millisecond)
	type proc struct {
		in  io.Writer
		out *bufio.Scanner
	}
	var procs []proc
	for range 2 {
		c := command(t, "rounds", dir, u.addr)
		in, err := c.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			in.Close()
			if err := c.Wait(); err != nil {
				t.Error(err)
			}
		})
		procs = append(procs, proc{in, bufio.NewScanner(out)})
	}
	const rounds = 200
	more := 0
	for r := range rounds {
		before := u.calls()
		for _, p := range procs {
			fmt.Fprintf(p.in, "key %d\n", r)
		}
		var got []string
		for _, p := range procs {
			if !p.out.Scan() {
				t.Fatal("a process ended")
			}
			got = append(got, p.out.Text())
		}
		if n := u.calls() - before; n != 1 || got[0] != got[1] {
			t.Errorf("round %d: %d calls, %v", r, n, got)
			more++
		}
	}
	faults.Record(t, 28, more == 0, "%d calls in %d rounds of two processes, %d rounds with more than one; refresh tokens: row 32", u.calls(), rounds, more)
}

// Fifty processes start together, with no key, no directory and no entry.
func TestFiftyProcessesStartCold(t *testing.T) {
	soonest := time.Hour
	for range 3 { // the machine may have had other things to do
		if soonest = min(soonest, startCold(t)); faults.Within(soonest, 3*time.Second) || faults.RaceDetector { // which is slow itself
			break
		}
	}
	faults.Record(t, 29, faults.Within(soonest, 3*time.Second) || faults.RaceDetector, "1 call, upstream 1 s; 50 of 50 right; the last ready after %v", soonest.Round(10*time.Millisecond))
}

func startCold(t *testing.T) (took time.Duration) {
	dir := filepath.Join(t.TempDir(), "a", "store")
	u := newUpstream(t, time.Second)
	var wg sync.WaitGroup
	outs := make([]string, 50)
	began := time.Now()
	for i := range outs {
		c := command(t, "once", dir, u.addr)
		wg.Go(func() {
			out, err := c.Output()
			if err != nil {
				t.Error(err)
			}
			outs[i] = string(out)
		})
	}
	wg.Wait()
	took = time.Since(began)
	for _, out := range outs {
		if out != sample(1).AccessKeyID+"\n" {
			t.Errorf("got %q", out)
		}
	}
	if n := u.calls(); n != 1 {
		t.Errorf("%d calls", n)
	}
	for _, f := range []string{"", "key"} {
		info, err := os.Stat(filepath.Join(dir, f))
		if want := map[string]os.FileMode{"": 0o700, "key": 0o600}[f]; err != nil || info.Mode().Perm() != want {
			t.Errorf("%q: %v, %v", f, info.Mode(), err)
		}
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if info, err := f.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s under umask 0: %v, %v", f.Name(), info.Mode(), err)
		}
	}
	return took
}

// holder starts a process that has the lock and waits for upstream for ever.
func holder(t *testing.T, dir string) *exec.Cmd {
	t.Helper()
	u := newUpstream(t, -1)
	c := command(t, "once", dir, u.addr)
	c.Stderr = nil
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
	})
	<-u.came
	return c
}

func fileOf(t *testing.T, dir string, change ...func(*FileConfig)) *File {
	t.Helper()
	key, err := OpenKey(KeyConfig{Dir: dir, Getenv: func(string) string { return "" }, Make: true})
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := NewSealer(key.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return newFile(t, dir, append(change, func(c *FileConfig) { c.Sealer = sealer })...)
}

func TestHolderKilled(t *testing.T) {
	best := time.Hour
	for range 3 { // the machine may have had other things to do
		if best = min(best, afterKill(t)); best >= 0 && faults.Within(best, 50*time.Millisecond) {
			break
		}
	}
	faults.Record(t, 30, best >= 0 && faults.Within(best, 50*time.Millisecond), "the next went on %v after the kill", best.Round(time.Millisecond))
}

// afterKill is how long after its holder's end the lock was taken.
func afterKill(t *testing.T) time.Duration {
	dir := filepath.Join(t.TempDir(), "store")
	h := holder(t, dir)
	killed := make(chan time.Time, 1)
	time.AfterFunc(100*time.Millisecond, func() {
		killed <- time.Now()
		_ = h.Process.Signal(syscall.SIGKILL)
	})
	var u upstream
	var asked time.Time
	_, fetched := update(t, fileOf(t, dir), all, func(ctx context.Context) (creds.Credentials, error) {
		asked = time.Now()
		return u.fetch(ctx)
	})
	if !fetched {
		t.Error("from where?")
	}
	return asked.Sub(<-killed)
}

// slack is for a machine that does other things as well.
const slack = 200 * time.Millisecond

func TestHolderStopped(t *testing.T) {
	wait := lockWait
	if testing.Short() {
		wait /= 10
	}
	dir := filepath.Join(t.TempDir(), "store")
	h := holder(t, dir)
	if err := h.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	var u upstream
	f := fileOf(t, dir, func(c *FileConfig) {
		if testing.Short() {
			c.Wait = wait
		}
	})
	began := time.Now()
	if _, fetched := update(t, f, all, u.fetch); !fetched {
		t.Error("from where?")
	}
	waited := time.Since(began)
	if waited < wait-slack {
		t.Errorf("waited only %v", waited)
	}
	// What it fetched is there for the next, who does not wait.
	began = time.Now()
	if _, fetched := update(t, f, all, u.fetch); fetched || !faults.Within(time.Since(began), slack) {
		t.Errorf("the next: fetched %v after %v", fetched, time.Since(began))
	}
	faults.Record(t, 31, faults.Within(waited, wait+slack) && u.calls.Load() == 1, "%v waited; 2 calls, that of the one that hangs among them; the next found the entry", waited.Round(10*time.Millisecond))
}

// SIGKILL during writes: an entry is the old one or the new one.
func TestKilledWriters(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	f := fileOf(t, dir)
	path := f.path(f.c.Sealer.Name("dev"), entryExt)
	kills := 1000
	if testing.Short() {
		kills = 30
	}
	torn, entries := 0, 0
	for range kills {
		c := command(t, "write", dir, "")
		c.Stderr = nil
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		wait := time.NewTimer(5*time.Millisecond + rand.N(20*time.Millisecond))
		<-wait.C
		_ = c.Process.Kill()
		_ = c.Wait()
		sealed, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		entries++
		if _, err = f.c.Sealer.Open(f.c.Sealer.Name("dev"), sealed); err != nil {
			torn++
		}
	}
	var left []string
	old := time.Now().Add(-time.Hour)
	files, err := filepath.Glob(filepath.Join(dir, ".*.tmp-*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if err := os.Chtimes(file, old, old); err != nil {
			t.Fatal(err)
		}
	}
	openIn(t, dir, true) // the next start
	if left, _ = filepath.Glob(filepath.Join(dir, ".*.tmp-*")); len(left) > 0 {
		t.Errorf("left over: %d of %d", len(left), len(files))
	}
	faults.Record(t, 23, torn == 0 && entries >= kills/2 && len(left) == 0, "%d unreadable of %d entries looked at after %d kills; %d files of killed writers, all swept at the next start", torn, entries, kills, len(files))
}
