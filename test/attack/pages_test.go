package attack_test

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"rolecall/internal/fakeaws"
	"rolecall/test/world"
)

const (
	chrome  = "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
	firefox = "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
	safari  = "User-Agent: Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/15.6 Safari/605.1.15"
)

// browsers are the headers of requests that pages cause, by browser and way.
// Those of old browsers and of converters have nothing but a User-Agent.
func browsers() map[string][]string {
	sec := func(site, mode, dest string) []string {
		return []string{"Sec-Fetch-Site: " + site, "Sec-Fetch-Mode: " + mode, "Sec-Fetch-Dest: " + dest}
	}
	with := func(agent string, more ...string) []string {
		return append([]string{agent, "Accept: */*", "Accept-Language: en", "Accept-Encoding: gzip"}, more...)
	}
	evil := "Origin: https://evil.example"
	return map[string][]string{
		"chrome fetch cors":               with(chrome, append(sec("cross-site", "cors", "empty"), evil, "Referer: https://evil.example/")...),
		"chrome fetch no-cors":            with(chrome, sec("cross-site", "no-cors", "empty")...),
		"chrome fetch same-site":          with(chrome, append(sec("same-site", "cors", "empty"), "Origin: http://localhost:3000")...),
		"chrome fetch same-origin":        with(chrome, sec("same-origin", "cors", "empty")...),
		"chrome image":                    with(chrome, sec("cross-site", "no-cors", "image")...),
		"chrome script":                   with(chrome, sec("cross-site", "no-cors", "script")...),
		"chrome stylesheet":               with(chrome, sec("cross-site", "no-cors", "style")...),
		"chrome font":                     with(chrome, append(sec("cross-site", "cors", "font"), evil)...),
		"chrome frame":                    with(chrome, append(sec("cross-site", "navigate", "iframe"), "Upgrade-Insecure-Requests: 1")...),
		"chrome navigation":               with(chrome, append(sec("none", "navigate", "document"), "Sec-Fetch-User: ?1")...),
		"chrome link":                     with(chrome, append(sec("cross-site", "navigate", "document"), "Referer: https://evil.example/")...),
		"chrome form":                     with(chrome, append(sec("cross-site", "navigate", "document"), evil, "Content-Type: application/x-www-form-urlencoded")...),
		"chrome form text/plain":          with(chrome, append(sec("cross-site", "navigate", "document"), evil, "Content-Type: text/plain")...),
		"chrome beacon":                   with(chrome, append(sec("cross-site", "no-cors", "empty"), evil, "Content-Type: text/plain;charset=UTF-8")...),
		"chrome websocket":                with(chrome, evil, "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="),
		"chrome event source":             with(chrome, append(sec("cross-site", "cors", "empty"), evil, "Accept: text/event-stream")...),
		"chrome preflight":                with(chrome, append(sec("cross-site", "cors", "empty"), evil, "Access-Control-Request-Method: PUT", "Access-Control-Request-Headers: authorization")...),
		"chrome private-network":          with(chrome, evil, "Access-Control-Request-Private-Network: true", "Access-Control-Request-Method: GET"),
		"chrome local-network":            with(chrome, evil, "Access-Control-Request-Local-Network: true"),
		"chrome prefetch":                 with(chrome, "Sec-Purpose: prefetch;prerender", "Purpose: prefetch"),
		"chrome hints alone":              with(chrome, `Sec-CH-UA: "Chromium";v="140"`, "Sec-CH-UA-Mobile: ?0", `Sec-CH-UA-Platform: "Linux"`),
		"chrome worker":                   with(chrome, sec("same-origin", "same-origin", "worker")...),
		"chrome service worker":           with(chrome, "Service-Worker: script", "Sec-Fetch-Site: same-origin"),
		"chrome extension":                with(chrome, "Origin: chrome-extension://abcdefghijklmnop", "Sec-Fetch-Site: none"),
		"chrome rebound name":             with(chrome), // http://attacker.test is not trustworthy: no Sec-Fetch
		"page of a file":                  with(chrome, "Origin: null", "Sec-Fetch-Site: cross-site"),
		"sandboxed frame":                 with(firefox, "Origin: null"),
		"firefox fetch":                   with(firefox, append(sec("cross-site", "cors", "empty"), evil)...),
		"firefox image":                   with(firefox, append(sec("cross-site", "no-cors", "image"), "Referer: https://evil.example/")...),
		"firefox websocket":               with(firefox, evil, "Connection: keep-alive, Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="),
		"firefox 89 image with referrer":  with("User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:89.0) Gecko/20100101 Firefox/89.0", "Referer: http://evil.example/"),
		"firefox 89 image without":        with("User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:89.0) Gecko/20100101 Firefox/89.0"),
		"safari 15 image without":         with(safari),
		"safari 15 fetch":                 with(safari, evil),
		"safari 15 form":                  with(safari, evil, "Content-Type: application/x-www-form-urlencoded", "Upgrade-Insecure-Requests: 1"),
		"internet explorer":               with("User-Agent: Mozilla/5.0 (Windows NT 10.0; WOW64; Trident/7.0; rv:11.0) like Gecko", "DNT: 1"),
		"with a cookie of this host":      {"User-Agent: x", "Cookie: session=1"},
		"in-app web view behind a proxy":  {"User-Agent: x", "X-Forwarded-Proto: http", "Via: 1.1 carrier"},
		"http/1.1 proxy client":           {"User-Agent: x", "Proxy-Connection: keep-alive"},
		"wkhtmltopdf":                     with("User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/534.34 (KHTML, like Gecko) wkhtmltopdf Safari/534.34"),
		"phantomjs":                       with("User-Agent: Mozilla/5.0 (Unknown; Linux x86_64) AppleWebKit/538.1 (KHTML, like Gecko) PhantomJS/2.1.1 Safari/538.1"),
		"jsdom":                           with("User-Agent: Mozilla/5.0 (linux) AppleWebKit/537.36 (KHTML, like Gecko) jsdom/26.0.0", "Origin: https://evil.example"),
		"headless chrome top page":        with("User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/140.0.0.0 Safari/537.36", "Sec-Fetch-Site: none", "Upgrade-Insecure-Requests: 1"),
		"origin of the daemon itself":     {"User-Agent: x", "Origin: http://127.0.0.1:4144"},
		"referrer of the daemon itself":   {"User-Agent: x", "Referer: http://127.0.0.1:4144/"},
		"lower case":                      {"user-agent: x", "origin: https://evil.example"},
		"empty origin":                    {"User-Agent: x", "Origin:"},
		"origin twice":                    {"User-Agent: x", "Origin: http://127.0.0.1", "Origin: https://evil.example"},
		"origin on a continued-line head": {"User-Agent: x", "X-A: b", "oRiGiN: https://evil.example"},
	}
}

