//go:build unix

package faults_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"rolecall/internal/fakeaws"
	"rolecall/test/faults"
	"rolecall/test/world"
)

// configured is a site whose daemon is run by a configuration file.
func configured(t *testing.T, o world.Options, text string) (*site, string) {
	t.Helper()
	s := newSite(t, fakeaws.Config{})
	if err := os.MkdirAll(s.Dir(), 0o700); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(s.Dir(), "config.toml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s.serve(o)
	return s, file
}

// running is the configuration in force, as far as the daemon tells.
func (s *site) running() string {
	s.T.Helper()
	st, err := s.control().Status(context.Background())
	if err != nil {
		s.T.Fatal(err)
	}
	var slots []string
	for _, sl := range st.Slots {
		slots = append(slots, sl.Name+"="+sl.Source+" "+sl.KeyID)
	}
	b, err := json.Marshal([]any{st.Listeners, st.Auth, st.TokenFile, st.ConfigFile, slots, st.Warnings})
	if err != nil {
		s.T.Fatal(err)
	}
	return string(b)
}

func TestRow39BadReload(t *testing.T) {
	t.Parallel()
	const good = "load = \"dev\"\n[slots]\nprod = \"profile:prod\"\n[log]\nlevel = \"warn\"\n"
	s, file := configured(t, world.Options{}, good)
	d := s.daemon
	r := newReader(t, d)
	r.warm(t, "/")
	r.warm(t, "/slot/prod")
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = busy.Close() }()
	before := s.running()
	var reads, failed atomic.Int32
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				reads.Add(1)
				if a := r.get([]string{"/", "/slot/prod"}[i%2]); !a.good() {
					failed.Add(1)
				}
			}
		})
	}
	bad := []string{
		"load = ", "load = \"dev\"\nlode = \"x\"", "[slots\nx = 1", "slots = 3", "load = 4", "listen = \"127.0.0.1\"", "listen = [\"nowhere\"]", "listen = [\"127.0.0.1:70000\"]",
		"[slots]\n\"a\\nb\" = \"dev\"", "[slots]\nx = \"\"", "[auth]\nmode = \"maybe\"", "[auth]\nallow_uids = [-1]", "[auth]\nallow_uids = [\"no such user at all\"]",
		"[tls]\ncert = \"c.pem\"", "[log]\nlevel = \"loud\"", "[log]\nformat = \"xml\"", "max_connections = -3", "hosts = [\"a b\"]", "load = \"dev\"\nload = \"prod\"", "\xff\xfe\x00",
	}
	told, lines := time.Duration(0), 0
	for i, text := range bad {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		at := strings.Count(d.Log(), "was not reloaded")
		began := time.Now()
		d.Signal(syscall.SIGHUP)
		until(t, 10*time.Second, "the news that "+text+" is bad", func() bool { return strings.Count(d.Log(), "was not reloaded") > at })
		told = max(told, time.Since(began))
		st, err := s.control().Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(st.ConfigError, "config.toml:") || text == bad[len(bad)-1] && st.ConfigError != "" {
			lines++
		} else {
			t.Errorf("no line in %q", st.ConfigError)
		}
		until(t, time.Minute, "reads", func() bool { return int(reads.Load()) >= many(10_000)*(i+1)/len(bad) })
	}
	// A port in use is found out only when it is bound.
	text := fmt.Sprintf("load = \"prod\"\nlisten = [\"127.0.0.1:0\", %q]\n", busy.Addr())
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	unbound := s.portTaken(busy.Addr().String())
	close(stop)
	wg.Wait()
	after := s.running()
	if before != after {
		t.Logf("before %s\nafter %s", before, after)
	}
	if !unbound {
		t.Error("a port in use was not noticed, or changed something")
	}
	row(t, 39, failed.Load() == 0 && faults.Within(told, time.Second) && before == after && lines == len(bad) && unbound,
		"%d of %d reads failed over %d bad files and a port in use; told after %s at most, with file and line; running configuration unchanged", failed.Load(), reads.Load(), len(bad), ms(told))
}

// portTaken starts a daemon of its own, whose addresses come from the file, and
// reloads it with one that is in use; it says whether all stayed as it was.
func (s *site) portTaken(addr string) bool {
	t := s.T.(*testing.T)
	o, file := configuredOwnAddress(t)
	newReader(t, o.daemon).warm(t, "/")
	before := o.running()
	if err := os.WriteFile(file, fmt.Appendf(nil, "load = \"prod\"\nlisten = [\"127.0.0.1:0\", %q]\n", addr), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := o.control().Reload(t.Context())
	return err != nil && strings.Contains(err.Error(), "in use") && o.running() == before
}

func configuredOwnAddress(t *testing.T) (*site, string) {
	return configured(t, world.Options{Listen: "-"}, "load = \"dev\"\nlisten = [\"127.0.0.1:0\"]\n")
}

func TestRow40RemovedProfile(t *testing.T) {
	t.Parallel()
	needsProc(t, 40)
	s, file := configured(t, world.Options{Plain: true}, "load = \"dev\"\n[slots]\ngone = \"profile:prod\"\n")
	d := s.daemon
	r := newReader(t, d)
	r.warm(t, "/")
	a := r.warm(t, "/slot/gone")
	secrets := []string{a.field("SecretAccessKey"), a.field("Token")}
	if n := inMemory(t, d.PID(), secrets); n == 0 {
		t.Fatal("what is held is not found in memory: the search does not work")
	}
	if err := os.WriteFile(file, []byte("load = \"dev\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	d.Signal(syscall.SIGHUP)
	until(t, 10*time.Second, "404", func() bool { return r.get("/slot/gone").status == 404 })
	took := time.Since(began)
	onDisk := 0
	err := filepath.WalkDir(s.Home, func(path string, e os.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			if b, err := os.ReadFile(path); err == nil && found(b, secrets) > 0 {
				onDisk++
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	for range 3000 { // what a daemon does until its collector has run a few times
		r.get("/")
	}
	left := inMemory(t, d.PID(), secrets)
	if took > time.Second || onDisk > 0 {
		t.Errorf("gone after %v, on disk in %d files", took, onDisk) // whatever stays in memory
	}
	row(t, 40, faults.Within(took, time.Second) && onDisk == 0 && left == 0, "gone after %s; on disk in %d files; in the process's memory %d times, after 3,000 further reads", ms(took), onDisk, left)
}

func found(b []byte, secrets []string) (n int) {
	for _, s := range secrets {
		n += strings.Count(string(b), s)
	}
	return n
}

// inMemory counts secrets in all of a process's memory.
func inMemory(t *testing.T, pid int, secrets []string) (n int) {
	t.Helper()
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		t.Fatal(err)
	}
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		leftOut(t, 40, "only root can look into the memory of a process that is closed to others")
	}
	defer func() { _ = mem.Close() }()
	for line := range strings.Lines(string(maps)) {
		var from, to int64
		var mode string
		if _, err := fmt.Sscanf(strings.Replace(line, "-", " ", 1), "%x %x %s", &from, &to, &mode); err != nil || !strings.HasPrefix(mode, "rw") || to-from > 1<<30 {
			continue
		}
		b := make([]byte, to-from)
		if k, _ := mem.ReadAt(b, from); k > 0 {
			n += found(b[:k], secrets)
		}
	}
	return n
}
