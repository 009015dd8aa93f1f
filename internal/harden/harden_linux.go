package harden

import (
	"math"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Process hardens this process. Memory is locked only where no limit on it holds:
// with one, running into it would end the process.
func Process() (r Result) {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		r.Problems = append(r.Problems, "core dumps cannot be turned off: "+err.Error())
	} else {
		r.NoDumps = true
	}
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}) // a second bolt on the same door
	if !mayLock() {
		return r
	}
	// ONFAULT: what Go reserves and never touches takes no memory.
	if err := unix.Mlockall(unix.MCL_CURRENT | unix.MCL_FUTURE | unix.MCL_ONFAULT); err == nil {
		r.NoSwap = true
	}
	return r
}

// mayLock says whether all memory may be locked, whatever it grows to: by the
// limit, or by a privilege that passes over it.
func mayLock() bool {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_MEMLOCK, &limit) == nil && limit.Cur == math.MaxUint64 {
		return true
	}
	var caps [2]unix.CapUserData
	if unix.Capget(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &caps[0]) != nil || caps[0].Effective&(1<<unix.CAP_IPC_LOCK) == 0 {
		return false
	}
	// Root of a user namespace has the privilege in name only.
	users, err := os.ReadFile("/proc/self/uid_map")
	return err == nil && slices.Equal(strings.Fields(string(users)), []string{"0", "0", "4294967295"})
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
