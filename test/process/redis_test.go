//go:build unix

package process_test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rolecall/internal/fakeaws"
	"rolecall/test/faults"
	"rolecall/test/world"
)

// redisServer is a real one on a free port of loopback that keeps nothing.
type redisServer struct {
	port string
	kill func()
}

func startRedis(t *testing.T, args ...string) redisServer {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip("there is no redis-server here: apt-get install redis-server")
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	_ = ln.Close()
	if len(args) == 0 || !strings.HasSuffix(args[0], ".conf") {
		args = append(args, "--save", "", "--appendonly", "no")
	}
	c := exec.Command("redis-server", append(args, "--bind", "127.0.0.1", "--port", port, "--dir", t.TempDir())...)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := false
	s := redisServer{port: port, kill: func() {
		if !ended {
			_ = c.Process.Kill()
			_ = c.Wait()
			ended = true
		}
	}}
	t.Cleanup(s.kill)
	wait(t, "redis-server listens", func() bool {
		conn, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
	return s
}

func wait(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !done(); <-time.After(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 30 s: %s", what)
		}
	}
}

// redisCLI runs one command on a server.
func redisCLI(t *testing.T, s redisServer, args ...string) string {
	t.Helper()
	out, err := exec.Command("redis-cli", append([]string{"-p", s.port}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
	return string(out)
}

// Two daemons and a `rolecall process`, each on a machine of its own as far as
// files go, share one call through whatever kind of server; once it is gone
// nobody who reads notices, and each goes on.
func TestDaemonsOfAFleet(t *testing.T) {
	for kind, start := range map[string]func(t *testing.T) (url string, servers []redisServer){
		"one server": func(t *testing.T) (string, []redisServer) {
			s := startRedis(t)
			return "redis://127.0.0.1:" + s.port, []redisServer{s}
		},
		"sentinel": func(t *testing.T) (string, []redisServer) {
			master := startRedis(t)
			conf := filepath.Join(t.TempDir(), "sentinel.conf")
			if err := os.WriteFile(conf, fmt.Appendf(nil, "sentinel monitor main 127.0.0.1 %s 1\n", master.port), 0o600); err != nil {
				t.Fatal(err)
			}
			sentinel := startRedis(t, conf, "--sentinel")
			return "redis-sentinel://127.0.0.1:" + sentinel.port + "/main", []redisServer{sentinel, master}
		},
		"cluster": func(t *testing.T) (string, []redisServer) {
			one, two := startRedis(t, "--cluster-enabled", "yes"), startRedis(t, "--cluster-enabled", "yes")
			redisCLI(t, one, "CLUSTER", "ADDSLOTSRANGE", "0", "8191")
			redisCLI(t, two, "CLUSTER", "ADDSLOTSRANGE", "8192", "16383")
			redisCLI(t, two, "CLUSTER", "SET-CONFIG-EPOCH", "2")
			redisCLI(t, one, "CLUSTER", "MEET", "127.0.0.1", two.port)
			wait(t, "the cluster forms", func() bool {
				return !strings.Contains(redisCLI(t, one, "CLUSTER", "INFO")+redisCLI(t, two, "CLUSTER", "INFO"), "cluster_state:fail")
			})
			return "valkey-cluster://127.0.0.1:" + one.port + ",127.0.0.1:" + two.port, []redisServer{one, two}
		},
	} {
		t.Run(kind, func(t *testing.T) {
			url, servers := start(t)
			w := world.New(t, fakeaws.Config{Lifetime: time.Hour})
			key := filepath.Join(w.Home, "store-key")
			if err := os.WriteFile(key, []byte(strings.Repeat("k", 32)), 0o600); err != nil {
				t.Fatal(err)
			}
			machine := func(name string) []string {
				dir := filepath.Join(w.Home, name)
				if err := os.Mkdir(dir, 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, "config.toml"), fmt.Appendf(nil, "store = %q\n", url), 0o600); err != nil {
					t.Fatal(err)
				}
				return []string{"ROLECALL_DIR=" + dir, "ROLECALL_STORE_KEY_FILE=" + key}
			}
			var ds []*world.Daemon
			// share is the key that the source has on two machines with a daemon and
			// on one without, and how many calls that took.
			share := func(source string) (keys []string, calls int) {
				before := w.AWS.Calls("sts:AssumeRole")
				for _, name := range []string{"a-", "b-"} {
					d := w.ServeWith(world.Options{Plain: true, Env: machine(name + source)}, "--load", source, "--auth", "none")
					status, a, err := d.Get("/creds")
					if err != nil || status != http.StatusOK {
						t.Fatalf("%d, %v", status, err)
					}
					keys, ds = append(keys, a["AccessKeyId"].(string)), append(ds, d)
				}
				c := rolecall(t, w, "process", source)
				c.Env = w.Environ(machine("c-" + source)...)
				out, err := c.Output()
				if err != nil {
					t.Fatal(err)
				}
				return append(keys, keyOf(t, out)), w.AWS.Calls("sts:AssumeRole") - before
			}
			source := ""
			for _, source = range []string{"dev", "staging", "prod"} { // the machine may have had other things to do than to answer within 0.1 s
				keys, calls := share(source)
				if keys[0] == keys[1] && keys[0] == keys[2] && calls == 1 {
					break
				}
				if t.Logf("%s: %v, %d calls", source, keys, calls); source == "prod" {
					t.Error("the machines do not share")
				}
			}
			c := rolecall(t, w, "store", "list")
			c.Env = w.Environ("ROLECALL_DIR="+filepath.Join(w.Home, "c-"+source), "ROLECALL_STORE_KEY_FILE="+key)
			if out, err := c.CombinedOutput(); err != nil || strings.Count(string(out), "profile:"+source) != 2 {
				t.Errorf("%v\n%s", err, out)
			}
			for _, s := range servers {
				s.kill()
			}
			failed := 0
			for range 200 {
				for _, d := range ds {
					if status, _, err := d.Get("/creds"); err != nil || status != http.StatusOK {
						failed++
					}
				}
			}
			began := time.Now()
			status, _, err := ds[0].Get("/source/profile:chained")
			if took := time.Since(began); failed > 0 || err != nil || status != http.StatusOK || !faults.Within(took, 2*time.Second) {
				t.Errorf("without servers: %d reads failed; a cold one: %d, %v after %v", failed, status, err, took)
			}
			c = rolecall(t, w, "process", "staging")
			c.Env = w.Environ(machine("d")...)
			out, err := c.Output()
			if err != nil {
				t.Fatal(err)
			}
			keyOf(t, out)
		})
	}
}