// requestsOfPages are the methods and paths that pages try.
var requestsOfPages = []string{
	"GET /", "GET /creds", "GET /v1/credentials", "GET /slot/prod", "GET /source/profile:dev", "GET /source/fake", "GET /role/inner",
	"GET /slot", "GET /profile", "GET /metrics", "HEAD /", "OPTIONS /", "OPTIONS /slot/prod", "POST /", "PUT /", "PUT /slot/prod", "DELETE /", "DELETE /slot/prod", "DELETE /slot",
}

func TestPagesGetNothing(t *testing.T) {
	w := world.New(t, fakeaws.Config{})
	d := w.Serve("--load", "dev", "--slot", "prod=prod", "--metrics")
	works(t, d)
	filled(t, d, "prod")
	before := slots(t, d)
	sent := 0
	for name, header := range browsers() {
		for _, request := range requestsOfPages {
			body := ""
			if strings.HasPrefix(request, "PUT") || strings.HasPrefix(request, "POST") {
				body = `{"ProfileName":"evil","Creds":{"accessKeyId":"AKIAEVIL","secretAccessKey":"x","sessionToken":"x","expiration":4102444800000}}`
			}
			head := append([]string{request + " HTTP/1.1", "Host: " + d.Addr(), fmt.Sprint("Content-Length: ", len(body))}, header...)
			answer, err := exchange("tcp", d.Addr(), lines(head...)+body)
			sent++
			if err != nil || !strings.HasPrefix(answer, "HTTP/1.1 4") {
				t.Errorf("%s: %s: %.60q %v", name, request, answer, err)
			}
			lower, _, _ := strings.Cut(strings.ToLower(answer), "\r\n\r\n")
			if strings.Contains(lower, "access-control-") || !strings.Contains(lower, "cross-origin-resource-policy: same-origin") ||
				!strings.Contains(lower, "x-content-type-options: nosniff") || !strings.Contains(lower, "cache-control: no-store") {
				t.Errorf("%s: %s: the headers of %q", name, request, answer)
			}
			if credentials(answer) || strings.Contains(answer, "evil") {
				t.Errorf("%s: %s: the answer has credentials, or what was sent", name, request)
			}
		}
	}
	if after := slots(t, d); after != before {
		t.Errorf("the slots were %s and are %s", before, after)
	}
	works(t, d)
	t.Logf("%d header sets, %d requests: none let in", len(browsers()), sent)
}

