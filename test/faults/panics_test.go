package faults_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rolecall/internal/config"
	"rolecall/internal/creds"
	"rolecall/internal/daemon"
	"rolecall/internal/endpoint"
)

// canary is planted in what must not be written anywhere.
const canary = "CANARYfaults"

// output takes what a daemon in this process writes.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) { o.mu.Lock(); defer o.mu.Unlock(); return o.b.Write(p) }
func (o *output) String() string              { o.mu.Lock(); defer o.mu.Unlock(); return o.b.String() }

// bomb is a store that blows up for one key.
type bomb struct{}

func (bomb) Update(ctx context.Context, key string, _ func(creds.Credentials) bool, fetch func(context.Context) (creds.Credentials, error)) (creds.Credentials, bool, error) {
	if strings.Contains(key, "role=bomb") {
		panic(errors.New(canary))
	}
	c, err := fetch(ctx)
	return c, true, err
}

// minefield answers reads, and panics where a slot is named.
type minefield struct{ lost atomic.Int32 }

func (m *minefield) Document(_ context.Context, t endpoint.Target) (*endpoint.Document, error) {
	if t.Kind == endpoint.NamedSlot {
		panic(canary + " in a handler")
	}
	c := creds.Credentials{AccessKeyID: "ASIAMINEFIELD001", SecretAccessKey: creds.NewSecret("s"), SessionToken: creds.NewSecret("t"), Expires: time.Now().Add(time.Hour)}
	return endpoint.NewDocument(c, c.Expires), nil
}
func (m *minefield) Profile(string) (endpoint.Profile, error) { panic(errors.New(canary)) }
func (m *minefield) Profiles() []endpoint.Profile             { panic([]byte(canary)) }
func (m *minefield) Push(string, endpoint.Upload) error       { panic(canary) }
func (m *minefield) Unload(string) error                      { panic(canary) }
func (m *minefield) UnloadNamed()                             { panic(canary) }
func (m *minefield) Audit(r endpoint.Record)                  { m.lost.Add(1) }

func TestRow49Panics(t *testing.T) {
	t.Parallel()
	var out output
	right, wrong := 0, 0
	ask := func(method, url string, want int) {
		req, err := http.NewRequest(method, url, strings.NewReader(map[string]string{"PUT": upload()}[method]))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			wrong++
			t.Errorf("%s %s: %v", method, url, err)
			return
		}
		defer func() { _ = resp.Body.Close() }()
		body, _ := io.ReadAll(resp.Body)
		_, _ = out.Write(body)
		if resp.StatusCode != want || want == 500 && (resp.Header.Get("Content-Type") != "application/json" || !strings.Contains(string(body), `"internal"`)) {
			wrong++
			t.Errorf("%s %s: %d %s", method, url, resp.StatusCode, body)
			return
		}
		right++
	}

	// Handlers.
	field := &minefield{}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := endpoint.NewServer(endpoint.ServerConfig{ErrorLog: log.New(&out, "", 0),
		Handler: endpoint.NewECS(endpoint.ECSConfig{Guard: endpoint.NewGuard(endpoint.Access{Mode: endpoint.AuthNone}), Slots: field, Shelf: field, Auditor: field})})
	s.Add(ln)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.Run(ctx, time.Second) })
	url := "http://" + ln.Addr().String()
	for range 20 {
		ask("GET", url+"/slot/x", 500)
		ask("GET", url+"/", 200)
		ask("GET", url+"/profile", 500)
		ask("GET", url+"/slot", 500)
		ask("PUT", url+"/slot/x", 500)
		ask("DELETE", url+"/slot/x", 500)
		ask("DELETE", url+"/slot", 500)
		ask("GET", url+"/healthcheck", 500)
		ask("GET", url+"/", 200)
	}
	cancel()
	wg.Wait()
	if field.lost.Load() != 180 {
		t.Errorf("%d of 180 answers were told to the auditor", field.lost.Load())
	}

	// Sources, in a whole daemon.
	home, err := os.MkdirTemp("", "rc") // short: it holds a socket
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(home) }()
	set := config.Default()
	addr, err := config.ParseListen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	set.Listen, set.Load, set.Log.Level, set.Auth.Mode = []config.ListenAddr{addr}, "fake", -8, config.AuthNone
	set.Slots = []config.Slot{{Name: "bomb", Source: "fake:role=bomb"}}
	getenv := func(k string) string {
		return map[string]string{"ROLECALL_DIR": filepath.Join(home, "rc"), "HOME": home, "AWS_EC2_METADATA_DISABLED": "true"}[k]
	}
	dirs, err := config.FindDirs(getenv)
	if err != nil {
		t.Fatal(err)
	}
	ready := make(chan daemon.Ready, 1)
	ctx, cancel = context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		ended <- daemon.Run(ctx, daemon.Config{Settings: func() (config.Config, error) { return set, nil }, Dirs: dirs, Getenv: getenv, Home: home, Stderr: &out, Store: bomb{},
			Ready: func(r daemon.Ready) { ready <- r }})
	}()
	var root string
	select {
	case r := <-ready:
		root = strings.TrimSuffix(r.URLs[0], "/")
	case err := <-ended:
		t.Fatal(err)
	}
	for range 20 {
		ask("GET", root+"/slot/bomb", 500)
		ask("GET", root+"/", 200)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	leaks := strings.Count(out.String(), canary)
	row(t, 49, wrong == 0 && leaks == 0, "%d of 220 answers right, among them 160 with 500 to panics in handlers and in a source; %d canaries in logs at debug and in bodies", right, leaks)
}

func upload() string {
	return `{"ProfileName":"p","Creds":{"accountId":1,"roleName":"r","accessKeyId":"ASIAUPLOAD000001","secretAccessKey":"s","sessionToken":"t","expiration":99999999999999}}`
}
