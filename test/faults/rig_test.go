package faults_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"rolecall/internal/control"
	"rolecall/internal/fakeaws"
	"rolecall/test/faultproxy"
	"rolecall/test/faults"
	"rolecall/test/world"
)

// site is a world with a proxy between rolecall and its upstreams, and the
// daemon in it.
type site struct {
	*world.World
	proxy  *faultproxy.Proxy
	daemon *world.Daemon
}

func newSite(t *testing.T, c fakeaws.Config) *site {
	t.Helper()
	w := world.New(t, c)
	p, err := faultproxy.Start(strings.TrimPrefix(w.AWS.URL(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return &site{World: w, proxy: p}
}

// serve runs the daemon with all its upstreams behind the proxy.
func (s *site) serve(o world.Options, args ...string) *world.Daemon {
	s.T.Helper()
	s.daemon = s.ServeWith(s.proxied(o), args...)
	return s.daemon
}

func (s *site) proxied(o world.Options) world.Options {
	url := "http://" + s.proxy.Addr()
	o.Env = append([]string{"AWS_ENDPOINT_URL_STS=" + url, "AWS_ENDPOINT_URL_SSO=" + url, "AWS_ENDPOINT_URL_SSO_OIDC=" + url,
		"AWS_CONTAINER_CREDENTIALS_FULL_URI=" + url + "/container/task", "AWS_EC2_METADATA_SERVICE_ENDPOINT=" + url, "AWS_EC2_METADATA_DISABLED=false"}, o.Env...)
	return o
}

func (s *site) control() *control.Client {
	return control.NewClient(filepath.Join(s.Dir(), "control.sock"))
}

// refresh asks for a refresh of a slot and waits for its end.
func (s *site) refresh(name string) (took time.Duration, err error) {
	began := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	_, err = s.control().Refresh(ctx, control.RefreshRequest{Slot: name})
	return time.Since(began), err
}

// slot is what the daemon's status says of a slot.
func (s *site) slot(name string) control.Slot {
	s.T.Helper()
	st, err := s.control().Status(context.Background())
	if err != nil {
		s.T.Fatal(err)
	}
	for _, one := range st.Slots {
		if one.Name == name && !one.ByURL {
			return one
		}
	}
	s.T.Fatalf("there is no slot %q", name)
	return control.Slot{}
}

// metric is the value of one series of the daemon, 0 when it has none.
func (s *site) metric(series string) float64 {
	s.T.Helper()
	for line := range strings.Lines(s.scrape()) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), " "); ok && name == series {
			v, err := strconv.ParseFloat(value, 64)
			if err != nil {
				s.T.Fatal(err)
			}
			return v
		}
	}
	return 0
}

func (s *site) scrape() string {
	s.T.Helper()
	c := http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(s.Dir(), "control.sock"))
	}}}
	resp, err := c.Get("http://rolecall/metrics")
	if err != nil {
		s.T.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		s.T.Fatal(err)
	}
	return string(b)
}

// reply is one answer of the daemon.
type reply struct {
	status int
	header http.Header
	body   []byte
	took   time.Duration
	err    error
}

func (r reply) field(name string) string {
	var m map[string]any
	if json.Unmarshal(r.body, &m) != nil || m[name] == nil {
		return ""
	}
	return fmt.Sprint(m[name])
}

// good says whether it is a usable set: whole, and not ended.
func (r reply) good() bool {
	end, err := time.Parse(time.RFC3339, r.field("Expiration"))
	return r.status == 200 && r.field("AccessKeyId") != "" && r.field("SecretAccessKey") != "" && r.field("Token") != "" && err == nil && time.Now().Before(end)
}

// reader is a client that keeps its connections.
type reader struct {
	http http.Client
	url  string
}

func newReader(t *testing.T, d *world.Daemon) *reader {
	r := &reader{url: d.URL, http: http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 1100}}}
	t.Cleanup(r.http.CloseIdleConnections)
	return r
}

func (r *reader) get(path string) reply { return r.getWith(context.Background(), path) }

func (r *reader) getWith(ctx context.Context, path string) (a reply) {
	began := time.Now()
	defer func() { a.took = time.Since(began) }()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url+path, nil)
	if err != nil {
		return reply{err: err}
	}
	resp, err := r.http.Do(req)
	if err != nil {
		return reply{err: err}
	}
	defer func() { _ = resp.Body.Close() }()
	a.status, a.header = resp.StatusCode, resp.Header
	a.body, a.err = io.ReadAll(resp.Body)
	return a
}

// warm reads path until it is answered with credentials.
func (r *reader) warm(t *testing.T, path string) reply {
	t.Helper()
	var a reply
	until(t, 30*time.Second, "credentials at "+path, func() bool { a = r.get(path); return a.good() })
	return a
}

// p99 reads path n times; bad are the answers without credentials.
func (r *reader) p99(n int, path string) (p99 time.Duration, bad int) {
	var all []time.Duration
	for range n {
		a := r.get(path)
		if !a.good() {
			bad++
		}
		all = append(all, a.took)
	}
	return quantile(all, 0.99), bad
}

// quietest goes through a round until one is good, three times at most: other
// work on the machine can only add to the time that something takes.
func quietest(round func() (good bool)) {
	for range 3 {
		if round() {
			return
		}
	}
}

func quantile(all []time.Duration, q float64) time.Duration {
	slices.SortFunc(all, cmp.Compare[time.Duration])
	return all[min(len(all)-1, int(float64(len(all))*q))]
}

// until polls for what nothing announces.
func until(t testing.TB, limit time.Duration, what string, done func() bool) {
	t.Helper()
	if !within(limit, done) {
		t.Fatalf("%s: not within %v", what, limit)
	}
}

func within(limit time.Duration, done func() bool) bool {
	for deadline := time.Now().Add(limit); !done(); {
		if time.Now().After(deadline) {
			return false
		}
		<-time.After(2 * time.Millisecond)
	}
	return true
}

// proc reads one number of /proc/PID/FILE, e.g. VmRSS of status in kB.
func proc(t *testing.T, pid int, file, name string) int {
	t.Helper()
	text := faults.LineOf(fmt.Sprintf("/proc/%d/%s", pid, file), name)
	text, _, _ = strings.Cut(text, " ")
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s of process %d: %q", name, pid, text)
	}
	return n
}

func rssMiB(t *testing.T, pid int) float64 {
	return float64(proc(t, pid, "status", "VmRSS")) / 1024
}

// sockets counts the sockets that a process has open.
func sockets(t *testing.T, pid int) (n int) {
	t.Helper()
	for _, to := range descriptorsOf(t, pid) {
		if strings.HasPrefix(to, "socket:") {
			n++
		}
	}
	return n
}

// descriptorsOf is what a process has open.
func descriptorsOf(t *testing.T, pid int) (all []string) {
	t.Helper()
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	fds, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		if to, err := os.Readlink(filepath.Join(dir, fd.Name())); err == nil {
			all = append(all, to)
		}
	}
	return all
}

// needsProc leaves a row out where processes cannot be looked into.
func needsProc(t *testing.T, n int) {
	if _, err := os.ReadDir("/proc/self/fd"); err != nil {
		leftOut(t, n, "this system has no /proc to look into a process")
	}
}

func ms(d time.Duration) string {
	return strconv.FormatFloat(float64(d.Microseconds())/1000, 'f', 1, 64) + " ms"
}
func sec(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', 2, 64) + " s" }
