package attack_test

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"rolecall/internal/fakeaws"
	"rolecall/test/faults"
	"rolecall/test/figure"
	"rolecall/test/world"
)

const roleList = "/latest/meta-data/iam/security-credentials/"

// metadata asks the metadata service at url; header are further lines.
func metadata(t testing.TB, method, url string, header ...string) (status int, body string) {
	t.Helper()
	r, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	r.Close = true
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// needMetadata skips where the metadata service cannot be served.
func needMetadata(t testing.TB) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells whose a TCP connection is, without which no metadata is served")
	}
}

// imdsToken is the header with a token that a good client has got.
func imdsToken(t testing.TB, url string) string {
	t.Helper()
	status, token := metadata(t, http.MethodPut, url+"/latest/api/token", "X-aws-ec2-metadata-token-ttl-seconds: 21600")
	if status != http.StatusOK {
		t.Fatalf("PUT: %d %s", status, token)
	}
	return "X-aws-ec2-metadata-token: " + token
}

// metadataWorks fails the test unless a good client gets credentials now.
func metadataWorks(t testing.TB, url, token string) {
	t.Helper()
	if status, body := metadata(t, http.MethodGet, url+roleList+"dev", token); status != http.StatusOK || !credentials(body) {
		t.Fatalf("a good client got %d", status)
	}
}

// Another user of this machine, 1,000 times, at both versions, also with the
// token of a good client.
func TestOtherUserAndMetadata(t *testing.T) {
	needMetadata(t)
	if os.Geteuid() != 0 {
		t.Skip("only root can act as another user")
	}
	w := world.New(t, fakeaws.Config{})
	d := w.Serve("--load", "dev", "--imds", "127.0.0.1:0", "--imds-v1")
	works(t, d)
	url := d.MetadataURL()
	stolen := imdsToken(t, url)
	metadataWorks(t, url, stolen)
	addr := strings.TrimPrefix(url, "http://")
	const tries = 1000
	var requests []string
	for i := range tries {
		host := "Host: " + []string{addr, "169.254.169.254", "localhost"}[i%3]
		switch i % 5 {
		case 0:
			requests = append(requests, lines("PUT /latest/api/token HTTP/1.1", host, "X-aws-ec2-metadata-token-ttl-seconds: 21600", "Content-Length: 0"))
		case 1:
			requests = append(requests, lines("GET "+roleList+"dev HTTP/1.1", host))
		case 2:
			requests = append(requests, lines("GET "+roleList+"dev HTTP/1.1", host, stolen))
		case 3:
			requests = append(requests, lines("GET "+roleList+" HTTP/1.1", host, "Authorization: "+tokenOf(t, w)))
		default:
			requests = append(requests, lines("GET "+roleList+"dev HTTP/1.1", host, fmt.Sprintf("X-aws-ec2-metadata-token: %048d", i)))
		}
	}
	b := bombard(t, "tcp", addr, requests)
	for i, answer := range b.Answers {
		if !strings.HasPrefix(answer, "HTTP/1.1 403") || credentials(answer) || bodyOf(answer) == "dev" || len(bodyOf(answer)) == 48 {
			t.Errorf("%q: %.200q", requests[i], answer)
		}
	}
	metadataWorks(t, url, stolen)
	t.Logf("%d tries of uid %d: 0 got metadata", tries, nobody)
}

// A program that can be made to fetch a URL, of the daemon's own user: without
// version 1 nothing it can send gets metadata, as it sends no PUT with a header.
func TestSSRFAndMetadata(t *testing.T) {
	needMetadata(t)
	w := world.New(t, fakeaws.Config{})
	d := w.Serve("--load", "dev", "--imds", "127.0.0.1:0")
	works(t, d)
	url := d.MetadataURL()
	addr := strings.TrimPrefix(url, "http://")
	requests, _ := ssrf(addr)
	for i, r := range requests { // the PUT among them is what no such program can send
		if strings.HasPrefix(r, "PUT ") {
			requests[i] = strings.Replace(r, "\r\nHost", "\r\nX-Forwarded-For: 10.0.0.1\r\nHost", 1)
		}
	}
	for _, path := range []string{roleList + "dev", roleList, "/latest/dynamic/instance-identity/document", "//latest/meta-data/iam/security-credentials/dev", "/1.0/meta-data/iam/info", "/"} {
		for _, header := range []string{"Accept: */*", "X-aws-ec2-metadata-token: ", "X-aws-ec2-metadata-token: AAAA", "X-aws-ec2-metadata-token-ttl-seconds: 60", "User-Agent: Mozilla/5.0", "X-HTTP-Method-Override: PUT", "Metadata: true"} {
			requests = append(requests, lines("GET "+path+" HTTP/1.1", "Host: "+addr, header), lines("POST "+path+" HTTP/1.1", "Host: "+addr, header, "Content-Length: 0"))
		}
	}
	for _, r := range requests {
		answer, err := exchange("tcp", addr, r)
		if err != nil {
			t.Errorf("%q: %v", r, err)
		}
		for _, status := range statuses(answer) {
			if status < "400" || status > "499" && status != "505" && status != "501" {
				t.Errorf("%q: %.200q", r, answer)
			}
		}
		if credentials(answer) {
			t.Errorf("%q got credentials", r)
		}
	}
	metadataWorks(t, url, imdsToken(t, url))
	t.Logf("%d requests: 0 got metadata", len(requests))
}

