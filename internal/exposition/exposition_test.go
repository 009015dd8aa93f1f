package exposition

import (
	"bytes"
	"errors"
	"math"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
)

func scrape(t *testing.T, r *Registry) string {
	t.Helper()
	var b bytes.Buffer
	n, err := r.WriteTo(&b)
	if err != nil || n != int64(b.Len()) {
		t.Fatalf("%d of %d bytes, %v", n, b.Len(), err)
	}
	return b.String()
}

func TestWriteTo(t *testing.T) {
	var r Registry
	if got := scrape(t, &r); got != "" {
		t.Errorf("%q", got)
	}
	requests := r.Counters("requests_total", "Requests\nby \\ outcome.", "endpoint", "outcome")
	plain := r.Counter("calls_total", "Calls.")
	requests.With("ecs", "ok").Inc()
	requests.With("ecs", "ok").Inc()
	requests.With("ecs").Inc()
	requests.With("a\"b\\c\nd", "\xff").Inc()
	r.Collect(func(s *Scrape) {
		s.Gauge("size", "Size.", 0.25, "slot", "b")
		s.Gauge("size", "Size.", math.Inf(1), "slot", "a")
		s.Gauge("zero", "Zero.", -0.5)
		s.Gauge("big", "Big.", 1.8446744073709552e+19)
	})
	const want = `# HELP big Big.
# TYPE big gauge
big 1.8446744073709552e+19
# HELP calls_total Calls.
# TYPE calls_total counter
calls_total 0
# HELP requests_total Requests\nby \\ outcome.
# TYPE requests_total counter
requests_total{endpoint="a\"b\\c\nd",outcome="�"} 1
requests_total{endpoint="ecs",outcome=""} 1
requests_total{endpoint="ecs",outcome="ok"} 2
# HELP size Size.
# TYPE size gauge
size{slot="a"} +Inf
size{slot="b"} 0.25
# HELP zero Zero.
# TYPE zero gauge
zero -0.5
`
	if got := scrape(t, &r); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if plain.Value() != 0 || requests.With("ecs", "ok").Value() != 2 {
		t.Error("wrong counts")
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("broken") }

func TestBrokenWriter(t *testing.T) {
	var r Registry
	r.Counter("a", "A.")
	if _, err := r.WriteTo(broken{}); err == nil {
		t.Error("no error")
	}
}

func TestMany(t *testing.T) {
	var r Registry
	c := r.Counters("n", "N.", "l")
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 1000 {
				c.With(strconv.Itoa(i % 2)).Inc()
			}
			scrape(t, &r)
		})
	}
	wg.Wait()
	if got := c.With("0").Value() + c.With("1").Value(); got != 8000 {
		t.Error(got)
	}
}

var line = regexp.MustCompile(`^([a-z_]+)(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? (\S+)$`)

func TestProcess(t *testing.T) {
	var r Registry
	r.Process()
	text := scrape(t, &r)
	seen := map[string]float64{}
	for l := range strings.Lines(text) {
		if strings.HasPrefix(l, "# HELP ") || strings.HasPrefix(l, "# TYPE ") {
			continue
		}
		m := line.FindStringSubmatch(strings.TrimSuffix(l, "\n"))
		if m == nil {
			t.Fatalf("not a line of the format: %q", l)
		}
		v, err := strconv.ParseFloat(m[4], 64)
		if err != nil {
			t.Errorf("%q: %v", l, err)
		}
		seen[m[1]] = v
	}
	names := []string{"go_info", "go_goroutines", "go_memstats_alloc_bytes", "process_start_time_seconds"}
	if runtime.GOOS == "linux" {
		names = append(names, "process_resident_memory_bytes", "process_virtual_memory_bytes", "process_open_fds", "process_max_fds", "process_cpu_seconds_total", "go_threads")
	}
	for _, n := range names {
		if seen[n] <= 0 {
			t.Errorf("%s is %v", n, seen[n])
		}
	}
	if rss := seen["process_resident_memory_bytes"]; runtime.GOOS == "linux" && (rss < 1<<20 || rss > 1<<32 || seen["process_virtual_memory_bytes"] < rss) {
		t.Errorf("resident %v", rss)
	}
}
