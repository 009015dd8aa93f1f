package faults_test

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"rolecall/internal/fakeaws"
	"rolecall/internal/slot"
	"rolecall/test/faults"
)

// nameServer is a DNS server on loopback that misbehaves on order.
type nameServer struct {
	conn  net.PacketConn
	mode  atomic.Value // "hole", "nxdomain", "servfail", "slow"
	asked atomic.Int32
}

func newNameServer(t *testing.T) *nameServer {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &nameServer{conn: conn}
	n.mode.Store("slow")
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 2048)
		for {
			k, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			n.asked.Add(1)
			query := append([]byte(nil), buf[:k]...)
			switch n.mode.Load() {
			case "nxdomain":
				_, _ = conn.WriteTo(response(query, 3), from)
			case "servfail":
				_, _ = conn.WriteTo(response(query, 2), from)
			case "slow":
				time.AfterFunc(1500*time.Millisecond, func() { _, _ = conn.WriteTo(response(query, 0), from) })
			}
		}
	}()
	t.Cleanup(func() { _ = conn.Close(); <-done })
	return n
}

// response answers a query: with a code, or with 127.0.0.1 for an address.
func response(query []byte, code byte) []byte {
	if len(query) < 12 {
		return nil
	}
	end := 12
	for end < len(query) && query[end] != 0 {
		end += int(query[end]) + 1
	}
	end += 5 // the name's end, type and class
	if end > len(query) {
		return nil
	}
	r := append([]byte(nil), query[:end]...)
	r[2], r[3] = 0x84, code // an answer, authoritative
	clear(r[6:12])
	if kind := binary.BigEndian.Uint16(query[end-4:]); code == 0 && kind == 1 {
		r[7] = 1
		r = append(r, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 127, 0, 0, 1)
	}
	return r
}

// nameServerAddr is where this process looks names up; nothing but one test does.
var nameServerAddr atomic.Pointer[string]

// stubResolver asks there, and nobody else. It is put in place before any test.
func stubResolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		if addr := nameServerAddr.Load(); addr != nil {
			return (&net.Dialer{}).DialContext(ctx, "udp", *addr)
		}
		return nil, errors.New("these tests look no names up")
	}}
}

func TestRow52DNS(t *testing.T) {
	t.Parallel()
	names := newNameServer(t)
	addr := names.conn.LocalAddr().String()
	nameServerAddr.Store(&addr)
	g := newSources(t, fakeaws.Config{})
	u, err := url.Parse(g.aws.URL())
	if err != nil {
		t.Fatal(err)
	}
	table := slot.New(slot.Config{})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = table.Run(ctx) }()
	defer func() { cancel(); <-done }()
	src, err := g.Resolve("container")
	if err != nil {
		t.Fatal(err)
	}
	s, _, err := table.Load(t.Context(), "x", slot.Spec{Source: "x", Key: "x", Provider: src.Provider, Timeout: src.Timeout})
	if err != nil {
		t.Fatal(err)
	}
	// From here on upstream has a name.
	g.env["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = "http://upstream.faults.test:" + u.Port() + "/container/task"
	var reads []time.Duration
	refresh := func(mode string) (took time.Duration, failed int, err error) {
		names.mode.Store(mode)
		ended := make(chan error, 1)
		began := time.Now()
		go func() { ended <- s.Refresh(context.Background()) }()
		for {
			select {
			case err := <-ended:
				return time.Since(began), failed, err
			case <-time.After(time.Millisecond):
			}
			asked := time.Now()
			if _, err := s.Credentials(t.Context()); err != nil {
				failed++
			}
			reads = append(reads, time.Since(asked))
		}
	}
	var longest time.Duration
	failed := 0
	for _, mode := range []string{"hole", "nxdomain", "servfail", "slow"} {
		took, bad, err := refresh(mode)
		if (err == nil) != (mode == "slow") {
			t.Errorf("%s: %v", mode, err)
		}
		longest, failed = max(longest, took), failed+bad
	}
	if names.asked.Load() == 0 {
		t.Error("the name server was not asked")
	}
	p99 := quantile(reads, 0.99)
	row(t, 52, faults.Within(longest, 10*time.Second) && failed == 0 && faults.Within(p99, 5*time.Millisecond), "attempt ended after %s at most (no answer, NXDOMAIN, SERVFAIL, 1.5 s); %d of %d warm reads failed, p99 of a slot's own time %s", sec(longest), failed, len(reads), ms(p99))
}
