package daemon

import (
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"rolecall/internal/config"
	"rolecall/internal/control"
	"rolecall/internal/endpoint"
	"rolecall/internal/fakeaws"
	"rolecall/internal/peercred"
	"rolecall/internal/slot"
)

// metadata asks the metadata endpoint at base, which ends in a slash.
func (r *rig) metadata(method, base, path string, header ...string) (status int, body string) {
	r.t.Helper()
	req, err := http.NewRequest(method, strings.TrimSuffix(base, "/")+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, ""
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func (r *rig) imdsToken(base string) string {
	r.t.Helper()
	status, token := r.metadata("PUT", base, "/latest/api/token", "X-aws-ec2-metadata-token-ttl-seconds: 60")
	if status != 200 {
		r.t.Fatalf("PUT: %d %s", status, token)
	}
	return "X-aws-ec2-metadata-token: " + token
}

func needPeers(t *testing.T) {
	t.Helper()
	if !peercred.Supported() {
		t.Skip("this system does not tell whose a connection is")
	}
}

const roleList = "/latest/meta-data/iam/security-credentials/"

func TestMetadataOfTheDefaultSlot(t *testing.T) {
	needPeers(t)
	r := newRig(t, fakeaws.Config{Region: "eu-west-1"})
	r.set.IMDS.Listen = []config.ListenAddr{loopback(t)}
	r.env["AWS_REGION"] = "ap-south-1"
	r.start()
	r.role("/") // so that it is loaded
	base := r.ready.MetadataURLs[0]
	token := r.imdsToken(base)
	get := func(path string) string {
		status, body := r.metadata("GET", base, path, token)
		if status != 200 {
			t.Errorf("%s: %d %s", path, status, body)
		}
		return body
	}
	for path, want := range map[string]string{roleList: "dev", "/latest/meta-data/placement/region": "eu-west-1", "/latest/meta-data/services/partition": "aws"} {
		if got := get(path); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
	if doc := get("/latest/dynamic/instance-identity/document"); !strings.Contains(doc, `"accountId":"111111111111"`) || !strings.Contains(doc, `"availabilityZone":"eu-west-1a"`) {
		t.Errorf("identity: %s", doc)
	}
	old := get(roleList + "dev")
	if _, err := r.client().Refresh(t.Context(), control.RefreshRequest{}); err != nil {
		t.Fatal(err)
	}
	if now := get(roleList + "dev"); now == old || !strings.Contains(now, `"Code":"Success"`) {
		t.Error("the document is the same after a refresh")
	}
	// Another role takes the place of the first at once.
	if _, err := r.client().Load(t.Context(), control.LoadRequest{Source: "prod"}); err != nil {
		t.Fatal(err)
	}
	if got := get(roleList); got != "prod" {
		t.Errorf("after load: %q", got)
	}
	if status, body := r.metadata("GET", base, roleList+"dev", token); status != 404 {
		t.Errorf("the role that was: %d %s", status, body)
	}
	if _, err := r.client().Unload(t.Context(), control.UnloadRequest{}); err != nil {
		t.Fatal(err)
	}
	if status, body := r.metadata("GET", base, roleList, token); status != 404 {
		t.Errorf("an empty slot: %d %s", status, body)
	}
	st, err := r.client().Status(t.Context())
	if err != nil || !slices.ContainsFunc(st.Listeners, func(l control.Listener) bool { return l.Endpoint == "imds" && l.URL == base && !l.V1 }) {
		t.Errorf("status: %+v, %v", st.Listeners, err)
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	if log := r.log.String(); !strings.Contains(log, `"endpoint":"imds","method":"GET","target":"imds-credentials","name":"dev","outcome":"ok"`) || strings.Contains(log, strings.TrimPrefix(token, "X-aws-ec2-metadata-token: ")) {
		t.Errorf("log: %s", log)
	}
}

func TestMetadataAtAReload(t *testing.T) {
	needPeers(t)
	r := newRig(t, fakeaws.Config{}).start()
	r.role("/")
	reload := func(change func(*config.Config)) error {
		t.Helper()
		r.change(change)
		_, err := r.client().Reload(t.Context())
		return err
	}
	at := func() string {
		st, err := r.client().Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range st.Listeners {
			if l.Endpoint == "imds" {
				return l.URL
			}
		}
		return ""
	}
	if at() != "" {
		t.Fatal("metadata is served unasked")
	}
	if err := reload(func(c *config.Config) { c.IMDS.Listen = []config.ListenAddr{loopback(t)} }); err != nil {
		t.Fatal(err)
	}
	base := at()
	token := r.imdsToken(base)
	if status, _ := r.metadata("GET", base, roleList); status != 401 {
		t.Errorf("version 1: %d", status)
	}
	if err := reload(func(c *config.Config) { c.IMDS.V1 = true }); err != nil {
		t.Fatal(err)
	}
	if status, _ := r.metadata("GET", base, roleList); status != 200 || at() != base {
		t.Errorf("version 1, once it is on: %d", status)
	}
	if status, _ := r.metadata("GET", base, roleList, token); status != 200 {
		t.Errorf("a token from before: %d", status)
	}
	taken, err := config.ParseListen(strings.Trim(strings.TrimPrefix(r.ready.URLs[0], "http://"), "/"))
	if err != nil {
		t.Fatal(err)
	}
	if err := reload(func(c *config.Config) { c.IMDS.Listen = append(c.IMDS.Listen, taken) }); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("an address that is in use: %v", err)
	}
	if status, _ := r.metadata("GET", base, roleList, token); status != 200 {
		t.Errorf("after a reload that failed: %d", status)
	}
	if err := reload(func(c *config.Config) { c.IMDS.Listen = nil }); err != nil {
		t.Fatal(err)
	}
	if at() != "" {
		t.Errorf("still served at %s", at())
	}
	for deadline := time.Now().Add(5 * time.Second); ; { // connections on their way are still answered for a moment
		if status, _ := r.metadata("GET", base, roleList, token); status == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("still answered")
		}
	}
	r.role("/")
}

// A source that would ask our own metadata endpoint is refused.
func TestMetadataOfOurselves(t *testing.T) {
	needPeers(t)
	r := newRig(t, fakeaws.Config{})
	r.set.IMDS.Listen = []config.ListenAddr{loopback(t)}
	var own atomic.Value // the URL, once it is known
	own.Store("http://127.0.0.1:1/")
	r.start(func(c *Config) {
		env := c.Getenv
		c.Getenv = func(k string) string {
			switch k {
			case "AWS_EC2_METADATA_DISABLED":
				return "false"
			case "AWS_EC2_METADATA_SERVICE_ENDPOINT":
				return own.Load().(string)
			}
			return env(k)
		}
	})
	own.Store(r.ready.MetadataURLs[0])
	res, err := r.client().Load(t.Context(), control.LoadRequest{Slot: "x", Source: "imds"})
	if err == nil && res.Err == nil {
		t.Fatal("a daemon asks itself for credentials")
	}
	if text := fmt.Sprintf("%v %+v", err, res.Err); !strings.Contains(text, "is this daemon itself") {
		t.Errorf("it does not say why: %s", text)
	}
}

func TestMetadataWhereNobodyIsKnown(t *testing.T) {
	d := &daemon{}
	s := config.Default()
	if err := d.mayServeMetadata(s); err != nil {
		t.Errorf("without --imds: %v", err)
	}
	for _, change := range []func(*config.Config){
		func(c *config.Config) { c.LinkLocal = true },
		func(c *config.Config) { c.IMDS.Listen = []config.ListenAddr{loopback(t)} },
	} {
		s := config.Default()
		change(&s)
		if err := d.mayServeMetadata(s); err == nil || !strings.Contains(err.Error(), "does not tell whose a connection is") {
			t.Errorf("%+v: %v", s.IMDS, err)
		}
		s.IMDS.Allow = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
		if err := d.mayServeMetadata(s); err != nil {
			t.Errorf("with everybody let in: %v", err)
		}
	}
}

// What is told of a set is encoded once, not with each request.
func TestMetadataIsEncodedOnce(t *testing.T) {
	needPeers(t)
	r := newRig(t, fakeaws.Config{})
	r.set.IMDS.Listen = []config.ListenAddr{loopback(t)}
	d, err := start(r.config())
	if err != nil {
		t.Fatal(err)
	}
	defer d.closeAll()
	go func() { _ = d.table.Run(t.Context()) }()
	first, err := d.imds.Role(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() {
		if again, err := d.imds.Role(t.Context()); err != nil || again != first {
			t.Fatal("encoded anew")
		}
	}); n > 0 {
		t.Errorf("%v allocations for a warm answer", n)
	}
	sl := d.table.Slot(slot.Default)
	if err := sl.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	var again *endpoint.RoleDocument
	if again, err = d.imds.Role(t.Context()); err != nil || again == first {
		t.Errorf("not encoded anew after a refresh: %v", err)
	}
}
