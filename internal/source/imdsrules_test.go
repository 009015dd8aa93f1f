package source

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rolecall/internal/creds"
	"rolecall/internal/fakeaws"
	"rolecall/internal/usererr"
)

// wire is a service whose every answer is written by the test.
type wire struct {
	*httptest.Server
	mu   sync.Mutex
	seen []*http.Request
}

// answering answers the nth request (from 0) as the test says; one for which it
// says nothing fails the test.
func newWire(t *testing.T, g *rig, answer func(n int, r *http.Request) (status int, body string, header http.Header)) *wire {
	t.Helper()
	w := &wire{}
	w.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		n := len(w.seen)
		w.seen = append(w.seen, r)
		w.mu.Unlock()
		status, body, header := answer(n, r)
		if status == 0 {
			t.Errorf("request %d was not expected: %s %s", n, r.Method, r.URL)
			status = 418
		}
		for k, v := range header {
			rw.Header()[k] = v
		}
		rw.WriteHeader(status)
		_, _ = rw.Write([]byte(body))
	}))
	t.Cleanup(w.Close)
	g.env[imdsEndpoint], g.env[fullURI] = w.URL, w.URL+"/creds"
	return w
}

// lines are the requests as "METHOD PATH".
func (w *wire) lines() (all []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.seen {
		all = append(all, r.Method+" "+r.URL.Path)
	}
	return all
}

const (
	goodDocument = `{"Code":"Success","LastUpdated":"2026-01-01T00:00:00Z","Type":"AWS-HMAC","AccessKeyId":"ASIAFAKE","SecretAccessKey":"a-secret","Token":"a-token","Expiration":"2099-01-01T00:00:00Z"}`
	put          = "PUT " + imdsTokenPath
	list         = "GET " + imdsRolesPath
	document     = "GET " + imdsRolesPath + "web"
)

// imdsAnswers is a service that does as EC2's does, but for what differs says.
func imdsAnswers(differs map[string]func(n int) (int, string)) func(int, *http.Request) (int, string, http.Header) {
	count := map[string]int{}
	var mu sync.Mutex
	return func(_ int, r *http.Request) (int, string, http.Header) {
		mu.Lock()
		defer mu.Unlock()
		line := r.Method + " " + r.URL.Path
		n := count[line]
		count[line]++
		if f := differs[line]; f != nil {
			if status, body := f(n); status != 0 {
				return status, body, http.Header{headerIMDSTTL: {"21600"}}
			}
		}
		switch line {
		case put:
			return 200, "token" + string(rune('A'+n)), http.Header{headerIMDSTTL: {"21600"}}
		case list:
			return 200, "web", nil
		case document:
			return 200, goodDocument, nil
		}
		return 0, "", nil
	}
}

type differs = map[string]func(int) (int, string)

func always(status int, body string) func(int) (int, string) {
	return func(int) (int, string) { return status, body }
}
func first(status int, body string) func(int) (int, string) {
	return func(n int) (int, string) {
		if n == 0 {
			return status, body
		}
		return 0, ""
	}
}

func wants(t *testing.T, w *wire, lines ...string) {
	t.Helper()
	if got := w.lines(); !slices.Equal(got, lines) {
		t.Errorf("asked %q, want %q", got, lines)
	}
}

