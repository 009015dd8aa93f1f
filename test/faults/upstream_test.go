//go:build unix

package faults_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rolecall/internal/fakeaws"
	"rolecall/internal/slot"
	"rolecall/test/faultproxy"
	"rolecall/test/faults"
	"rolecall/test/world"
)

// Rows that measure milliseconds are not parallel: they go one by one, before
// the others. Where the machine's noise can only add to a figure, the quietest
// of some rounds counts.

func TestRow02BlackHole(t *testing.T) {
	hung := newSite(t, fakeaws.Config{})
	newReader(t, hung.serve(world.Options{Plain: true}, "--load", "dev")).warm(t, "/")
	hung.proxy.Set(faultproxy.Fault{Hole: true})
	ended := make(chan time.Duration, 1)
	go func() {
		took, err := hung.refresh("")
		if err == nil {
			took = time.Hour
		}
		ended <- took
	}()

	s := newSite(t, fakeaws.Config{})
	r := newReader(t, s.serve(world.Options{Plain: true}, "--load", "dev"))
	r.warm(t, "/")
	calm, stalled := time.Hour, time.Hour
	bad := 0
	for range 5 {
		p, n := r.p99(many(300), "/")
		calm, bad = min(calm, p), bad+n

		s.proxy.Set(faultproxy.Fault{Hole: true})
		conns := s.proxy.Conns()
		done := make(chan struct{})
		go func() { defer close(done); _, _ = s.refresh("") }()
		until(t, 5*time.Second, "the refresh", func() bool { return s.proxy.Conns() > conns })
		p, n = r.p99(many(300), "/")
		stalled, bad = min(stalled, p), bad+n
		if !s.slot("").Refreshing {
			t.Error("the refresh was over before the reads")
		}
		s.proxy.Set(faultproxy.Fault{})
		<-done
	}
	took := <-ended
	row(t, 2, faults.Within(took, 10*time.Second) && faults.Within(stalled-calm, time.Millisecond) && bad == 0, "attempt ended after %s; p99 of warm reads %s calm, %s with a refresh in the hole; %d reads failed", sec(took), ms(calm), ms(stalled), bad)
}

func TestRow03DownAtColdStart(t *testing.T) {
	t.Parallel()
	worst := recoveredWithin(t, many(200))
	s := newSite(t, fakeaws.Config{})
	s.proxy.Set(faultproxy.Fault{Reset: true})
	d := s.serve(world.Options{}, "--load", "dev")
	r := newReader(t, d)
	var slowest time.Duration
	wrong := 0
	for began := time.Now(); time.Since(began) < 9*time.Second; {
		a := r.get("/")
		slowest = max(slowest, a.took)
		if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" || a.header.Get("Content-Type") != "application/json" || a.field("message") == "" {
			wrong++
			t.Logf("%d %v %s", a.status, a.err, a.body)
		}
		<-time.After(50 * time.Millisecond)
	}
	s.proxy.Set(faultproxy.Fault{})
	back := time.Now()
	r.warm(t, "/")
	real := time.Since(back)
	hole := newSite(t, fakeaws.Config{})
	hole.proxy.Set(faultproxy.Fault{Hole: true})
	a := newReader(t, hole.serve(world.Options{}, "--load", "dev")).get("/")
	slowest = max(slowest, a.took)
	if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
		wrong++
	}
	row(t, 3, wrong == 0 && faults.Within(slowest, 5*time.Second) && worst <= 2*time.Second && faults.Within(real, 2*time.Second),
		"answered after %s at most (refused and black hole), each 503 as promised; first success %s after upstream was back, at most %s over %d runs in fake time", sec(slowest), sec(real), sec(worst), many(200))
}

// herd makes n clients, with a connection each, read a slot that nobody has read
// before.
func herd(t *testing.T, n int, delay time.Duration) (calls int, all []time.Duration, failed int) {
	t.Helper()
	s := newSite(t, fakeaws.Config{})
	d := s.serve(world.Options{Plain: true})
	defer func() { _ = d.Stop() }()
	s.AWS.Script(fakeaws.Fault{Match: "sts:AssumeRole", Delay: delay})
	text := []byte(s.request("/source/profile:dev", "Connection: close"))
	took := make([]time.Duration, n)
	var bad atomic.Int32
	var wg sync.WaitGroup
	gun := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-gun
			began := time.Now()
			c, err := net.Dial("tcp", d.Addr())
			if err != nil {
				bad.Add(1)
				return
			}
			defer func() { _ = c.Close() }()
			_, _ = c.Write(text)
			answer, _ := io.ReadAll(c)
			took[i] = time.Since(began)
			if !bytes.HasPrefix(answer, []byte("HTTP/1.1 200 ")) || !bytes.Contains(answer, []byte(`"SecretAccessKey":"`)) {
				bad.Add(1)
			}
		})
	}
	close(gun)
	wg.Wait()
	return s.AWS.Calls("sts:AssumeRole"), took, int(bad.Load())
}

