//go:build unix

package faults_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"rolecall/internal/fakeaws"
	"rolecall/test/faults"
	"rolecall/test/world"
)

// dial connects to the daemon until the test ends.
func (s *site) dial() net.Conn {
	s.T.Helper()
	c, err := net.Dial("tcp", s.daemon.Addr())
	if err != nil {
		s.T.Fatal(err)
	}
	return c
}

// request is a plain GET as text.
func (s *site) request(path string, lines ...string) string {
	return "GET " + path + " HTTP/1.1\r\nHost: " + s.daemon.Addr() + "\r\n" + strings.Join(append(lines, ""), "\r\n") + "\r\n"
}

// descriptors leaves a row out where a process may not have enough of them.
func descriptors(t *testing.T, n, row int) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Max < uint64(n) {
		leftOut(t, row, fmt.Sprintf("a process here may have %d open files, and %d are needed", limit.Max, n))
	}
	limit.Cur = limit.Max
	_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
}

func TestRow33Slowloris(t *testing.T) {
	clients := many(2000)
	descriptors(t, clients+500, 33)
	s := newSite(t, fakeaws.Config{})
	d := s.serve(world.Options{Plain: true}, "--load", "dev")
	r := newReader(t, d)
	r.warm(t, "/")
	slowest, p99, closed, bad := time.Hour, time.Hour, 0, 0
	quietest(func() bool {
		gone, took, p, n := slowloris(s, r, clients)
		closed, slowest, p99, bad = gone, min(slowest, took), min(p99, p), bad+n
		return faults.Within(slowest, 6*time.Second) && faults.Within(p99, 20*time.Millisecond)
	})
	row(t, 33, closed == clients && faults.Within(slowest, 6*time.Second) && faults.Within(p99, 20*time.Millisecond) && bad == 0, "%d of %d closed, the last after %s; p99 of warm reads %s; %d of them failed", closed, clients, sec(slowest), ms(p99), bad)
}

// slowloris is some clients that send a byte a second, while r reads.
func slowloris(s *site, r *reader, clients int) (closed int, slowest, p99 time.Duration, bad int) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range clients {
		began := time.Now()
		c := s.dial()
		wg.Go(func() {
			defer func() { _ = c.Close() }()
			_ = c.SetReadDeadline(began.Add(15 * time.Second))
			gone := make(chan struct{})
			go func() {
				text := s.request("/") + strings.Repeat("X: y\r\n", 20)
				for i := range len(text) {
					select {
					case <-gone:
						return
					case <-time.After(time.Second):
					}
					if _, err := c.Write([]byte{text[i]}); err != nil {
						return
					}
				}
			}()
			n, err := io.Copy(io.Discard, c)
			close(gone)
			mu.Lock()
			defer mu.Unlock()
			if timeout, ok := err.(net.Error); n == 0 && !(ok && timeout.Timeout()) {
				closed++
				slowest = max(slowest, time.Since(began))
			}
		})
	}
	p99 = time.Hour
	for range 4 {
		p, n := r.p99(400, "/")
		p99, bad = min(p99, p), bad+n
	}
	wg.Wait()
	return closed, slowest, p99, bad
}

func TestRow34IdleConnections(t *testing.T) {
	needsProc(t, 34)
	clients := many(10_000)
	descriptors(t, clients+500, 34)
	s := newSite(t, fakeaws.Config{})
	d := s.serve(world.Options{Plain: true}, "--load", "dev")
	newReader(t, d).warm(t, "/")
	text := []byte(s.request("/"))
	conns := make(chan net.Conn, clients)
	var wg sync.WaitGroup
	work := make(chan struct{})
	for range 16 {
		wg.Go(func() {
			for range work {
				c, err := net.Dial("tcp", d.Addr())
				if err != nil {
					t.Error(err)
					continue
				}
				conns <- c
				_, _ = c.Write(text)
				if resp, err := http.ReadResponse(bufio.NewReaderSize(c, 512), nil); err != nil || resp.StatusCode != 200 {
					t.Errorf("%v %v", resp, err)
				}
			}
		})
	}
	for range clients {
		work <- struct{}{}
	}
	close(work)
	wg.Wait()
	held := sockets(t, d.PID())
	rss := rssMiB(t, d.PID())
	served := time.Hour
	for range 5 {
		began := time.Now()
		c := s.dial()
		_, _ = c.Write(text)
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || resp.StatusCode != 200 {
			t.Errorf("a new client: %v %v", resp, err)
			continue
		}
		served = min(served, time.Since(began))
		_ = c.Close()
	}
	close(conns)
	for c := range conns {
		_ = c.Close()
	}
	const others = 8 // listener, control socket, epoll and the like
	row(t, 34, held <= 4096+others && rss <= 128 && faults.Within(served, 50*time.Millisecond), "%d sockets held of %d; RSS %.0f MiB; a new client served after %s", held, clients, rss, ms(served))
}

