package harden

import (
	"math"

	"golang.org/x/sys/unix"
)

// Process hardens this process. Memory is locked only where there is no limit on
// it: with one, running into it would end the process.
func Process() (r Result) {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		r.Problems = append(r.Problems, "core dumps cannot be turned off: "+err.Error())
	} else {
		r.NoDumps = true
	}
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}) // a second bolt on the same door
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_MEMLOCK, &limit) != nil || limit.Cur != math.MaxUint64 {
		return r
	}
	// ONFAULT: what Go reserves and never touches takes no memory.
	if err := unix.Mlockall(unix.MCL_CURRENT | unix.MCL_FUTURE | unix.MCL_ONFAULT); err == nil {
		r.NoSwap = true
	}
	return r
}

// ConnectionRoom is how many connections a server may hold so that the process
// keeps spare file descriptors for its other work; at most want.
func ConnectionRoom(want int) int {
	const spare = 32
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil || limit.Cur > math.MaxInt32 {
		return want
	}
	return max(8, min(want, int(limit.Cur)-spare))
}
