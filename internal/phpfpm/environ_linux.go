package phpfpm

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"rolecall/internal/environ"
)

// Surroundings are the environments from which the master may have got its own:
// its service's, and those of the processes above it up to its container's first
// one. FPM overwrites its own for its title, so it cannot be asked itself. Notes
// say what root would see more.
func (f Finder) Surroundings(m *Master) (found []Environment, notes []string) {
	if m.Unit != "" {
		if u := ReadUnit(m.Tree, m.Unit); u != nil {
			found = append(found, Environment{m.Unit, u.Environment, true})
			notes = append(notes, u.Notes...)
		}
	}
	inside, told := f.nesting(m.PID), false
	for pid, level := f.parent(m.PID), 0; pid > 0 && level < 64; pid, level = f.parent(pid), level+1 {
		if f.nesting(pid) != inside {
			break // the container's own environment ends here
		}
		if m.Unit != "" && pid == 1 {
			break // a service manager hands its own environment to no service
		}
		vars, err := f.Environ(pid)
		switch {
		case errors.Is(err, fs.ErrPermission) && len(found) == 0 && !told:
			told = true
			notes = append(notes, fmt.Sprintf("the environments of pid %d, from which php-fpm was started, and of those above it", pid))
		case err == nil && vars != nil:
			found = append(found, Environment{fmt.Sprintf("pid %d", pid), vars, true})
		}
	}
	return found, notes
}

// Environ is the environment a process was started with; nil when the process
// has written over it, as FPM does.
func (f Finder) Environ(pid int) (map[string]string, error) {
	b, err := readSome(f.proc(pid, "environ"), 4<<20)
	if err != nil {
		return nil, err
	}
	comm, _ := readSome(f.proc(pid, "comm"), 64)
	title, _ := readSome(f.proc(pid, "cmdline"), 256)
	if bytes.HasPrefix(comm, []byte("php-fpm")) && bytes.HasPrefix(title, []byte("php-fpm: ")) {
		return nil, nil
	}
	return environ.Block(b), nil
}

// parent is 0 when there is none, or the process has ended.
func (f Finder) parent(pid int) (ppid int) {
	_, _ = fmt.Sscanf(f.status(pid, "PPid:"), "%d", &ppid)
	return ppid
}

// nesting is how many pid namespaces a process is in: 1 for one of the machine.
func (f Finder) nesting(pid int) int { return len(strings.Fields(f.status(pid, "NSpid:"))) }

func (f Finder) status(pid int, field string) string {
	b, err := readSome(f.proc(pid, "status"), 1<<16)
	if err != nil {
		return ""
	}
	for _, line := range strings.Split(string(b), "\n") {
		if rest, ok := strings.CutPrefix(line, field); ok {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}