// TestInstanceRules has an entry for each rule that a client of the metadata
// service must keep, in the order in which they apply.
func TestInstanceRules(t *testing.T) {
	t.Parallel()
	for _, rule := range []struct {
		name string
		try  func(t *testing.T, g *rig)
	}{
		{"1 AWS_EC2_METADATA_DISABLED comes first, in any case of letters, and nothing is asked", func(t *testing.T, g *rig) {
			w := newWire(t, g, imdsAnswers(nil))
			for _, text := range []string{"true", "TRUE", "True"} {
				g.env[imdsDisabled] = text
				g.fails("imds", usererr.NotConfigured, imdsDisabled)
			}
			wants(t, w)
			for _, text := range []string{"false", "0", "no", ""} { // none of which the SDKs but JavaScript's take for true
				g.env[imdsDisabled] = text
				g.must("imds")
			}
		}},
		{"2 endpoint: environment, profile, then mode; what is no URL or mode is said", func(t *testing.T, g *rig) {
			w := newWire(t, g, imdsAnswers(nil))
			g.env["AWS_CONFIG_FILE"] = g.write("rules", "[default]\nec2_metadata_service_endpoint = "+w.URL+"\nec2_metadata_service_endpoint_mode = IPv6\n")
			delete(g.env, imdsEndpoint)
			g.env[imdsMode] = "nonsense" // not looked at beside an endpoint
			g.must("imds")
			g.env[imdsEndpoint] = "http://127.0.0.1:1/%zz"
			g.fails("imds", usererr.NotConfigured, imdsEndpoint+" is not a URL")
			for _, text := range []string{"127.0.0.1:1", "http://", "ftp://127.0.0.1", "http://user:CANARY@127.0.0.1:1", "http://127.0.0.1:1?x=CANARY"} {
				g.env[imdsEndpoint] = text
				if e := g.fails("imds", usererr.NotConfigured, "is not a URL"); strings.Contains(e.Msg, "CANARY") {
					t.Errorf("%s is shown", e.Msg)
				}
			}
			delete(g.env, imdsEndpoint)
			g.env["AWS_CONFIG_FILE"] = g.write("rules", "[default]\nec2_metadata_service_endpoint_mode = IPv7\n")
			_, err := g.r.Resolve("imds") // and no more: were it taken, a real service might be asked
			isError(t, "imds", err, usererr.NotConfigured, imdsMode, "nonsense", "is not a valid endpoint mode")
			delete(g.env, imdsMode)
			_, err = g.r.Resolve("imds")
			isError(t, "imds", err, usererr.NotConfigured, "rules:2", "IPv7", "write IPv4 or IPv6")
		}},
		{"2 the profile is that of AWS_PROFILE, else [default]; in a chain the one that asks", func(t *testing.T, g *rig) {
			w := newWire(t, g, imdsAnswers(nil))
			delete(g.env, imdsEndpoint)
			g.env["AWS_CONFIG_FILE"] = g.write("rules", "[default]\nec2_metadata_service_endpoint = http://127.0.0.1:1\n[profile x]\nregion = eu-west-1\nec2_metadata_service_endpoint = "+w.URL+
				"\nrole_arn = arn:aws:iam::111111111111:role/x\ncredential_source = Ec2InstanceMetadata\n")
			g.env["AWS_PROFILE"] = "x"
			g.must("imds")
			delete(g.env, "AWS_PROFILE")
			g.fails("imds", usererr.Unavailable, "127.0.0.1:1")
			if _, err := g.retrieve("x"); usererr.From(err).Code != usererr.AccessDenied { // of STS, as the keys are not the fake's
				t.Error(err)
			}
			if n := len(w.lines()); n != 3+2 { // the token is kept
				t.Errorf("%q", w.lines())
			}
		}},
		{"2 a path in the endpoint is kept, a slash at its end is not", func(t *testing.T, g *rig) {
			answers := imdsAnswers(nil)
			w := newWire(t, g, func(n int, r *http.Request) (int, string, http.Header) {
				r.URL.Path = strings.TrimPrefix(r.URL.Path, "/prefix")
				return answers(n, r)
			})
			g.env[imdsEndpoint] = w.URL + "/prefix/"
			g.must("imds")
			wants(t, w, put, list, document)
		}},
		{"3 time-out and attempts: environment before profile; 2 s and 3 without them; nonsense is said", func(t *testing.T, g *rig) {
			patience := func() imdsSettings {
				t.Helper()
				s, err := g.r.imdsSettings(nil)
				if err != nil {
					t.Fatal(err)
				}
				return s
			}
			if s := patience(); s.timeout != 2*time.Second || s.attempts != 3 || s.total >= 4500*time.Millisecond || s.whole != callTimeout {
				t.Errorf("%+v", s)
			}
			g.env["AWS_CONFIG_FILE"] = g.write("rules", "[default]\nmetadata_service_timeout = 7\nmetadata_service_num_attempts = 5\n")
			if s := patience(); s.timeout != 7*time.Second || s.attempts != 5 || s.total != 39*time.Second || s.whole != processTimeout {
				t.Errorf("%+v", s)
			}
			g.env[imdsTimeout], g.env[imdsAttempts] = "0.2", "1"
			if s := patience(); s.timeout != 200*time.Millisecond || s.attempts != 1 {
				t.Errorf("%+v", s)
			}
			g.fake.Script(fakeaws.Fault{Match: "imds:token", Hang: true})
			began := time.Now()
			g.fails("imds", usererr.Unavailable, "timed out")
			if n, took := g.fake.Calls("imds:token"), time.Since(began); n != 1 || took > 2*time.Second {
				t.Errorf("%d requests in %v", n, took)
			}
			for _, text := range []string{"0", "-1", "x", "61", "NaN", "Inf", "1s"} {
				g.env[imdsTimeout] = text
				g.fails("imds", usererr.NotConfigured, imdsTimeout)
			}
			g.env[imdsTimeout] = "1"
			for _, text := range []string{"0", "-1", "x", "21", "1.5"} {
				g.env[imdsAttempts] = text
				g.fails("imds", usererr.NotConfigured, imdsAttempts)
			}
		}},
		{"4 token: PUT for 21,600 s, trimmed, kept until two minutes before its header's end", func(t *testing.T, g *rig) {
			w := newWire(t, g, imdsAnswers(differs{put: first(200, "\ntokenA\r\n")}))
			g.must("imds")
			g.must("imds")
			wants(t, w, put, list, document, list, document)
			if r := w.seen[0]; r.Header.Get(headerIMDSTTL) != "21600" || r.Header.Get("Content-Length") != "" && r.ContentLength != 0 || r.Header.Get("User-Agent") == "" {
				t.Errorf("%v", r.Header)
			}
			if got := w.seen[3].Header.Get(headerIMDSToken); got != "tokenA" {
				t.Errorf("sent %q", got)
			}
			for header, want := range map[string]time.Duration{"": imdsTTL - imdsTTLMargin, "21600": imdsTTL - imdsTTLMargin, "300": 3 * time.Minute, "60": 30 * time.Second, "99999999": imdsTTL - imdsTTLMargin, "0": 0, "-1": 0, "x": 0} {
				if got := imdsTokenLife(header); got != want {
					t.Errorf("%q: %v, want %v", header, got, want)
				}
			}
		}},
		{"4 a token that may not be kept is asked for each time", func(t *testing.T, g *rig) {
			w := newWire(t, g, func(n int, r *http.Request) (int, string, http.Header) {
				status, body, _ := imdsAnswers(nil)(n, r)
				return status, body, http.Header{headerIMDSTTL: {"0"}}
			})
			g.must("imds")
			wants(t, w, put, list, put, document)
		}},
		{"4 token 400 is final, with IMDSv1 allowed or not", func(t *testing.T, g *rig) {
			g.env[imdsV1Disabled] = "false"
			w := newWire(t, g, imdsAnswers(differs{put: always(400, "")}))
			g.fails("imds", usererr.NotConfigured, "status 400")
			wants(t, w, put)
		}},
		{"4 token 403, 404, 405: IMDSv1 where it is allowed, and IMDSv2 again once that heals", func(t *testing.T, g *rig) {
			for _, status := range []int{403, 404, 405} {
				w := newWire(t, g, imdsAnswers(differs{put: first(status, "")}))
				delete(g.env, imdsV1Disabled)
				g.fails("imds", usererr.NotConfigured, imdsV1Disabled+"=false")
				wants(t, w, put)

				g.env[imdsV1Disabled] = "false"
				w = newWire(t, g, imdsAnswers(differs{put: first(status, "")}))
				g.must("imds")
				wants(t, w, put, list, document)
				if _, sent := w.seen[1].Header[headerIMDSToken]; sent {
					t.Error("a token was sent to IMDSv1")
				}
				g.must("imds") // it has healed
				wants(t, w, put, list, document, put, list, document)
				if got := w.seen[4].Header.Get(headerIMDSToken); got != "tokenB" {
					t.Errorf("sent %q", got)
				}
			}
		}},
		{"4 token 401, 5xx, 429, silence, a cut connection: never IMDSv1", func(t *testing.T, g *rig) {
			g.env[imdsV1Disabled], g.env[imdsTimeout] = "false", "0.1"
			for _, f := range []fakeaws.Fault{{Status: 401}, {Status: 500}, {Status: 503}, {Status: 429}, {Hang: true}, {Reset: true}, {Body: []byte{}}} {
				g.fake.ClearFaults()
				f.Match = "imds:token"
				g.fake.Script(f)
				if _, err := g.retrieve("imds"); err == nil {
					t.Errorf("%+v: worked", f)
				}
			}
			if n := g.fake.Calls("imds:list"); n != 0 {
				t.Errorf("the list was asked for %d times", n)
			}
		}},
		{"4 IMDSv1 forbidden: the error names the setting", func(t *testing.T, g *rig) {
			newWire(t, g, imdsAnswers(differs{put: always(404, "")}))
			g.env["AWS_CONFIG_FILE"] = g.write("rules", "[default]\nec2_metadata_v1_disabled = true\n")
			g.fails("imds", usererr.NotConfigured, "forbidden by", "rules:2", "ec2_metadata_v1_disabled")
			g.env[imdsV1Disabled] = "true"
			g.fails("imds", usererr.NotConfigured, "forbidden by "+imdsV1Disabled)
			g.env[imdsV1Disabled] = "false" // the environment goes first
			g.must("imds")
		}},
		{"4 IMDSv1 that wants IMDSv2 and gives no tokens is said", func(t *testing.T, g *rig) {
			g.env[imdsV1Disabled] = "false"
			newWire(t, g, imdsAnswers(differs{put: always(403, ""), list: always(401, "")}))
			g.fails("imds", usererr.NotConfigured, "wants IMDSv2")
		}},
		{"5 the role is the first line of the list, trimmed", func(t *testing.T, g *rig) {
			w := newWire(t, g, imdsAnswers(differs{list: always(200, " web \r\nother\n")}))
			if c := g.must("imds"); c.RoleName != "web" {
				t.Error(c.RoleName)
			}
			wants(t, w, put, list, document)
		}},
		{"5 no list where the setting names the instance profile, environment before profile", func(t *testing.T, g *rig) {
			w := newWire(t, g, imdsAnswers(differs{"GET " + imdsRolesPath + "other": always(404, "")}))
			g.env["AWS_CONFIG_FILE"] = g.write("rules", "[default]\nec2_instance_profile_name = other\n")
			g.fails("imds", usererr.NotConfigured, "has no role other", "ec2_instance_profile_name", "unset it")
			g.env[imdsRole] = "web"
			g.must("imds")
			wants(t, w, put, "GET "+imdsRolesPath+"other", document)
			for _, text := range []string{"../x", "a b", "a/b", "é", "a?b"} {
				g.env[imdsRole] = text
				g.fails("imds", usererr.NotConfigured, imdsRole)
			}
		}},
		{"6 401: one new token, once", func(t *testing.T, g *rig) {
			w := newWire(t, g, imdsAnswers(differs{document: first(401, "")}))
			g.must("imds")
			wants(t, w, put, list, document, put, document)
			w = newWire(t, g, imdsAnswers(differs{list: always(401, "")}))
			g.fails("imds", usererr.Unavailable, "refuses the tokens")
			wants(t, w, put, list, put, list)
			g.env[imdsEndpoint] = g.fake.URL()
			g.must("imds")
			g.fake.ForgetIMDSTokens() // as in a restart
			g.must("imds")
			if n := g.fake.Calls("imds:token"); n != 2 {
				t.Errorf("%d tokens", n)
			}
		}},
		{"6 404 for the role that was just named: the list again, once", func(t *testing.T, g *rig) {
			roles := []string{"gone", "web"}
			w := newWire(t, g, imdsAnswers(differs{list: func(n int) (int, string) { return 200, roles[min(n, 1)] }, "GET " + imdsRolesPath + "gone": always(404, "")}))
			if c := g.must("imds"); c.RoleName != "web" {
				t.Error(c.RoleName)
			}
			wants(t, w, put, list, "GET "+imdsRolesPath+"gone", list, document)
			w = newWire(t, g, imdsAnswers(differs{document: always(404, "")}))
			g.fails("imds", usererr.Unavailable, "does not have it")
			wants(t, w, put, list, document, list, document)
		}},
		{"7 Code absent or Success in any case of letters; fractions and offsets in Expiration; all four fields", func(t *testing.T, g *rig) {
			for text, ok := range map[string]bool{
				strings.Replace(goodDocument, `"Code":"Success",`, "", 1):            true,
				strings.Replace(goodDocument, "Success", "SUCCESS", 1):               true,
				strings.Replace(goodDocument, "00:00Z\"}", "00:00.25Z\"}", 1):        true,
				strings.Replace(goodDocument, "00:00Z\"}", "00:00+02:00\"}", 1):      true,
				strings.Replace(goodDocument, "Success", "Failed", 1):                false,
				strings.Replace(goodDocument, "AccessKeyId", "KeyId", 1):             false,
				strings.Replace(goodDocument, "SecretAccessKey", "Key", 1):           false,
				strings.Replace(goodDocument, `"Token"`, `"SessionToken"`, 1):        false,
				strings.Replace(goodDocument, "Expiration", "Expires", 1):            false,
				strings.Replace(goodDocument, "2099-01-01T00:00:00Z", "tomorrow", 1): false,
			} {
				newWire(t, g, imdsAnswers(differs{document: always(200, text)}))
				if _, err := g.retrieve("imds"); (err == nil) != ok {
					t.Errorf("%s: %v", text, err)
				}
			}
		}},
		{"8 refreshed hourly; a document that has ended is refused, by the service's clock", func(t *testing.T, g *rig) {
			if s, err := g.r.Resolve("imds"); err != nil || s.Rotates != time.Hour {
				t.Errorf("%+v, %v", s, err)
			}
			text := strings.Replace(goodDocument, "2099", "2026", 1)
			clock := http.Header{"Date": {"Wed, 31 Dec 2025 18:00:00 GMT"}, headerIMDSTTL: {"60"}}
			answers := imdsAnswers(differs{document: always(200, text)})
			newWire(t, g, func(n int, r *http.Request) (int, string, http.Header) {
				status, body, _ := answers(n, r)
				return status, body, clock
			})
			if c := g.must("imds"); c.Lifetime(time.Now()) != 6*time.Hour { // this machine's clock is far ahead
				t.Errorf("%v", c.Lifetime(time.Now()))
			}
			clock = http.Header{"Date": {"Thu, 01 Jan 2026 00:00:00 GMT"}}
			g.fails("imds", usererr.Unavailable, "ended at 2026-01-01T00:00:00Z", "cannot renew them now")
		}},
		{"9 no proxy, no redirects, a bounded body, no compression", func(t *testing.T, g *rig) {
			if tr := g.r.direct.Transport.(*transport).next; tr.Proxy != nil || !tr.DisableCompression {
				t.Error("a proxy may be asked")
			}
			to := newWire(t, g, imdsAnswers(nil))
			for _, status := range []int{301, 302, 303, 307, 308} {
				w := newWire(t, g, func(_ int, r *http.Request) (int, string, http.Header) {
					return status, "", http.Header{"Location": {to.URL + r.URL.Path}}
				})
				g.fails("imds", usererr.Unavailable, "redirect")
				g.fails("container", usererr.Unavailable, "redirect")
				wants(t, w, put, "GET /creds")
			}
			wants(t, to)
		}},
		{"10 as the SDK for Go does not: IMDSv1 off, no proxy, a token for six hours, a slow answer is waited for", func(t *testing.T, g *rig) {
			g.fake.Script(fakeaws.Fault{Match: "imds:*", Delay: 600 * time.Millisecond})
			g.must("imds")
		}},
		{"10 security-credentials-extended is not asked: no service has it", func(t *testing.T, g *rig) {
			w := newWire(t, g, imdsAnswers(nil))
			g.must("imds")
			wants(t, w, put, list, document)
		}},
	} {
		t.Run(rule.name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t, fakeaws.Config{})
			g.T = t
			delete(g.env, imdsDisabled)
			rule.try(t, g)
		})
	}
}

