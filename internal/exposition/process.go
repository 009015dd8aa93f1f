package exposition

import (
	"runtime"
	"time"
)

// Process adds what the clients of Prometheus tell of every Go program, by the
// same names: go_ and process_ values as far as the system has them.
func (r *Registry) Process() {
	started := float64(time.Now().UnixMilli()) / 1e3
	r.Collect(func(s *Scrape) {
		s.Gauge("go_info", "Information about the Go environment.", 1, "version", runtime.Version())
		s.Gauge("go_goroutines", "Number of goroutines that currently exist.", float64(runtime.NumGoroutine()))
		s.Gauge("go_sched_gomaxprocs_threads", "The current runtime.GOMAXPROCS setting.", float64(runtime.GOMAXPROCS(0)))
		s.Gauge("process_start_time_seconds", "Start time of the process since unix epoch in seconds.", started)
		memory(s)
		system(s)
	})
}

func memory(s *Scrape) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	for _, v := range []struct {
		kind       Kind
		name, help string
		value      float64
	}{
		{KindCounter, "go_gc_cycles_total", "Number of garbage collections that have ended.", float64(m.NumGC)},
		{KindCounter, "go_gc_pause_seconds_total", "Time that the program stood still for garbage collection.", float64(m.PauseTotalNs) / 1e9},
		{KindGauge, "go_memstats_alloc_bytes", "Number of bytes allocated in heap and currently in use.", float64(m.Alloc)},
		{KindCounter, "go_memstats_alloc_bytes_total", "Number of bytes allocated in heap until now, even if released already.", float64(m.TotalAlloc)},
		{KindCounter, "go_memstats_mallocs_total", "Number of heap objects allocated until now.", float64(m.Mallocs)},
		{KindCounter, "go_memstats_frees_total", "Number of heap objects freed until now.", float64(m.Frees)},
		{KindGauge, "go_memstats_heap_alloc_bytes", "Number of heap bytes allocated and currently in use.", float64(m.HeapAlloc)},
		{KindGauge, "go_memstats_heap_idle_bytes", "Number of heap bytes waiting to be used.", float64(m.HeapIdle)},
		{KindGauge, "go_memstats_heap_inuse_bytes", "Number of heap bytes that are in use.", float64(m.HeapInuse)},
		{KindGauge, "go_memstats_heap_objects", "Number of currently allocated objects.", float64(m.HeapObjects)},
		{KindGauge, "go_memstats_heap_released_bytes", "Number of heap bytes released to the system.", float64(m.HeapReleased)},
		{KindGauge, "go_memstats_heap_sys_bytes", "Number of heap bytes obtained from the system.", float64(m.HeapSys)},
		{KindGauge, "go_memstats_stack_inuse_bytes", "Number of bytes in use by stacks.", float64(m.StackInuse)},
		{KindGauge, "go_memstats_sys_bytes", "Number of bytes obtained from the system.", float64(m.Sys)},
		{KindGauge, "go_memstats_next_gc_bytes", "Number of heap bytes at which the next garbage collection begins.", float64(m.NextGC)},
		{KindGauge, "go_memstats_last_gc_time_seconds", "Time of the last garbage collection since unix epoch in seconds.", float64(m.LastGC) / 1e9},
	} {
		s.Add(v.kind, v.name, v.help, v.value)
	}
}
