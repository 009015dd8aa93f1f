package attack_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"rolecall/internal/fakeaws"
	"rolecall/test/world"
)

// injections are what somebody would like to see in a log, or on the terminal of
// who reads it.
var injections = []string{
	`","outcome":"ok","x":"`, `\",\"outcome\":\"ok`, `"}{"level":"INFO","msg":"credentials","uid":0}`, `\u000a{"level":"INFO"}`, `\n`, "%0a%0d", "\t\t", "\\", `"`, "'", "=", " level=INFO msg=credentials uid=0", "${jndi:ldap://127.0.0.1/a}",
	"\u0085", "\u009b2J", "\u202e", "\u2028", "\u2029", "\ufeff", "\xff\xfe", "\xc3", "\xed\xa0\x80", "\U0001f600", "\x80\x81", "%s%n", "{{.}}", "<script>", strings.Repeat("A", 300), strings.Repeat("é", 200),
}

// fuzzed makes a request that net/http takes and hands on, so that there must be
// a record of it.
func fuzzed(r *rand.Rand, addr string) string {
	piece := func() string {
		var b strings.Builder
		for range r.IntN(4) {
			if r.IntN(3) > 0 {
				b.WriteString(injections[r.IntN(len(injections))])
				continue
			}
			for range r.IntN(20) {
				if c := byte(r.IntN(256)); c >= ' ' && c != 0x7f || c == '\t' { // other ones are refused before anybody sees them
					b.WriteByte(c)
				}
			}
		}
		return b.String()
	}
	escaped := func(text string) string {
		var b strings.Builder
		for _, c := range []byte(text) {
			fmt.Fprintf(&b, "%%%02x", c)
		}
		for range r.IntN(3) {
			fmt.Fprintf(&b, "%%%02x", r.IntN(0x20)) // control characters too
		}
		return b.String()
	}
	method := []string{"GET", "GET", "GET", "HEAD", "POST", "DELETE", "OPTIONS", "!#$%&'*+-.^_`|~" + strings.Repeat("M", r.IntN(400))}[r.IntN(8)]
	path := []string{"/slot/", "/source/profile:", "/healthcheck/slot/", "/role-arn/", "/"}[r.IntN(5)] + escaped(piece()) + "?" + escaped(piece())
	head := []string{method + " " + path + " HTTP/1.1", "Host: " + addr, "User-Agent: " + piece()}
	if r.IntN(2) == 0 {
		head = append(head, "Authorization: "+piece())
	}
	if r.IntN(4) == 0 {
		head = append(head, "Origin: "+piece())
	}
	return lines(head...)
}

func TestLogInjection(t *testing.T) {
	t.Parallel()
	requests := map[string]int{"json": 10_000, "text": 2_000}
	if testing.Short() {
		requests = map[string]int{"json": 1_000, "text": 200}
	}
	for format, n := range requests {
		t.Run(format, func(t *testing.T) {
			w := world.New(t, fakeaws.Config{})
			d := w.Serve("--load", "dev", "--log-format", format)
			attacker := newSession(t, d.Addr())
			r := rand.New(rand.NewPCG(1, 2))
			want := 0
			for range n {
				request := fuzzed(r, d.Addr())
				if strings.HasPrefix(request, "HEAD") {
					request = "GET" + request[4:] // an answer without a body would need another reader
				}
				answer := attacker.do(request)
				switch {
				case strings.Contains(answer, "\r\nContent-Type: application/json\r\n"):
					if strings.Contains(answer, `{"status":"`) {
						continue // a health check that was answered leaves no record
					}
					want++
				case strings.HasPrefix(answer, "HTTP/1.1 400 Bad Request"): // net/http's own
				default:
					t.Errorf("%.80q: %.100q", request, answer)
				}
				if credentials(answer) && strings.Contains(request, "Authorization: ") && !strings.Contains(request, "Authorization: \r\n") && strings.TrimSpace(between(request, "Authorization: ", "\r\n")) != "" {
					t.Errorf("%q got credentials", request)
				}
			}
			if err := d.Stop(); err != nil {
				t.Error(err)
			}
			got := 0
			for line := range strings.Lines(d.Log()) {
				if strings.ContainsFunc(strings.TrimSuffix(line, "\n"), func(c rune) bool { return c < ' ' || c > '~' }) {
					t.Errorf("a line with more than printable ASCII: %q", line)
				}
				record := map[string]any{}
				if format == "json" {
					if err := json.Unmarshal([]byte(line), &record); err != nil {
						t.Fatalf("no JSON: %q: %v", line, err)
					}
				} else if strings.Contains(line, " endpoint=ecs ") {
					record["endpoint"] = "ecs"
				}
				if record["endpoint"] == "ecs" {
					got++
				}
				if len(line) > 4096 {
					t.Errorf("a line of %d bytes", len(line))
				}
			}
			if got != want || want < n/2 {
				t.Errorf("%d records of %d requests", got, want)
			}
			t.Logf("%d requests sent, %d reached the endpoint, %d lines", n, want, got)
		})
	}
}

func between(text, from, to string) string {
	_, rest, _ := strings.Cut(text, from)
	inner, _, _ := strings.Cut(rest, to)
	return inner
}
