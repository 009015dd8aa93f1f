package attack_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"rolecall/internal/fakeaws"
	"rolecall/test/world"
)

// oddities are requests that no honest client makes. Each would be answered with
// credentials if the odd part of it were passed over, or if what hides in its
// body were taken for a request.
func oddities(addr string) map[string]string {
	host := "Host: " + addr
	hidden := lines("GET /creds HTTP/1.1", host)
	return map[string]string{
		"CL.TE":                       lines("GET / HTTP/1.1", host, fmt.Sprint("Content-Length: ", 5+len(hidden)), "Transfer-Encoding: chunked") + "0\r\n\r\n" + hidden[:0],
		"CL.TE with a hidden request": lines("POST / HTTP/1.1", host, fmt.Sprint("Content-Length: ", 5+len(hidden)), "Transfer-Encoding: chunked") + "0\r\n\r\n" + hidden,
		"TE.CL":                       lines("GET / HTTP/1.1", host, "Content-Length: 4", "Transfer-Encoding: chunked") + fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(hidden), hidden),
		"body of a GET":               lines("GET / HTTP/1.1", host, fmt.Sprint("Content-Length: ", len(hidden))) + hidden,
		"chunked body of a GET":       lines("GET / HTTP/1.1", host, "Transfer-Encoding: chunked") + fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(hidden), hidden),
		"body of a DELETE":            lines("DELETE /slot/none HTTP/1.1", host, fmt.Sprint("Content-Length: ", len(hidden))) + hidden,
		"body of a HEAD":              lines("HEAD / HTTP/1.1", host, fmt.Sprint("Content-Length: ", len(hidden))) + hidden,
		"two lengths":                 lines("GET / HTTP/1.1", host, "Content-Length: 0", fmt.Sprint("Content-Length: ", len(hidden))) + hidden,
		"two lengths in one":          lines("GET / HTTP/1.1", host, fmt.Sprint("Content-Length: 0, ", len(hidden))) + hidden,
		"negative length":             lines("GET / HTTP/1.1", host, "Content-Length: -1"),
		"signed length":               lines("GET / HTTP/1.1", host, "Content-Length: +0"),
		"hexadecimal length":          lines("GET / HTTP/1.1", host, "Content-Length: 0x0"),
		"huge length":                 lines("GET / HTTP/1.1", host, "Content-Length: 99999999999999999999999"),
		"TE xchunked":                 lines("GET / HTTP/1.1", host, "Transfer-Encoding: xchunked") + "0\r\n\r\n",
		"TE twice":                    lines("GET / HTTP/1.1", host, "Transfer-Encoding: chunked", "Transfer-Encoding: identity") + "0\r\n\r\n",
		"TE gzip, chunked":            lines("GET / HTTP/1.1", host, "Transfer-Encoding: gzip, chunked") + "0\r\n\r\n",
		"TE identity":                 lines("GET / HTTP/1.1", host, "Transfer-Encoding: identity"),
		"TE with a tab":               lines("GET / HTTP/1.1", host, "Transfer-Encoding:\tchunked") + fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(hidden), hidden),
		"TE with a space before":      lines("GET / HTTP/1.1", host, "Transfer-Encoding : chunked") + "0\r\n\r\n",
		"bad chunk size":              lines("GET / HTTP/1.1", host, "Transfer-Encoding: chunked") + "zz\r\n\r\n" + hidden,
		"negative chunk size":         lines("GET / HTTP/1.1", host, "Transfer-Encoding: chunked") + "-1\r\n\r\n" + hidden,
		"huge chunk size":             lines("GET / HTTP/1.1", host, "Transfer-Encoding: chunked") + "ffffffffffffffff1\r\n\r\n" + hidden,
		"endless chunk extension":     lines("GET / HTTP/1.1", host, "Transfer-Encoding: chunked") + "1;" + strings.Repeat("a", 20_000) + "\r\nx\r\n0\r\n\r\n",
		"bad chunks of a PUT":         lines("PUT /slot/odd HTTP/1.1", host, "Transfer-Encoding: chunked") + "5\r\nab\r\n0\r\n\r\n" + hidden,
		"PUT that ends early":         lines("PUT /slot/odd HTTP/1.1", host, "Content-Length: 100") + "{",
		"trailer with a host":         lines("GET / HTTP/1.1", host, "Transfer-Encoding: chunked", "Trailer: Host") + "0\r\nHost: evil.example\r\n\r\n",
		"HTTP/1.0 without Host":       "GET / HTTP/1.0\r\n\r\n",
		"HTTP/0.9":                    "GET /\r\n\r\n",
		"HTTP/1.1 without Host":       "GET / HTTP/1.1\r\n\r\n",
		"HTTP/2 preface":              "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
		"upgrade to h2c":              lines("GET / HTTP/1.1", host, "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"),
		"HTTP/9.9":                    lines("GET / HTTP/9.9", host),
		"HTTP/1.1.1":                  lines("GET / HTTP/1.1.1", host),
		"http/1.1":                    lines("GET / http/1.1", host),
		"absolute URI":                lines("GET http://"+addr+"/ HTTP/1.1", host),
		"absolute URI of another":     lines("GET http://evil.example/ HTTP/1.1", host),
		"absolute https URI":          lines("GET https://"+addr+"/ HTTP/1.1", host),
		"file URI":                    lines("GET file:///creds HTTP/1.1", host),
		"user in the URI":             lines("GET http://a:b@"+addr+"/ HTTP/1.1", host),
		"space in the path":           lines("GET / creds HTTP/1.1", host),
		"two spaces":                  lines("GET  / HTTP/1.1", host),
		"tab for a space":             lines("GET\t/\tHTTP/1.1", host),
		"space before the method":     lines(" GET / HTTP/1.1", host),
		"control character in path":   lines("GET /\x01 HTTP/1.1", host),
		"NUL in the path":             lines("GET /\x00 HTTP/1.1", host),
		"path without a slash":        lines("GET creds HTTP/1.1", host),
		"asterisk":                    lines("GET * HTTP/1.1", host),
		"OPTIONS asterisk":            lines("OPTIONS * HTTP/1.1", host),
		"two slashes":                 lines("GET // HTTP/1.1", host),
		"dots":                        lines("GET /x/../creds HTTP/1.1", host),
		"encoded slash":               lines("GET %2Fcreds HTTP/1.1", host),
		"backslash":                   lines("GET /\\creds HTTP/1.1", host),
		"CONNECT":                     lines("CONNECT "+addr+" HTTP/1.1", host),
		"CONNECT with a path":         lines("CONNECT / HTTP/1.1", host),
		"TRACE":                       lines("TRACE / HTTP/1.1", host),
		"odd method":                  lines("G=T / HTTP/1.1", host),
		"lower case method":           lines("get / HTTP/1.1", host),
		"method override":             lines("POST / HTTP/1.1", host, "X-HTTP-Method-Override: GET"),
		"two Hosts":                   lines("GET / HTTP/1.1", host, "Host: evil.example"),
		"two equal Hosts":             lines("GET / HTTP/1.1", host, host),
		"continued header":            lines("GET / HTTP/1.1", host, "X: a\r\n Origin: b", "Origin: https://evil.example"),
		"header without a colon":      lines("GET / HTTP/1.1", host, "Nothing"),
		"header with a space":         lines("GET / HTTP/1.1", host, "X Y: z"),
		"header with NUL":             lines("GET / HTTP/1.1", host, "X: a\x00b"),
		"bare CR in a header":         lines("GET / HTTP/1.1", host, "X: a\rOrigin: b"),
		"nameless header":             lines("GET / HTTP/1.1", host, ": x"),
		"17 KiB of headers":           lines("GET / HTTP/1.1", host, "X: "+strings.Repeat("a", 17<<10)),
		"10,000 headers":              lines("GET / HTTP/1.1", host, strings.Repeat("X: y\r\n", 10_000)+"X: y"),
		"100,000 characters of path":  lines("GET /"+strings.Repeat("a", 100_000)+" HTTP/1.1", host),
		"Expect":                      lines("GET / HTTP/1.1", host, "Expect: 200-maybe"),
		"nothing":                     "",
		"line ends alone":             "\r\n\r\n\r\n\r\n",
		"TLS":                         "\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + strings.Repeat("\x00", 160),
		"binary":                      strings.Repeat("\xff\x00\xfe", 2000),
	}
}

