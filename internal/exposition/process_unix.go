//go:build !windows

package exposition

import "syscall"

// usage is told by every unix.
func usage(s *Scrape) {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) == nil {
		s.Add(KindCounter, "process_cpu_seconds_total", "Total user and system CPU time spent in seconds.", float64(u.Utime.Nano()+u.Stime.Nano())/1e9)
	}
	var l syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l) == nil {
		s.Gauge("process_max_fds", "Maximum number of open file descriptors.", float64(l.Cur))
	}
}
