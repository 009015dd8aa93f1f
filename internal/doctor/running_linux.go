package doctor

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Deepest is the youngest descendant of a process at the end of its line of
// children, or the process itself: what a wrapper (sudo, env, a script) runs.
func Deepest(pid int) (Program, error) {
	for range maxAncestors {
		id := strconv.Itoa(pid)
		b, err := os.ReadFile(filepath.Join("/proc", id, "task", id, "children"))
		children := strings.Fields(string(b))
		if err != nil || len(children) == 0 {
			break
		}
		next, err := strconv.Atoi(children[len(children)-1])
		if err != nil {
			break
		}
		pid = next
	}
	return Process(pid)
}