func TestRow05SlowUpstreamColdHerd(t *testing.T) {
	best, most, lost := time.Hour, 0, 0
	quietest(func() bool {
		calls, all, failed := herd(t, 1000, 3*time.Second)
		most, lost, best = max(most, calls), lost+failed, min(best, quantile(all, 1))
		return faults.Within(best, 4*time.Second)
	})
	row(t, 5, most == 1 && lost == 0 && faults.Within(best, 4*time.Second), "%d call; %d of 1,000 failed; the last answered after %s", most, lost, sec(best))
}

func TestRow06ColdHerd(t *testing.T) {
	best, most, lost := time.Hour, 0, 0
	quietest(func() bool {
		calls, all, failed := herd(t, 1000, 200*time.Millisecond)
		most, lost, best = max(most, calls), lost+failed, min(best, quantile(all, 0.99))
		return faults.Within(best, 800*time.Millisecond)
	})
	row(t, 6, most == 1 && lost == 0 && faults.Within(best, 800*time.Millisecond), "%d call; p99 %s; %d errors", most, ms(best), lost)
}

func TestRow07ClientsLeave(t *testing.T) {
	var cancelled atomic.Int32
	s := newSite(t, fakeaws.Config{OnRequest: func(r fakeaws.Request) {
		if r.Op == "sts:AssumeRole" && r.Status != 200 {
			cancelled.Add(1)
		}
	}})
	r := newReader(t, s.serve(world.Options{Plain: true}, "--load", "dev"))
	r.warm(t, "/")
	before := s.AWS.Calls("sts:AssumeRole")
	s.AWS.Script(fakeaws.Fault{Match: "sts:AssumeRole", Delay: time.Second})
	const path = "/source/profile:prod"
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			if a := r.getWith(ctx, path); a.err == nil {
				t.Errorf("answered %d before upstream was", a.status)
			}
		})
	}
	wg.Wait()
	r.get("/") // a connection that is open
	until(t, 10*time.Second, "the fetch", func() bool { return s.metric(`rolecall_refreshes_total{outcome="ok"}`) == 2 })
	next := r.get(path)
	for range 3 { // the machine may have been busy just then
		if a := r.get(path); a.good() && a.took < next.took {
			next = a
		}
	}
	calls := s.AWS.Calls("sts:AssumeRole") - before
	row(t, 7, calls == 1 && cancelled.Load() == 0 && next.good() && faults.Within(next.took, 5*time.Millisecond), "%d call, %d cancelled; the next read took %s", calls, cancelled.Load(), ms(next.took))
}

func TestRow10ExpiredFromUpstream(t *testing.T) {
	t.Parallel()
	soonest, served := expiredBackoff(t)
	s := newSite(t, fakeaws.Config{})
	r := newReader(t, s.serve(world.Options{}, "--load", "dev"))
	first := r.warm(t, "/").field("AccessKeyId")
	const series = `rolecall_refreshes_total{outcome="unavailable"}`
	before := s.metric(series)
	s.AWS.Script(fakeaws.Fault{Match: "sts:AssumeRole", Expired: true})
	if _, err := s.refresh(""); err == nil {
		t.Error("the refresh was taken for a success")
	}
	counted := s.metric(series) - before
	if a := r.get("/"); !a.good() || a.field("AccessKeyId") != first {
		served++
	}
	row(t, 10, served == 0 && counted == 1 && soonest >= 500*time.Millisecond, "%d expired served; metric +%v; asked again after %s at the soonest", served, counted, sec(soonest))
}

func TestRow14Drip(t *testing.T) {
	t.Parallel()
	s := newSite(t, fakeaws.Config{})
	r := newReader(t, s.serve(world.Options{}, "--load", "dev", "--slot", "sso=sso-dev", "--slot", "task=container", "--slot", "ec2=imds"))
	slots := map[string]string{"": "/", "sso": "/slot/sso", "task": "/slot/task", "ec2": "/slot/ec2"}
	for _, path := range slots {
		r.warm(t, path)
	}
	s.AWS.Script(fakeaws.Fault{Match: "*", Drip: time.Second})
	var wg sync.WaitGroup
	var mu sync.Mutex
	var slowest time.Duration
	for name := range slots {
		wg.Go(func() {
			took, err := s.refresh(name)
			mu.Lock()
			defer mu.Unlock()
			if slowest = max(slowest, took); err == nil {
				t.Errorf("%q: a drip of 1 B/s was waited for", name)
			}
		})
	}
	wg.Wait()
	kept := true
	for _, path := range slots {
		kept = kept && r.get(path).good()
	}
	row(t, 14, faults.Within(slowest, 10*time.Second) && kept, "given up after %s at most (STS, portal, container, IMDS); held sets served", sec(slowest))
}