// TestInstanceTogether: many slots of one instance share its token, and one that
// is refused takes no newer one with it.
func TestInstanceTogether(t *testing.T) {
	g := newRig(t, fakeaws.Config{})
	g.must("imds")
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			for range 5 {
				if _, err := g.retrieve("imds"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n := g.fake.Calls("imds:token"); n != 1 {
		t.Errorf("%d tokens", n)
	}
	var k imdsTokens
	later := time.Now().Add(time.Hour)
	k.put("a", imdsToken{creds.NewSecret("new"), later})
	k.drop("a", "old")
	if _, ok := k.get("a", time.Now()); !ok {
		t.Error("a newer token was dropped")
	}
	if _, ok := k.get("a", later); ok {
		t.Error("a token was used beyond its end")
	}
	for i := range 100 * maxIMDSTokens {
		k.put(strings.Repeat("x", i), imdsToken{})
	}
	if len(k.kept) > maxIMDSTokens {
		t.Errorf("%d tokens are kept", len(k.kept))
	}
}

// TestInstanceIPv6 asks a service at an IPv6 address.
func TestInstanceIPv6(t *testing.T) {
	aws, err := fakeaws.Start(fakeaws.Config{Addr: "[::1]:0"})
	if err != nil {
		t.Skip("this machine has no IPv6: " + err.Error())
	}
	t.Cleanup(func() { _ = aws.Close() })
	g := newRig(t, fakeaws.Config{})
	g.env[imdsEndpoint], g.env[fullURI] = aws.URL(), aws.ContainerURL("task")
	g.must("imds")
	g.must("container")
}
