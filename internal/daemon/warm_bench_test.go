package daemon

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"rolecall/internal/config"
	"rolecall/internal/fakeaws"
)

// BenchmarkWarm asks a whole daemon (guard, peer, audit and metrics on) over
// one kept connection; BenchmarkBare asks net/http alone. `make bench` measures
// both as processes; these are for profiles.
func BenchmarkWarm(b *testing.B) {
	r := rigFor(b)
	r.start()
	askMany(b, strings.TrimSuffix(strings.TrimPrefix(r.ready.URLs[0], "http://"), "/"))
}

func BenchmarkBare(b *testing.B) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	body := []byte(strings.Repeat("x", 560))
	ctype, length := []string{"application/json"}, []string{strconv.Itoa(len(body))}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h["Content-Type"], h["Content-Length"] = ctype, length
		_, _ = w.Write(body)
	})}
	go func() { _ = s.Serve(ln) }()
	defer func() { _ = s.Close() }()
	askMany(b, ln.Addr().String())
}

func askMany(b *testing.B, addr string) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	request := fmt.Appendf(nil, "GET / HTTP/1.1\r\nHost: %s\r\nAccept: application/json\r\nUser-Agent: bench\r\n\r\n", addr)
	in := bufio.NewReader(c)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Write(request); err != nil {
			b.Fatal(err)
		}
		length := 0
		for {
			line, err := in.ReadSlice('\n')
			if err != nil {
				b.Fatal(err)
			}
			if len(line) == 2 {
				break
			}
			if v, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
				length, _ = strconv.Atoi(string(bytes.TrimSpace(v)))
			}
		}
		if _, err := in.Discard(length); err != nil || length == 0 {
			b.Fatal(err, length)
		}
	}
}

func rigFor(b *testing.B) *rig {
	r := newRig(b, fakeaws.Config{})
	r.change(func(s *config.Config) { s.Log.Format = config.LogJSON })
	return r
}
