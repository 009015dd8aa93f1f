package doctor

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// maxAncestors bounds the way up from a process to pid 1.
const maxAncestors = 32

// Self is the program that called this one: it has this environment.
func Self(name string, environ []string, home string) Program {
	p := Program{Name: name, Env: NewEnviron(environ), Home: home}
	p.Dir, _ = os.Getwd()
	p.ancestry("/proc", os.Getppid())
	return p
}

// ancestry fills in the ancestors from pid on.
func (p *Program) ancestry(proc string, pid int) {
	hidden := 0
	p.Ancestors, hidden = ancestors(proc, pid)
	if hidden > 0 && os.Geteuid() != 0 {
		p.Unseen = append(p.Unseen, fmt.Sprintf("the environments of its ancestors, %d of which belong to others: as root it can be said whether one of them has a variable that was dropped on the way", hidden))
	}
}

// Process is a running process as it sees the world. The error says that there
// is none, or that its environment may not be read.
func Process(pid int) (Program, error) { return process("/proc", pid) }

func process(proc string, pid int) (Program, error) {
	dir := filepath.Join(proc, strconv.Itoa(pid))
	name, ppid, err := stat(dir)
	switch {
	case errors.Is(err, errEnded):
		return Program{}, fmt.Errorf("process %d (%s) has ended, and its parent has not asked how", pid, name)
	case errors.Is(err, errKernel):
		return Program{}, fmt.Errorf("process %d (%s) is a thread of the kernel", pid, name)
	case err != nil:
		return Program{}, fmt.Errorf("there is no process %d", pid)
	}
	p := Program{Name: fmt.Sprintf("pid %d (%s)", pid, name)}
	block, err := readEnviron(filepath.Join(dir, "environ"))
	switch {
	case errors.Is(err, fs.ErrPermission):
		if os.Geteuid() == 0 { // a sandbox, or a namespace that root of this one does not own
			return p, fmt.Errorf("the environment of process %d (%s) is kept from this root", pid, name)
		}
		return p, &NeedsRoot{fmt.Sprintf("the environment of process %d (%s) may be read by its user and by root only", pid, name), fmt.Sprintf("sudo rolecall doctor --pid %d", pid)}
	case err != nil: // it ended meanwhile
		return p, fmt.Errorf("process %d (%s) ended while it was looked at", pid, name)
	}
	p.Env = ParseEnviron(block)
	p.SDK = sdkOf(dir, name)
	root, err := os.Readlink(filepath.Join(dir, "root"))
	if p.NoFiles = err != nil; p.NoFiles {
		p.Unseen = append(p.Unseen, "the process's root directory, and so its files: its user and root can see them")
	} else if root != "/" || !sameNamespace(dir, "mnt") {
		p.Root = filepath.Join(dir, "root")
	}
	if p.Dir, err = os.Readlink(filepath.Join(dir, "cwd")); err != nil {
		p.Unseen = append(p.Unseen, "the process's working directory: its user and root can see it")
	}
	if rest, ok := strings.CutPrefix(p.Dir, root); ok && root != "/" { // links tell paths from this root on
		p.Dir = "/" + strings.TrimPrefix(rest, "/")
	}
	if !sameNamespace(dir, "net") {
		p.Elsewhere = fmt.Sprintf("the process has a network of its own: run rolecall doctor in it (nsenter --net --target %d rolecall doctor --pid %d, as root)", pid, pid)
	}
	uid := owner(dir)
	if p.Others = uid != os.Geteuid(); p.Others {
		p.reader = readerOf(dir)
	}
	p.Home = homeOf(uid, p)
	p.ancestry(proc, ppid)
	return p, nil
}

var (
	errEnded  = errors.New("a process that has ended")
	errKernel = errors.New("a thread of the kernel")
)

// stat reads name and parent from /proc/PID/stat. The error tells what has no
// environment.
func stat(dir string) (name string, ppid int, err error) {
	b, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return "", 0, err
	}
	open, end := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')') // a name may hold both
	if open < 0 || end < open {
		return "", 0, errors.New("no process status")
	}
	fields := strings.Fields(string(b[end+1:]))
	if len(fields) < 2 {
		return "", 0, errors.New("no process status")
	}
	name = string(b[open+1 : end])
	ppid, err = strconv.Atoi(fields[1])
	switch {
	case fields[0] == "Z" || fields[0] == "X":
		err = errEnded
	case len(fields) > 6 && ofKernel(fields[6]):
		err = errKernel
	}
	return name, ppid, err
}

// ofKernel says whether a process's flags have PF_KTHREAD.
func ofKernel(flags string) bool {
	n, err := strconv.ParseUint(flags, 10, 64)
	return err == nil && n&0x00200000 != 0
}

// sameNamespace says whether the process shares a namespace with this one; true
// where that cannot be seen.
func sameNamespace(dir, kind string) bool {
	theirs, err := os.Readlink(filepath.Join(dir, "ns", kind))
	if err != nil {
		return true
	}
	ours, err := os.Readlink("/proc/self/ns/" + kind)
	return err != nil || ours == theirs
}

// sdkOf guesses the SDK from the program's name.
func sdkOf(dir, name string) string {
	if exe, err := os.Readlink(filepath.Join(dir, "exe")); err == nil {
		name = filepath.Base(exe)
	}
	return SDKOf(name)
}

// owner is the user of a process, -1 when it is gone.
func owner(dir string) int {
	info, err := os.Stat(dir)
	if err != nil {
		return -1
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(st.Uid)
	}
	return -1
}

// homeOf is the home directory of a user, by the program's own passwd file.
func homeOf(id int, p Program) string {
	uid := strconv.Itoa(id)
	if p.Root == "" {
		if u, err := user.LookupId(uid); err == nil {
			return u.HomeDir
		}
		return ""
	}
	text, err := p.readSmall("/etc/passwd")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(text) {
		if f := strings.Split(strings.TrimSpace(line), ":"); len(f) >= 7 && f[2] == uid {
			return f[5]
		}
	}
	return ""
}

// ancestors are pid, its parents, and pid 1, as far as they can be read; hidden
// is the number of those that cannot.
func ancestors(proc string, pid int) (found []Ancestor, hidden int) {
	for range maxAncestors {
		if pid <= 0 {
			break
		}
		dir := filepath.Join(proc, strconv.Itoa(pid))
		name, ppid, err := stat(dir)
		if err != nil {
			break
		}
		a := Ancestor{PID: pid, Name: name}
		if block, err := readEnviron(filepath.Join(dir, "environ")); err == nil {
			a.Env = ParseEnviron(block)
		} else {
			hidden++
		}
		found = append(found, a)
		if pid == 1 {
			break
		}
		if pid = ppid; pid == 0 {
			pid = 1 // in a container the way up ends outside; pid 1 has what it was given
		}
	}
	return found, hidden
}

// environRoom is larger than most environments are.
const environRoom = 256 << 10

// readEnviron reads /proc/PID/environ in one call, not in small parts: when the
// process ends in between, the kernel has nothing more to tell, and what was read
// looks like an environment that lacks the rest.
func readEnviron(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b := make([]byte, environRoom)
	n, err := f.Read(b)
	if err == io.EOF {
		return nil, nil
	}
	if err != nil || n < len(b) {
		return b[:n], err
	}
	rest, err := io.ReadAll(f)
	return append(b, rest...), err
}
