package phpfpm

import (
	"fmt"
	"strings"
	"time"
)

// Master is a running master process.
type Master struct {
	PID    int
	Path   string // of its main configuration file, as it sees it
	Prefix string // from its arguments, "" where they are not to be seen
	Binary string // what it runs, as it sees it; "" where that may not be seen
	UID    int
	// Started is when the process began, right to a second or so. A reload does
	// not change it.
	Started time.Time
	Unit    string // the systemd service it belongs to, or ""
	Tree    *Tree  // its file system
	// Elsewhere says that it has other files than we do: it is in a container,
	// and we are not.
	Elsewhere bool
	// OtherNet says that its network is not ours: its TCP sockets are out of reach.
	OtherNet bool
	Notes    []string // what root would see more
}

func (m *Master) String() string { return fmt.Sprintf("php-fpm master %d (%s)", m.PID, m.Path) }

// Environment is an environment from which a master may have got its own.
type Environment struct {
	Where string // "pid 1", "php8.2-fpm.service"
	Vars  map[string]string
	// Certain says that the master was started with it; else it is only what
	// somebody nearby has, such as this shell.
	Certain bool
}

const titleStart = "php-fpm: master process ("

// titlePath is the main file that a master's title names. FPM cuts its title
// where the memory for it ends.
func titlePath(title string) (path string, whole, ok bool) {
	title = strings.TrimRight(title, "\x00 ")
	path, ok = strings.CutPrefix(title, titleStart)
	if !ok {
		return "", false, false
	}
	path, whole = strings.CutSuffix(path, ")")
	return path, whole, true
}

// argument is the value of an option in the arguments of php-fpm, "" without.
func argument(args []string, short, long string) string {
	for i, a := range args {
		switch {
		case a == "--":
			return ""
		case (a == short || a == long) && i+1 < len(args):
			return args[i+1]
		case strings.HasPrefix(a, long+"="):
			return a[len(long)+1:]
		case strings.HasPrefix(a, short) && len(a) > 2 && !strings.HasPrefix(a, "--"):
			return strings.TrimPrefix(a[2:], "=")
		}
	}
	return ""
}
