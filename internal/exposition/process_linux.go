package exposition

import (
	"os"
	"strconv"
	"strings"
)

func system(s *Scrape) {
	usage(s)
	if files, err := os.ReadDir("/proc/self/fd"); err == nil {
		s.Gauge("process_open_fds", "Number of open file descriptors.", float64(len(files)-1)) // one is the directory's
	}
	b, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return
	}
	// proc(5): the second field is the program's name in brackets, which may
	// hold anything; the third, the state, is the first after them.
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	field := func(n int) (v float64) {
		if n-3 < len(fields) {
			v, _ = strconv.ParseFloat(fields[n-3], 64)
		}
		return v
	}
	s.Gauge("go_threads", "Number of threads of the system that the program has.", field(20))
	s.Gauge("process_virtual_memory_bytes", "Virtual memory size in bytes.", field(23))
	s.Gauge("process_resident_memory_bytes", "Resident memory size in bytes.", field(24)*float64(os.Getpagesize()))
}