// hosts are values of Host that do not name a listener on 127.0.0.1:port.
func hosts(port string) []string {
	var all []string
	for _, h := range []string{
		"evil.example", "attacker.test", "127.0.0.1.nip.io", "localtest.me", "localhost.evil.example", "127.0.0.1.evil.example", "localhost.localdomain",
		"LOCALHOST", "Localhost", "localhost.", "localhost..", "127.0.0.1.", ".127.0.0.1", "127.1", "127.0.1", "127.000.000.001", "0177.0.0.1", "0x7f.0.0.1",
		"0x7f000001", "2130706433", "017700000001", "0", "0.0.0.0", "127.0.0.2", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:0:0:1]", "[::1%25lo]", "::1",
		"169.254.169.254", "169.254.170.2", "metadata.google.internal", "user@127.0.0.1", "127.0.0.1@evil.example", "ⓛocalhost", "１２７.0.0.1", "xn--localhost", "127。0。0。1",
	} {
		all = append(all, h+":"+port)
	}
	return append(all, "evil.example", "127.0.0.1:1", "127.0.0.1:80", "127.0.0.1:0", "127.0.0.1:", "localhost:", "localhost:80", "127.0.0.1:0"+port, "127.0.0.1:+"+port, "127.0.0.1:"+port+":"+port,
		"127.0.0.1: "+port, "127.0.0.1:"+port+"/", "127.0.0.1:"+port+"#", "127.0.0.1:"+port+"?", "127.0.0.1:"+port+"\\@evil.example", "http://127.0.0.1:"+port, "127.0.0.1,evil.example", "*", "%6cocalhost:"+port, "127.0.0.1%00:"+port, "[127.0.0.1]:"+port, ":"+port, "", "-", strings.Repeat("a", 4000))
}

func TestHostSpellings(t *testing.T) {
	w := world.New(t, fakeaws.Config{})
	d := w.Serve("--load", "dev")
	works(t, d)
	right := "Authorization: " + tokenOf(t, w)
	_, port, _ := net.SplitHostPort(d.Addr())
	for _, host := range hosts(port) {
		for _, more := range []string{"Accept: */*", right} { // by user, and with the token
			answer, err := exchange("tcp", d.Addr(), lines("GET / HTTP/1.1", "Host: "+host, more))
			if err != nil || !strings.HasPrefix(answer, "HTTP/1.1 4") || credentials(answer) {
				t.Errorf("Host %.80q: %.60q %v", host, answer, err)
			}
			if !strings.Contains(d.Addr(), host) && strings.Contains(bodyOf(answer), host) {
				t.Errorf("Host %.80q is told back", host)
			}
		}
	}
	for _, request := range []string{lines("GET / HTTP/1.0"), lines("GET / HTTP/1.0", right), lines("GET / HTTP/1.1"), lines("GET / HTTP/1.1", "Host: "+d.Addr(), "Host: evil.example")} {
		if answer, _ := exchange("tcp", d.Addr(), request); !strings.HasPrefix(answer, "HTTP/1.1 4") && !strings.HasPrefix(answer, "HTTP/1.0 4") || credentials(answer) {
			t.Errorf("%q: %.60q", strings.ReplaceAll(request, right, "…"), answer)
		}
	}
	for _, host := range []string{d.Addr(), "127.0.0.1", "localhost", "localhost:" + port} {
		if answer, _ := exchange("tcp", d.Addr(), lines("GET / HTTP/1.1", "Host: "+host)); !credentials(answer) {
			t.Errorf("Host %s: %.60q", host, answer)
		}
	}
	t.Logf("%d spellings of Host: none let in", len(hosts(port))+4)
}