// 300,000 requests for tokens cost no memory, and nobody's token.
func TestTokenFlood(t *testing.T) {
	needMetadata(t)
	const tokens, clients, atOnce = 300_000, 8, 50
	w := world.New(t, fakeaws.Config{})
	d := w.ServeWith(world.Options{Plain: true}, "--load", "dev", "--imds", "127.0.0.1:0", "--log-level", "warn")
	works(t, d)
	url := d.MetadataURL()
	first := imdsToken(t, url)
	addr := strings.TrimPrefix(url, "http://")
	flood := func(n int) {
		var wg sync.WaitGroup
		for range clients {
			wg.Go(func() {
				if err := putMany(addr, n/clients, atOnce); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
	flood(tokens / 10) // buffers and the heap grow to what any load needs
	before := memoryOf(t, d.PID())
	// What is kept, each flood adds; a heap that grows because the machine is
	// busy, and its collection late, does so once.
	const floods = 3
	added, last := math.Inf(1), before
	for range floods {
		flood(10_000)
		now := memoryOf(t, d.PID())
		added, last = min(added, now-last), now
	}
	metadataWorks(t, url, first)
	faults.Record(t, 53, added <= 1, "0 evicted by 10,000 more; peak RSS %+.1f MiB", added)
	flood(tokens - floods*10_000)
	after := memoryOf(t, d.PID())
	metadataWorks(t, url, first)
	figure.Note(t, "peak memory that 300,000 requests for IMDS tokens add", "≤ 4 MiB", fmt.Sprintf("%.1f MiB, from %.1f to %.1f", after-before, before, after), after-before > 4)
}

// putMany asks for n tokens over one connection, several requests at a time.
func putMany(addr string, n, atOnce int) error {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	one := []byte(lines("PUT /latest/api/token HTTP/1.1", "Host: "+addr, "X-aws-ec2-metadata-token-ttl-seconds: 21600"))
	if _, err := c.Write(one); err != nil {
		return err
	}
	answer := make([]byte, 4096)
	size, err := c.Read(answer)
	if err != nil {
		return err
	}
	requests, answers := bytes.Repeat(one, atOnce), make([]byte, size*atOnce) // all answers have one length
	for done := 0; done < n; done += atOnce {
		if _, err := c.Write(requests); err != nil {
			return err
		}
		if _, err := io.ReadFull(c, answers); err != nil {
			return err
		}
		if good := bytes.Count(answers, []byte("HTTP/1.1 200 OK\r\n")); good != atOnce {
			return fmt.Errorf("%d of %d requests got a token", good, atOnce)
		}
	}
	return nil
}

// memoryOf is the most resident memory a process has had, in MiB.
func memoryOf(t testing.TB, pid int) float64 {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, _ := strconv.ParseFloat(strings.Fields(v)[0], 64)
			return kb / 1024
		}
	}
	t.Fatal("no VmHWM")
	return 0
}

// A token of a daemon that was restarted is told to be none, by 401, from which
// SDKs fetch a new one.
func TestTokenOfAnEarlierDaemon(t *testing.T) {
	needMetadata(t)
	w := world.New(t, fakeaws.Config{})
	d := w.Serve("--load", "dev", "--imds", "127.0.0.1:0")
	works(t, d)
	url := d.MetadataURL()
	old := imdsToken(t, url)
	metadataWorks(t, url, old)
	if err := d.Stop(); err != nil {
		t.Fatal(err)
	}
	d = w.Serve("--load", "dev", "--imds", strings.TrimPrefix(url, "http://"))
	works(t, d)
	if status, body := metadata(t, http.MethodGet, url+roleList+"dev", old); status != http.StatusUnauthorized || credentials(body) {
		t.Errorf("the old token: %d %s", status, body)
	}
	metadataWorks(t, url, imdsToken(t, url))
}
