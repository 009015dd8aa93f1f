package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"
)

// shot is what one burst of load measured.
type shot struct {
	answers  int
	failed   int
	took     time.Duration
	p50, p99 time.Duration
	cpu      time.Duration // of the server
}

func (s shot) perAnswer() float64 {
	return float64(s.cpu.Nanoseconds()) / 1e3 / float64(max(1, s.answers))
}

// load asks addr for path from a number of connections at once, for a time.
// header is a further line of the request; fresh makes a new connection for every request. The client speaks HTTP by
// hand, so that as much of the machine as possible is the server's.
func load(addr, path, header string, connections int, fresh bool, d time.Duration) (s shot) {
	var mu sync.Mutex
	var all []time.Duration
	var wg sync.WaitGroup
	start := time.Now()
	end := start.Add(d)
	for range connections {
		wg.Go(func() {
			c := client{addr: addr, request: request(addr, path, header, fresh), fresh: fresh}
			defer c.close()
			times := make([]time.Duration, 0, 1<<16)
			failed := 0
			for now := time.Now(); now.Before(end); {
				err := c.ask()
				after := time.Now()
				if err != nil {
					failed++
					c.close()
				} else {
					times = append(times, after.Sub(now))
				}
				now = after
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, times...)
			s.failed += failed
		})
	}
	wg.Wait()
	s.took, s.answers = time.Since(start), len(all)
	if len(all) > 0 {
		slices.Sort(all)
		s.p50, s.p99 = all[len(all)/2], all[len(all)*99/100]
	}
	return s
}

func request(addr, path, header string, fresh bool) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "GET %s HTTP/1.1\r\nHost: %s\r\nAccept: application/json\r\nUser-Agent: bench\r\n", path, addr)
	if header != "" {
		b.WriteString(header + "\r\n")
	}
	if fresh {
		b.WriteString("Connection: close\r\n")
	}
	b.WriteString("\r\n")
	return b.Bytes()
}

type client struct {
	addr    string
	request []byte
	fresh   bool
	conn    net.Conn
	r       *bufio.Reader
}

func (c *client) close() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}

func (c *client) ask() error {
	if c.conn == nil {
		conn, err := net.Dial("tcp", c.addr)
		if err != nil {
			return err
		}
		c.conn = conn
		if c.r == nil {
			c.r = bufio.NewReader(conn)
		} else {
			c.r.Reset(conn)
		}
	}
	if c.fresh {
		defer c.close()
	}
	if _, err := c.conn.Write(c.request); err != nil {
		return err
	}
	length := -1
	for first := true; ; first = false {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			return err
		}
		if first && !bytes.HasPrefix(line, []byte("HTTP/1.1 200 ")) {
			return fmt.Errorf("answered %q", line)
		}
		if len(line) == 2 {
			break
		}
		if v, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			length, _ = strconv.Atoi(string(bytes.TrimSpace(v)))
		}
	}
	if length <= 0 {
		return fmt.Errorf("no body")
	}
	_, err := io.CopyN(io.Discard, c.r, int64(length))
	return err
}
