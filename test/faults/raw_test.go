//go:build unix

package faults_test

import (
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"rolecall/internal/fakeaws"
	"rolecall/test/world"
)

func TestRow37RawRequests(t *testing.T) {
	t.Parallel()
	s := newSite(t, fakeaws.Config{})
	d := s.serve(world.Options{}, "--load", "dev") // auto: this test's own user is let in
	r := newReader(t, d)
	r.warm(t, "/")
	h := "Host: " + d.Addr() + "\r\n"
	inner := "GET / HTTP/1.1\r\n" + h + "\r\n"
	smuggled := fmt.Sprintf("%d\r\n\r\n%s", len(inner), inner)
	chunked := "Transfer-Encoding: chunked\r\n"
	corpus := map[string]string{
		"HTTP/0.9":                      "GET /\r\n\r\n",
		"HTTP/0.9 without an end":       "GET /\n",
		"HTTP/1.0 without Host":         "GET / HTTP/1.0\r\n\r\n",
		"HTTP/1.1 without Host":         "GET / HTTP/1.1\r\n\r\n",
		"HTTP/2.0":                      "GET / HTTP/2.0\r\n" + h + "\r\n",
		"HTTP/2 preface":                "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"h2c upgrade":                   "GET / HTTP/1.1\r\n" + h + "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
		"WebSocket upgrade":             "GET / HTTP/1.1\r\n" + h + "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n",
		"HTTP/11":                       "GET / HTTP/11\r\n" + h + "\r\n",
		"lower-case version":            "GET / http/1.1\r\n" + h + "\r\n",
		"CONNECT":                       "CONNECT " + d.Addr() + " HTTP/1.1\r\n" + h + "\r\n",
		"CONNECT elsewhere":             "CONNECT 169.254.1.1:80 HTTP/1.1\r\n" + h + "\r\n",
		"TRACE":                         "TRACE / HTTP/1.1\r\n" + h + "\r\n",
		"POST":                          "POST / HTTP/1.1\r\n" + h + "Content-Length: 0\r\n\r\n",
		"HEAD":                          "HEAD / HTTP/1.1\r\n" + h + "\r\n",
		"OPTIONS *":                     "OPTIONS * HTTP/1.1\r\n" + h + "\r\n",
		"method in lower case":          "get / HTTP/1.1\r\n" + h + "\r\n",
		"override of the method":        "POST / HTTP/1.1\r\n" + h + "X-HTTP-Method-Override: GET\r\nContent-Length: 0\r\n\r\n",
		"absolute URI":                  "GET http://" + d.Addr() + "/ HTTP/1.1\r\n" + h + "\r\n",
		"absolute URI of another":       "GET http://evil.example/ HTTP/1.1\r\n" + h + "\r\n",
		"authority in the path":         "GET //evil.example/ HTTP/1.1\r\n" + h + "\r\n",
		"space in the path":             "GET / x HTTP/1.1\r\n" + h + "\r\n",
		"two spaces":                    "GET  / HTTP/1.1\r\n" + h + "\r\n",
		"tab for a space":               "GET\t/\tHTTP/1.1\r\n" + h + "\r\n",
		"no path":                       "GET HTTP/1.1\r\n" + h + "\r\n",
		"fragment":                      "GET /creds# HTTP/1.1\r\n" + h + "\r\n",
		"nul in the path":               "GET /\x00 HTTP/1.1\r\n" + h + "\r\n",
		"two hosts":                     "GET / HTTP/1.1\r\n" + h + "Host: evil.example\r\n\r\n",
		"two hosts, the other way":      "GET / HTTP/1.1\r\nHost: evil.example\r\n" + h + "\r\n",
		"space before the colon":        "GET / HTTP/1.1\r\nHost : " + d.Addr() + "\r\n\r\n",
		"nul in a header":               "GET / HTTP/1.1\r\n" + h + "X: a\x00b\r\n\r\n",
		"header without a name":         "GET / HTTP/1.1\r\n" + h + ": x\r\n\r\n",
		"header without a colon":        "GET / HTTP/1.1\r\n" + h + "X\r\n\r\n",
		"CL and TE":                     "GET / HTTP/1.1\r\n" + h + "Content-Length: " + smuggledLength(smuggled) + chunked + "\r\n0\r\n\r\n" + inner,
		"TE and CL":                     "GET / HTTP/1.1\r\n" + h + chunked + "Content-Length: 5\r\n\r\n0\r\n\r\n" + inner,
		"two lengths":                   "GET / HTTP/1.1\r\n" + h + "Content-Length: 0\r\nContent-Length: 5\r\n\r\nhello" + inner,
		"a list of lengths":             "GET / HTTP/1.1\r\n" + h + "Content-Length: 5, 6\r\n\r\nhello" + inner,
		"negative length":               "GET / HTTP/1.1\r\n" + h + "Content-Length: -1\r\n\r\n" + inner,
		"length with a sign":            "GET / HTTP/1.1\r\n" + h + "Content-Length: +5\r\n\r\nhello" + inner,
		"length in hex":                 "GET / HTTP/1.1\r\n" + h + "Content-Length: 0x5\r\n\r\nhello" + inner,
		"a body smuggled":               "GET /x HTTP/1.1\r\n" + h + "Content-Length: " + smuggled,
		"DELETE with a body smuggled":   "DELETE /slot/none HTTP/1.1\r\n" + h + "Content-Length: " + smuggled,
		"TE of two":                     "GET / HTTP/1.1\r\n" + h + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + inner,
		"TE twice":                      "GET / HTTP/1.1\r\n" + h + chunked + chunked + "\r\n0\r\n\r\n" + inner,
		"TE of xchunked":                "GET / HTTP/1.1\r\n" + h + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + inner,
		"TE after a tab":                "GET / HTTP/1.1\r\n" + h + "Transfer-Encoding:\tchunked\r\n\r\n0\r\n\r\n" + inner,
		"bad chunk size":                "PUT / HTTP/1.1\r\n" + h + chunked + "\r\nzz\r\n\r\n0\r\n\r\n" + inner,
		"endless chunk size":            "PUT / HTTP/1.1\r\n" + h + chunked + "\r\n" + strings.Repeat("f", 100) + "\r\n" + inner,
		"chunk extensions":              "PUT / HTTP/1.1\r\n" + h + chunked + "\r\n1;" + strings.Repeat("a", 20_000) + "\r\nx\r\n0\r\n\r\n" + inner,
		"lone line feed in the chunks":  "PUT / HTTP/1.1\r\n" + h + chunked + "\r\n1\nx\n0\n\n" + inner,
		"pipelined after an upload":     "PUT / HTTP/1.1\r\n" + h + "Content-Length: 2\r\nConnection: close\r\n\r\n{}" + inner,
		"pipelined after a foreign one": "GET / HTTP/1.1\r\n" + h + "Origin: http://evil.example\r\nConnection: close\r\n\r\n" + inner,
		"TLS":                           "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
		"SOCKS":                         "\x05\x01\x00",
		"noise":                         strings.Repeat("\xde\xad\xbe\xef", 500),
	}
	// RFC 9112 has these answered; what follows them must not be.
	once := map[string]string{
		"HTTP/1.2":         "GET / HTTP/1.2\r\n" + h + "\r\n",
		"TE with HTTP/1.0": "GET / HTTP/1.0\r\n" + h + chunked + "\r\n0\r\n\r\n" + inner,
		"folded host":      "GET / HTTP/1.1\r\nHost:\r\n " + d.Addr() + "\r\n\r\n",
	}
	twice := 0
	for what, text := range once {
		if n := strings.Count(s.raw(text), "SecretAccessKey"); n > 1 {
			twice++
			t.Errorf("%s: answered %d times", what, n)
		}
	}
	given := 0
	for what, text := range corpus {
		got := s.raw(text)
		if strings.Contains(got, world.Canary) || strings.Contains(got, "SecretAccessKey") {
			given++
			status, _, _ := strings.Cut(got, "\r\n")
			t.Errorf("%s: credentials were given (%s)", what, status)
		}
	}
	panics := strings.Count(d.Log(), "panic")
	alive := syscall.Kill(d.PID(), 0) == nil && r.get("/").good()
	row(t, 37, given == 0 && twice == 0 && panics == 0 && alive, "%d credentials to %d raw requests of a user who is let in; one answer each to %d odd ones that RFC 9112 allows; %d panics", given, len(corpus), len(once), panics)
}

func smuggledLength(smuggled string) string {
	n, _, _ := strings.Cut(smuggled, "\r\n")
	return n + "\r\n"
}

// raw sends text as it is and returns all that comes back.
func (s *site) raw(text string) string {
	c := s.dial()
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(3 * time.Second))
	_, _ = io.WriteString(c, text)
	_ = c.(*net.TCPConn).CloseWrite()
	b, _ := io.ReadAll(c)
	return string(b)
}
