package footprint

import (
	"os"
	"runtime/debug"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// GiveBack returns unused heap and the pages of the program's own file to the
// kernel, once. Most of a program's code runs only while it starts (the packages
// set themselves up, and each touched page brings its neighbours along); what
// is needed again comes back from the page cache in microseconds.
func GiveBack() {
	debug.FreeOSMemory()
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return
	}
	for line := range strings.Lines(string(maps)) {
		start, end, ok := readOnly(line, exe)
		if !ok {
			continue
		}
		// Clean pages of a file, mapped for reading: dropping them loses nothing,
		// and nothing secret is in them that would have to stay locked.
		_, _, _ = unix.Syscall(unix.SYS_MUNLOCK, start, end-start, 0)
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, start, end-start, unix.MADV_DONTNEED)
	}
}

// readOnly reads a line of /proc/PID/maps: the addresses of a mapping of the
// file exe that cannot be written.
func readOnly(line, exe string) (start, end uintptr, ok bool) {
	f := strings.Fields(line)
	if len(f) < 6 || f[5] != exe || !strings.HasPrefix(f[1], "r-") {
		return 0, 0, false
	}
	from, to, _ := strings.Cut(f[0], "-")
	a, err := strconv.ParseUint(from, 16, 64)
	if err != nil {
		return 0, 0, false
	}
	b, err := strconv.ParseUint(to, 16, 64)
	if err != nil || b <= a {
		return 0, 0, false
	}
	return uintptr(a), uintptr(b), true
}
