package source

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"rolecall/internal/fakeaws"
	"rolecall/internal/usererr"
)

// TestContainerRules has an entry for each rule of a client of the container
// endpoint.
func TestContainerRules(t *testing.T) {
	t.Parallel()
	good := func(int, *http.Request) (int, string, http.Header) { return 200, goodDocument, nil }
	for _, rule := range []struct {
		name string
		try  func(t *testing.T, g *rig)
	}{
		{"RELATIVE goes before FULL, and is added to http://169.254.170.2 as it stands", func(t *testing.T, g *rig) {
			g.env[relativeURI], g.env[fullURI] = "/v2/x?a=1&a=2", "http://127.0.0.1:1/"
			if u, err := g.r.containerURL(); err != nil || u.String() != "http://169.254.170.2/v2/x?a=1&a=2" {
				t.Errorf("%v, %v", u, err)
			}
			g.env[relativeURI] = "" // blank is not set
			if u, err := g.r.containerURL(); err != nil || u.String() != "http://127.0.0.1:1/" {
				t.Errorf("%v, %v", u, err)
			}
			g.env[relativeURI] = "x"
			g.fails("container", usererr.NotConfigured, "does not begin with /")
			delete(g.env, relativeURI)
			delete(g.env, fullURI)
			g.fails("container", usererr.NotConfigured, relativeURI, fullURI)
		}},
		{"the token's file goes before the token, and is read for each request; nothing is added to it", func(t *testing.T, g *rig) {
			w := newWire(t, g, good)
			g.env[tokenVar] = "from the environment"
			g.must("container")
			g.env[tokenFile] = g.write("token", "one")
			g.must("container")
			g.write("token", "Bearer two")
			g.must("container")
			g.write("token", "")
			g.must("container") // as the SDK for Go: no header
			var sent []string
			for _, r := range w.seen {
				sent = append(sent, strings.Join(r.Header["Authorization"], "+"))
			}
			if !slices.Equal(sent, []string{"from the environment", "one", "Bearer two", ""}) {
				t.Errorf("%q", sent)
			}
		}},
		{"a newline in the token is refused with what to type, a control character too", func(t *testing.T, g *rig) {
			w := newWire(t, g, good)
			for _, text := range []string{"CANARY\n", "CANARY\r\nX-Other: 1", "\rCANARY"} {
				g.env[tokenVar] = text
				if e := g.fails("container", usererr.NotConfigured, "holds a newline", "printf %s TOKEN > FILE"); strings.Contains(e.Msg, "CANARY") {
					t.Error(e.Msg)
				}
			}
			g.env[tokenVar] = "CANARY\x00"
			g.fails("container", usererr.NotConfigured, "control character")
			wants(t, w)
		}},
		{"plain HTTP reaches loopback (also by name) and the link-local services only, https any host", func(t *testing.T, g *rig) {
			w := newWire(t, g, good)
			g.env[fullURI] = strings.Replace(w.URL, "127.0.0.1", "localhost", 1) + "/creds"
			g.must("container")
			for _, host := range []string{"10.0.0.1", "0.0.0.0", "[::2]"} /* TestContainerAddresses has the others, which are not to be asked */ {
				g.env[fullURI] = "http://" + host + "/x"
				g.fails("container", usererr.NotConfigured, "unencrypted", "use https://")
			}
			u, _ := url.Parse("https://credentials.invalid/x")
			if err := (&container{url: u}).allowed(t.Context()); err != nil {
				t.Error(err)
			}
		}},
		{"what a name leads to is looked at when the connection is made", func(t *testing.T, g *rig) {
			w := newWire(t, g, good)
			nowhere := only(t.Context(), func(netip.Addr) bool { return false })
			_, err := asker{client: newClient(nil, nil), attempts: 3, timeout: time.Second, total: time.Second}.ask(nowhere, http.MethodGet, w.URL, nil)
			if !errors.Is(err, errElsewhere) {
				t.Error(err)
			}
			u, _ := url.Parse(w.URL)
			isError(t, "elsewhere", (&container{r: g.r, url: u}).unanswered(err), usererr.NotConfigured, "unencrypted")
			wants(t, w)
		}},
		{"429, 5xx and broken connections are tried three times with pauses, nothing else is", func(t *testing.T, g *rig) {
			g.env[fullURI] = g.fake.ContainerURL("task")
			for _, c := range []struct {
				fault fakeaws.Fault
				calls int
			}{
				{fakeaws.Fault{Status: 429}, 3}, {fakeaws.Fault{Status: 500}, 3}, {fakeaws.Fault{Status: 503}, 3}, {fakeaws.Fault{Reset: true}, 3},
				{fakeaws.Fault{Status: 503, RetryAfter: time.Second}, 3},
				{fakeaws.Fault{Status: 429, RetryAfter: 2 * time.Second}, 1}, {fakeaws.Fault{Status: 400}, 1}, {fakeaws.Fault{Status: 401}, 1}, {fakeaws.Fault{Status: 403}, 1},
				{fakeaws.Fault{Status: 404}, 1}, {fakeaws.Fault{Body: []byte("x")}, 1}, {fakeaws.Fault{Expired: true}, 1},
			} {
				g.fake.ClearFaults()
				g.fake.ResetCalls()
				g.configure(Config{}) // net/http tries again by itself on a connection that was kept
				c.fault.Match = "container:credentials"
				g.fake.Script(c.fault)
				if _, err := g.retrieve("container"); err == nil {
					t.Errorf("%+v: worked", c.fault)
				}
				if n := g.fake.Calls("*"); n != c.calls {
					t.Errorf("%+v: %d requests, want %d", c.fault, n, c.calls)
				}
			}
			g.fake.ClearFaults()
			g.fake.Script(fakeaws.Fault{Match: "*", Status: 429, Times: 1}, fakeaws.Fault{Match: "*", Reset: true, Times: 1})
			g.must("container")
		}},
		{"Accept is application/json, and credentials without an end are taken for keys that last", func(t *testing.T, g *rig) {
			w := newWire(t, g, func(int, *http.Request) (int, string, http.Header) {
				return 200, `{"AccessKeyId":"AKIAFAKE","SecretAccessKey":"s","Token":"","Expiration":null}`, nil
			})
			if c := g.must("container"); c.CanExpire() {
				t.Errorf("%+v", c)
			}
			if r := w.seen[0]; r.Header.Get("Accept") != "application/json" || r.Header.Get("Accept-Encoding") != "" {
				t.Errorf("%v", r.Header)
			}
		}},
	} {
		t.Run(rule.name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t, fakeaws.Config{})
			rule.try(t, g)
		})
	}
}

// TestAsk: the rule for another attempt, and the pauses between them.
func TestAsk(t *testing.T) {
	for n := 1; n <= 20; n++ {
		for _, r := range []float64{0, 0.5, 0.999999} {
			usual, throttled := pause(n, nil, r), pause(n, &answer{status: 429}, r)
			if usual < 50*time.Millisecond || usual > longestPause || throttled < 200*time.Millisecond || throttled > longestPause {
				t.Errorf("%d, %v: %v, %v", n, r, usual, throttled)
			}
			if got := pause(n, &answer{status: 503, retryAfter: longestPause}, r); got != longestPause {
				t.Errorf("a wish of %v: %v", longestPause, got)
			}
		}
	}
	for err, want := range map[error]bool{context.DeadlineExceeded: true, errors.New("x"): true, context.Canceled: false, errTooLarge: false, errElsewhere: false} {
		if got := worthAgain(nil, err); got != want {
			t.Errorf("%v: %v", err, got)
		}
	}
}