func TestRow36HugeRequests(t *testing.T) {
	t.Parallel()
	needsProc(t, 36)
	s := newSite(t, fakeaws.Config{})
	d := s.serve(world.Options{Plain: true}, "--load", "dev")
	r := newReader(t, d)
	r.warm(t, "/")
	for range 3000 {
		r.get("/")
	}
	body := strings.Repeat("a", 10_000_000)
	requests := map[string]struct {
		text   string
		status string // allowed; "" where none may come
	}{
		"header of 1 MB":               {s.request("/", "X: "+strings.Repeat("a", 1_000_000)), "431"},
		"10,000 headers":               {s.request("/", strings.Split(strings.Repeat("X: y\n", 10_000), "\n")[:10_000]...), "431"},
		"header over 16 KiB":           {s.request("/", "X: "+strings.Repeat("a", 17<<10)), "431"},
		"URL of 100,000":               {s.request("/" + strings.Repeat("a", 100_000)), "431 414"},
		"method of 100,000":            {strings.Repeat("A", 100_000) + s.request("/"), "431 400"},
		"GET with a body":              {s.request("/", "Content-Length: 10000000") + body, "400 413"},
		"GET with a body of one":       {s.request("/", "Content-Length: 1") + "a", "400 413"},
		"GET with chunks":              {s.request("/", "Transfer-Encoding: chunked") + "989680\r\n" + body + "\r\n0\r\n\r\n", "400 413"},
		"PUT of 10 MB":                 {strings.Replace(s.request("/", "Content-Length: 10000000"), "GET", "PUT", 1) + body, "413"},
		"PUT of 10 MB in chunks":       {strings.Replace(s.request("/", "Transfer-Encoding: chunked"), "GET", "PUT", 1) + "989680\r\n" + body + "\r\n0\r\n\r\n", "413"},
		"PUT that promises 1 PB":       {strings.Replace(s.request("/", "Content-Length: 1125899906842624"), "GET", "PUT", 1) + body, "413"},
		"header of 1 MB, never ending": {strings.TrimSuffix(s.request("/", "X: "+strings.Repeat("a", 1_000_000)), "\r\n\r\n"), "431"},
	}
	var mu sync.Mutex
	wrong := 0
	ask := func(what, text, allowed string) {
		c, err := net.Dial("tcp", d.Addr())
		if err != nil {
			t.Error(err)
			return
		}
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		sent := make(chan struct{})
		go func() { defer close(sent); _, _ = io.WriteString(c, text) }()
		if resp, err := http.ReadResponse(bufio.NewReader(c), nil); err == nil { // else it was cut, which is fine too
			body, _ := io.ReadAll(resp.Body)
			if !strings.Contains(allowed, fmt.Sprint(resp.StatusCode)) || bytes.Contains(body, []byte(world.Canary)) || !resp.Close {
				mu.Lock()
				wrong++
				mu.Unlock()
				t.Errorf("%s: %d, closed %v", what, resp.StatusCode, resp.Close)
			}
		}
		_ = c.Close()
		<-sent
	}
	rounds := func(n int, each func()) float64 {
		for range n {
			var wg sync.WaitGroup
			for range requests {
				wg.Go(each)
			}
			wg.Wait()
		}
		return rssMiB(t, d.PID())
	}
	// First what is large and allowed, so that only the excess is measured.
	allowed := strings.Replace(s.request("/", "X: "+strings.Repeat("a", 12<<10), "Connection: close", "Content-Length: 65000"), "GET", "PUT", 1) + body[:65000]
	before := rounds(20, func() { ask("an upload of 65,000 bytes", allowed, "400") })
	names := slices.Collect(maps.Keys(requests))
	var turn atomic.Int32
	grown := rounds(many(10), func() {
		what := names[int(turn.Add(1))%len(names)]
		ask(what, requests[what].text, requests[what].status)
	}) - before
	good := s.dial()
	_, _ = io.WriteString(good, s.request("/", "X: "+strings.Repeat("a", 14<<10)))
	if resp, err := http.ReadResponse(bufio.NewReader(good), nil); err != nil || resp.StatusCode != 200 {
		t.Errorf("a header of 14 KiB is refused: %v %v", resp, err)
	}
	_ = good.Close()
	row(t, 36, wrong == 0 && grown <= 1, "%d of %d kinds answered other than 400, 413, 414, 431 or cut; RSS %+.1f MiB after %d requests, against uploads of the size that is allowed", wrong, len(requests), grown, turn.Load())
}

func TestRow38WriteStall(t *testing.T) {
	t.Parallel()
	needsProc(t, 38)
	s := newSite(t, fakeaws.Config{})
	d := s.serve(world.Options{Plain: true}, "--load", "dev")
	r := newReader(t, d)
	r.warm(t, "/")
	before := sockets(t, d.PID())
	goroutines := s.metric("go_goroutines")
	tiny := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error { // before it connects: a window that shrinks stops the acknowledgements too
		return c.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 1) })
	}}
	const clients = 4
	var wg sync.WaitGroup
	var mu sync.Mutex
	var slowest time.Duration
	ended := 0
	for range clients {
		c, err := tiny.Dial("tcp", d.Addr())
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() { // requests without end whose answers nobody reads, until there is room for no more
			defer func() { _ = c.Close() }()
			text := []byte(strings.Repeat(s.request("/"), 50))
			for moved := time.Now(); time.Since(moved) < 20*time.Second; {
				_ = c.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
				n, err := c.Write(text)
				if n > 0 {
					moved = time.Now()
				}
				text = append(text[n:len(text):len(text)], text[:n]...)
				if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
					mu.Lock()
					defer mu.Unlock()
					slowest = max(slowest, time.Since(moved))
					ended++
					return
				}
			}
		})
	}
	wg.Wait()
	until(t, 5*time.Second, "the end of the connections", func() bool { return sockets(t, d.PID()) <= before })
	left := s.metric("go_goroutines") - goroutines
	row(t, 38, ended == clients && faults.Within(slowest, 10*time.Second) && left <= 2 && r.get("/").good(), "%d of %d closed, %s after they were stuck at most; goroutines %+.0f", ended, clients, sec(slowest), left)
}
