package attack_test

import (
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"

	"rolecall/internal/fakeaws"
	"rolecall/test/world"
)

// ssrf is what programs send that can be made to fetch a URL, or to write bytes
// to a port. addr is the daemon's; mark says that a request shows by itself that
// it comes through a proxy or from a page.
func ssrf(addr string) (payloads []string, marked map[int]bool) {
	marked = map[int]bool{}
	get := func(mark bool, path, host string, header ...string) {
		marked[len(payloads)] = mark
		payloads = append(payloads, lines(append([]string{"GET " + path + " HTTP/1.1", "Host: " + host}, header...)...))
	}
	raw := func(mark bool, text string) {
		marked[len(payloads)] = mark
		payloads = append(payloads, text)
	}
	_, port, _ := strings.Cut(addr, ":")
	// Libraries given a plain URL.
	for _, agent := range []string{"python-requests/2.32", "curl/8.5", "Go-http-client/1.1", "Java/21", "PHP/8.3", "axios/1.7", "Ruby", "Lavf/61", "libxml2", "ImageMagick 7", "Wget/1.21", "okhttp/4.12"} {
		get(false, "/", addr, "User-Agent: "+agent, "Accept: */*")
	}
	for _, path := range []string{"/creds", "/v1/credentials", "/slot/prod", "/source/profile:prod", "/source/fake", "/source/env", "/role/admin", "/role-arn/arn:aws:iam::111111111111:role/x", "/slot", "/profile",
		"/latest/meta-data/iam/security-credentials/", "/latest/api/token", "/v2/credentials/1", "/metrics", "/v1/status"} {
		get(false, path, addr)
	}
	get(false, "/?"+url.Values{"token": {"x"}}.Encode(), addr)
	get(false, "/#fragment", addr)
	// The daemon by another spelling of its address, as filters are got round.
	for _, host := range []string{"127.1:", "2130706433:", "0x7f.1:", "0177.1:", "[::ffff:127.0.0.1]:", "0:", "0.0.0.0:", "127.0.0.1.nip.io:", "localtest.me:", "rebind.evil.example:"} {
		get(true, "/", host+port)
	}
	get(true, "/", "evil.example@"+addr)
	// Through a proxy, or as one.
	get(true, "http://"+addr+"/", addr)
	get(true, "http://evil.example/", addr)
	get(true, "/", addr, "X-Forwarded-For: 10.0.0.1")
	get(true, "/", addr, "Forwarded: for=10.0.0.1")
	get(true, "/", addr, "Via: 1.1 squid")
	get(true, "/", addr, "X-Forwarded-Host: evil.example")
	get(true, "/", addr, "X-Real-IP: 10.0.0.1")
	get(true, "/", addr, "Proxy-Connection: Keep-Alive")
	raw(true, lines("CONNECT "+addr+" HTTP/1.1", "Host: "+addr))
	// Renderers of pages, PDF and previews.
	get(true, "/", addr, "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/534.34 (KHTML, like Gecko) wkhtmltopdf Safari/534.34")
	get(true, "/", addr, "User-Agent: Mozilla/5.0 HeadlessChrome/140", "Sec-Fetch-Site: none")
	get(true, "/", addr, "User-Agent: x", "Referer: file:///tmp/page.html")
	get(true, "/", addr, "User-Agent: x", "Cookie: a=b")
	// Headers by CRLF in a URL, bytes by gopher://, other protocols.
	raw(false, "GET / HTTP/1.1\r\nHost: "+addr+"\r\nX: y\r\n\r\nGET /creds HTTP/1.1\r\nHost: "+addr+"\r\n\r\n")
	raw(false, "GET / HTTP/1.1\r\nHost: "+addr+"\r\nAuthorization: \r\n\r\n")
	raw(false, "GET / HTTP/1.1\r\nHost: "+addr+"\r\nAuthorization: Bearer null\r\n\r\n")
	raw(false, "GET / HTTP/1.1\r\nHost: "+addr+"\r\nAuthorization: Basic cm9vdDpyb290\r\n\r\n")
	raw(false, "PUT /latest/api/token HTTP/1.1\r\nHost: "+addr+"\r\nX-aws-ec2-metadata-token-ttl-seconds: 21600\r\nContent-Length: 0\r\n\r\n")
	raw(true, "POST / HTTP/1.1\r\nHost: "+addr+"\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 3\r\n\r\na=b")
	raw(true, "GET / HTTP/1.0\r\n\r\n")
	raw(true, "GET /\r\n\r\n")
	raw(true, "EHLO localhost\r\nMAIL FROM:<GET / HTTP/1.1>\r\n")
	raw(true, "*1\r\n$4\r\nINFO\r\n")
	raw(true, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"+strings.Repeat("\x00", 64))
	raw(true, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
	raw(true, "stats\r\nquit\r\n")
	raw(true, "DEFINE * /\r\n")
	return payloads, marked
}

func TestSSRF(t *testing.T) {
	t.Run("mode token", func(t *testing.T) {
		w := world.New(t, fakeaws.Config{})
		d := w.Serve("--load", "dev", "--slot", "prod=prod", "--auth", "token")
		right := "Authorization: " + tokenOf(t, w)
		works(t, d, right)
		payloads, _ := ssrf(d.Addr())
		for _, p := range payloads {
			answer, _ := exchange("tcp", d.Addr(), p)
			if credentials(answer) || strings.Contains(answer, " 200 ") {
				t.Errorf("%.100q: %.60q", p, answer)
			}
		}
		works(t, d, right)
		t.Logf("%d payloads of the daemon's own user in mode token: no credentials", len(payloads))
	})
	t.Run("mode auto, other user", func(t *testing.T) {
		if os.Geteuid() != 0 {
			t.Skip("only root can act as another user")
		}
		w := world.New(t, fakeaws.Config{})
		d := w.Serve("--load", "dev", "--slot", "prod=prod")
		works(t, d)
		payloads, _ := ssrf(d.Addr())
		for i, answer := range bombard(t, "tcp", d.Addr(), payloads).Answers {
			if credentials(answer) || strings.Contains(answer, " 200 ") {
				t.Errorf("%.100q: %.60q", payloads[i], answer)
			}
		}
		works(t, d)
		t.Logf("%d payloads of another user in mode auto: no credentials", len(payloads))
	})
	// What docs/security.md says of mode auto: a plain GET of a program of the
	// daemon's own user is let in, whoever made it ask. What shows a proxy, a
	// page or another name of the daemon is not.
	t.Run("mode auto, same user", func(t *testing.T) {
		w := world.New(t, fakeaws.Config{})
		d := w.Serve("--load", "dev", "--slot", "prod=prod")
		works(t, d)
		payloads, marked := ssrf(d.Addr())
		let := 0
		for i, p := range payloads {
			answer, _ := exchange("tcp", d.Addr(), p)
			if credentials(answer) {
				let++
				if marked[i] {
					t.Errorf("%.100q: %.60q", p, answer)
				}
			}
		}
		if let == 0 {
			t.Error("no plain request was let in: docs/security.md says otherwise, and the other runs show nothing")
		}
		t.Logf("%d of %d payloads are plain requests of the daemon's own user, and let in", let, len(payloads))
	})
}

// A token belongs in a header. In a URL it is worth nothing, and the log does
// not keep queries.
func TestTokenInURL(t *testing.T) {
	w := world.New(t, fakeaws.Config{})
	d := w.Serve("--load", "dev", "--auth", "token")
	right := tokenOf(t, w)
	works(t, d, "Authorization: "+right)
	for _, path := range []string{"/?token=%s", "/?Authorization=%s", "/creds?access_token=%s", "/?%s"} {
		if status, _, err := d.Get(fmt.Sprintf(path, right)); err != nil || status != 401 {
			t.Errorf(path+": %d %v", "TOKEN", status, err)
		}
	}
	if err := d.Stop(); err != nil {
		t.Error(err)
	}
	if strings.Contains(d.Log(), right) {
		t.Error("the token is in the log")
	}
}
