package source

import (
	"fmt"
	"os"
	"strings"
)

// zombie says whether the process has ended but was not waited for, as happens
// to orphans where process 1 is no init.
func zombie(pid int) bool {
	stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(stat), ") ")
	return strings.HasPrefix(rest, "Z")
}