func TestRawHTTP(t *testing.T) {
	w := world.New(t, fakeaws.Config{})
	d := w.Serve("--load", "dev", "--log-level", "debug") // net/http logs a panic at debug
	works(t, d)
	before := slots(t, d)
	for name, request := range oddities(d.Addr()) {
		answer, _ := exchange("tcp", d.Addr(), request)
		if credentials(answer) {
			t.Errorf("%s: credentials in %d answers", name, len(statuses(answer)))
		}
		for _, status := range statuses(answer) {
			if status[0] != '4' && status[0] != '5' {
				t.Errorf("%s: %q", name, statuses(answer))
			}
		}
		works(t, d)
	}
	if after := slots(t, d); after != before {
		t.Errorf("the slots were %s and are %s", before, after)
	}
	if strings.Contains(d.Log(), "panic") || strings.Contains(d.Log(), "goroutine ") {
		t.Error("something panicked")
	}
	t.Logf("%d oddities of the daemon's own user: no credentials", len(oddities(d.Addr())))
}

// Requests that come in one go are answered one by one, and each is judged by
// itself.
func TestPipelining(t *testing.T) {
	w := world.New(t, fakeaws.Config{})
	d := w.Serve("--load", "dev")
	works(t, d)
	good, bad := lines("GET / HTTP/1.1", "Host: "+d.Addr()), lines("GET / HTTP/1.1", "Host: "+d.Addr(), "Origin: https://evil.example")
	c, err := net.Dial("tcp", d.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	const pairs = 500
	go func() { _, _ = io.WriteString(c, strings.Repeat(good+bad, pairs)) }()
	in := bufio.NewReader(c)
	for i := range 2 * pairs {
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatalf("answer %d: %v", i, err)
		}
		body, err := io.ReadAll(resp.Body)
		if want := i%2 == 0; err != nil || credentials(string(body)) != want || (resp.StatusCode == 200) != want {
			t.Fatalf("answer %d: %d %v", i, resp.StatusCode, err)
		}
	}
}