func TestRow15Redirects(t *testing.T) {
	t.Parallel()
	target := newSite(t, fakeaws.Config{}) // any listener that counts
	s := newSite(t, fakeaws.Config{})
	r := newReader(t, s.serve(world.Options{}, "--load", "dev", "--slot", "sso=sso-dev", "--slot", "task=container", "--slot", "ec2=imds"))
	tried := 0
	for name, path := range map[string]string{"": "/", "sso": "/slot/sso", "task": "/slot/task", "ec2": "/slot/ec2"} {
		first := r.warm(t, path).field("AccessKeyId")
		for _, status := range []int{301, 302, 303, 307, 308} {
			for _, to := range []string{"http://" + target.proxy.Addr() + "/container/task", "//" + target.proxy.Addr() + "/"} {
				s.AWS.ClearFaults()
				s.AWS.Script(fakeaws.Fault{Match: "*", Status: status, Redirect: to})
				if _, err := s.refresh(name); err == nil {
					t.Errorf("%q: %d was followed or taken", name, status)
				}
				tried++
			}
		}
		if a := r.get(path); !a.good() || a.field("AccessKeyId") != first {
			t.Errorf("%q: the held set is gone", name)
		}
		s.AWS.ClearFaults()
	}
	row(t, 15, target.proxy.Conns() == 0, "%d requests to the target over %d redirects (301 to 308; STS, portal, container, IMDS)", target.proxy.Conns(), tried)
}

func TestRow12Garbage(t *testing.T) {
	t.Parallel()
	busy.Lock()
	defer busy.Unlock()
	g := newSources(t, fakeaws.Config{})
	table := slot.New(slot.Config{})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = table.Run(ctx) }()
	defer func() { cancel(); <-done }()
	kinds, mutants, harm := 0, 0, 0
	for text, op := range map[string]string{"dev": "sts:AssumeRole", "sso-dev": "sso:GetRoleCredentials", "container": "container:credentials", "imds": "imds:credentials"} {
		src, err := g.Resolve(text)
		if err != nil {
			t.Fatal(err)
		}
		s, _, err := table.Load(t.Context(), text, slot.Spec{Source: text, Key: text, Provider: src.Provider})
		if err != nil {
			t.Fatal(err)
		}
		first, err := s.Credentials(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for what, f := range garbage(op) {
			g.aws.ClearFaults()
			f.Match = op
			g.aws.Script(f)
			err := s.Refresh(t.Context())
			kinds++
			if now, lost := s.Credentials(t.Context()); err == nil || lost != nil || now != first {
				harm++
				t.Errorf("%s, %s: error %v, then %v", op, what, err, lost)
			}
		}
		g.aws.ClearFaults()
		// Whatever a damaged answer says, it is handed out whole or not at all.
		for i := range runs(600) {
			g.aws.Script(fakeaws.Fault{Match: op, Times: 2, Body: mutant(op, i)})
			_ = s.Refresh(t.Context())
			mutants++
			if h, err := s.Credentials(t.Context()); err != nil || h.Credentials.Check() != nil || time.Until(h.Expires) <= 0 {
				harm++
				t.Errorf("%s, mutant %d: %v", op, i, err)
			}
			g.aws.ClearFaults()
		}
	}
	row(t, 12, harm == 0, "%d sets lost, emptied or replaced by part of one over %d bad answers and %d damaged ones (STS, portal, container, IMDS); 0 panics; each parser is fuzzed by make fuzz", harm, kinds, mutants)
}

func TestRow13HugeAnswers(t *testing.T) {
	t.Parallel()
	needsProc(t, 13)
	huge := newHuge(t)
	s := newSite(t, fakeaws.Config{})
	d := s.serve(world.Options{Plain: true, Env: []string{"AWS_CONTAINER_CREDENTIALS_FULL_URI=" + huge.url, "AWS_ENDPOINT_URL_STS=" + huge.url}}, "--load", "dev", "--slot", "task=container")
	read := func() int { return proc(t, d.PID(), "io", "rchar") }
	refresh := func(name string) (bytes int) {
		before := read()
		_, err := s.refresh(name)
		if err == nil {
			t.Errorf("%q took a huge answer", name)
		}
		return read() - before
	}
	huge.set("small")
	base := 0
	for range 12 {
		base = max(base, refresh(""), refresh("task"))
	}
	huge.set("allowed") // so that only the excess is measured
	for range 40 {
		refresh("")
		refresh("task")
	}
	before, most := rssMiB(t, d.PID()), 0
	for _, kind := range []string{"plain", "chunked", "gzip", "lies"} {
		huge.set(kind)
		for range 3 {
			most = max(most, refresh(""), refresh("task"))
		}
	}
	grown := rssMiB(t, d.PID()) - before
	const buffers = 6 << 10 // what net/http reads with the header, and may read too far
	row(t, 13, most-base <= 64<<10+buffers && huge.asked.Load() == 0 && grown <= 2, "%d KiB read beyond what a small answer takes (64 KiB, and a buffer of net/http's); RSS %+.1f MiB against answers of 64,000 bytes; gzip asked for %d times", (most-base)/1024, grown, huge.asked.Load())
}
