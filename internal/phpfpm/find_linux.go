package phpfpm

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Finder looks at running processes.
type Finder struct {
	Proc string // "": /proc
}

func (f Finder) proc(pid int, rest string) string {
	dir := f.Proc
	if dir == "" {
		dir = "/proc"
	}
	if pid == 0 {
		return dir
	}
	return dir + "/" + strconv.Itoa(pid) + "/" + rest
}

// Masters finds the masters that run, those that started first coming first.
// Processes that end meanwhile are left out. The caller closes their trees.
func (f Finder) Masters() ([]*Master, error) {
	d, err := os.Open(f.proc(0, ""))
	if err != nil {
		return nil, err
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, n := range names {
		if pid, err := strconv.Atoi(n); err == nil {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	var found []*Master
	for _, pid := range pids {
		if m := f.master(pid); m != nil {
			found = append(found, m)
		}
	}
	return f.withoutNewborn(found), nil
}

// withoutNewborn leaves workers out that have just been forked: they still bear
// the title of their master.
func (f Finder) withoutNewborn(found []*Master) []*Master {
	var titled []int
	for _, m := range found {
		titled = append(titled, m.PID)
	}
	return slices.DeleteFunc(found, func(m *Master) bool {
		newborn := slices.Contains(titled, f.parent(m.PID))
		if newborn {
			_ = m.Tree.Close()
		}
		return newborn
	})
}

// Master looks at one process; nil: it is no master, or has ended.
func (f Finder) Master(pid int) *Master { return f.master(pid) }

func (f Finder) master(pid int) *Master {
	title, err := readSome(f.proc(pid, "cmdline"), 1<<16)
	if err != nil {
		return nil
	}
	main, whole, ok := titlePath(string(title))
	if !ok {
		return nil
	}
	m := &Master{PID: pid, Path: main, UID: -1}
	if info, err := os.Stat(f.proc(pid, "")); err == nil {
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			m.UID = int(st.Uid)
		}
	}
	if exe, err := os.Readlink(f.proc(pid, "exe")); err == nil {
		m.Binary = strings.TrimSuffix(exe, " (deleted)")
	} else if !errors.Is(err, fs.ErrPermission) {
		return nil // it has ended
	} else {
		m.Notes = append(m.Notes, "which php-fpm it runs, and whether it is in a container")
	}
	base := "/"
	if f.differs(pid, "ns/mnt") || f.otherRoot(pid) {
		base = f.proc(pid, "root") // also for a service with a /tmp of its own
		m.Elsewhere = f.otherRoot(pid)
	}
	if root, err := os.Readlink(f.proc(pid, "root")); err == nil && root != "/" {
		m.Binary = strings.TrimPrefix(m.Binary, root) // in a chroot it is told as we would name it
	}
	m.OtherNet = f.differs(pid, "ns/net")
	if m.Tree, err = OpenTree(base); err != nil {
		return nil
	}
	m.Started = f.started(pid)
	m.Unit = f.unit(pid)
	if m.Unit != "" {
		if u := ReadUnit(m.Tree, m.Unit); u != nil {
			m.Prefix = argument(u.Start, "-p", "--prefix")
			if !whole {
				m.Path = argument(u.Start, "-y", "--fpm-config")
				whole = m.Path != ""
			}
		}
	}
	if !whole || !path.IsAbs(m.Path) {
		m.Path, m.Notes = f.guess(m, main)
	}
	return m
}

// guess completes a path that the title does not hold as a whole, from the
// files that are there.
func (f Finder) guess(m *Master, part string) (string, []string) {
	for _, known := range FindMain(m.Tree) {
		if strings.HasPrefix(known, part) || !path.IsAbs(part) && strings.HasSuffix(known, "/"+part) {
			return known, m.Notes
		}
	}
	if cwd, err := os.Readlink(f.proc(m.PID, "cwd")); err == nil && !path.IsAbs(part) {
		return path.Join(cwd, part), m.Notes
	}
	return part, append(m.Notes, "its configuration file, which its title does not name in full: give --fpm-config FILE")
}

// differs says whether a process's namespace is known not to be ours.
func (f Finder) differs(pid int, ns string) bool {
	ours, err1 := os.Readlink(f.proc(0, "") + "/self/" + ns)
	its, err2 := os.Readlink(f.proc(pid, ns))
	return err1 == nil && err2 == nil && ours != its
}

// otherRoot says whether a process's root is known to be another directory than
// ours: it is in a container, or in a chroot.
func (f Finder) otherRoot(pid int) bool {
	its, err1 := os.Stat(f.proc(pid, "root"))
	ours, err2 := os.Stat("/")
	return err1 == nil && err2 == nil && !os.SameFile(its, ours)
}

// started is field 22 of /proc/PID/stat, in hundredths of a second after the
// machine's start.
func (f Finder) started(pid int) time.Time {
	b, _ := readSome(f.proc(pid, "stat"), 4096)
	machine, _ := readSome(f.proc(0, "")+"/stat", 1<<20)
	_, after, ok := cutLast(string(b), ")")
	fields := strings.Fields(after)
	_, boot, found := strings.Cut(string(machine), "\nbtime ")
	if !ok || !found || len(fields) < 20 {
		return time.Time{}
	}
	ticks, _ := strconv.ParseInt(fields[19], 10, 64)
	boot, _, _ = strings.Cut(boot, "\n")
	seconds, _ := strconv.ParseInt(boot, 10, 64)
	return time.Unix(seconds, 0).Add(time.Duration(ticks) * 10 * time.Millisecond)
}

// unit is the systemd service in whose cgroup a process is.
func (f Finder) unit(pid int) string {
	b, err := readSome(f.proc(pid, "cgroup"), 1<<16)
	if err != nil {
		return ""
	}
	for _, line := range strings.Split(string(b), "\n") {
		for _, part := range strings.Split(line, "/") {
			if strings.HasSuffix(part, ".service") && strings.Contains(line, "system.slice") && !strings.HasPrefix(part, "user@") {
				return part
			}
		}
	}
	return ""
}

// readSome reads the beginning of a file of /proc.
func readSome(name string, limit int) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	b := make([]byte, 0, min(limit, 256<<10)) // for one read: a process may end between two
	for len(b) < limit {
		if len(b) == cap(b) {
			b = slices.Grow(b, len(b))
		}
		n, err := file.Read(b[len(b):min(cap(b), limit)])
		b = b[:len(b)+n]
		if err != nil || n == 0 {
			break
		}
	}
	return b, nil
}
