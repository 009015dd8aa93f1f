package peercred

import (
	"os"
	"strconv"
	"strings"
)

// unmappedUID is the number under which the kernel shows every user that has
// none in our user namespace (usually 65534, "nobody"): it stands for anybody,
// so that a daemon that itself runs as nobody must not take it for its own
// user. Where every user is mapped, it is noUID.
func unmappedUID() uint32 {
	m, err := os.ReadFile("/proc/self/uid_map")
	if err == nil && mapsAll(string(m)) {
		return noUID
	}
	overflow, err := os.ReadFile("/proc/sys/kernel/overflowuid")
	if err == nil {
		if n, err := strconv.ParseUint(strings.TrimSpace(string(overflow)), 10, 32); err == nil {
			return uint32(n)
		}
	}
	return 65534
}

// mapsAll says whether a uid_map(5) leaves no user out.
func mapsAll(uidMap string) bool {
	f := strings.Fields(uidMap)
	return len(f) == 3 && f[0] == "0" && f[2] == "4294967295"
}
