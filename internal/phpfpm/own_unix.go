//go:build unix

package phpfpm

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"strings"
	"syscall"
	"time"
)

func ownedBy(info fs.FileInfo, uid int) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == uid
}

// Trusted says why a file of the tree must not be run, or changed, by us: it, or
// a directory above it, belongs to somebody who is neither root nor we, or others
// may write it. Whoever may write it could have us do as they like. nil: it may.
func (t *Tree) Trusted(name string) error {
	real, err := t.Real(name)
	if err != nil {
		return err
	}
	for at := real; ; at = path.Dir(at) {
		info, err := t.root.Lstat(below(at))
		if err != nil {
			return inside(at, err)
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		switch {
		case !ok:
			return fmt.Errorf("%s cannot be looked at", at)
		case st.Uid != 0 && int(st.Uid) != os.Geteuid():
			return fmt.Errorf("%s belongs to another user (uid %d): run rolecall as that user", at, st.Uid)
		case info.Mode().Perm()&0o022 != 0 && info.Mode()&fs.ModeSticky == 0:
			return fmt.Errorf("%s may be written by others", at)
		}
		if at == "/" {
			return nil
		}
	}
}

// FindBinary is a php-fpm for a main file, where none runs: that of its
// distribution, or the one in the PATH.
func (t *Tree) FindBinary(main string) string {
	var candidates []string
	if rest, ok := strings.CutPrefix(main, "/etc/php/"); ok {
		version, _, _ := strings.Cut(rest, "/")
		candidates = append(candidates, "/usr/sbin/php-fpm"+version)
	}
	if rest, ok := strings.CutPrefix(main, "/etc/php"); ok {
		version, _, _ := strings.Cut(rest, "/")
		candidates = append(candidates, "/usr/sbin/php-fpm"+version)
	}
	candidates = append(candidates, PrefixOf(main)+"/sbin/php-fpm", PrefixOf(main)+"/bin/php-fpm")
	for _, c := range candidates {
		if info, err := t.Stat(c); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return c
		}
	}
	found, _ := exec.LookPath("php-fpm")
	return found
}

// jail has a program see the tree's files, and not ours, where the two differ:
// what it reads must be what was changed. The caller calls done once the program
// has started.
func (t *Tree) jail(c *exec.Cmd) (done func(), err error) {
	c.Dir = "/"
	if t.base == "/" {
		return func() {}, nil
	}
	top, err := t.root.Open(".")
	if err != nil {
		return nil, err
	}
	// By its descriptor: the process behind base may have ended, and its pid be another's.
	c.SysProcAttr = &syscall.SysProcAttr{Chroot: fmt.Sprintf("/proc/self/fd/%d", top.Fd())}
	return func() { _ = top.Close() }, nil
}

// Reload has a master read its files again. It must still be the master it was.
func (f Finder) Reload(m *Master) error {
	now := f.Master(m.PID)
	if now == nil {
		return fmt.Errorf("php-fpm master %d has ended", m.PID)
	}
	_ = now.Tree.Close()
	if now.Path != m.Path || now.UID != m.UID || now.Started.Sub(m.Started).Abs() > 2*time.Second {
		return fmt.Errorf("process %d is another one now", m.PID)
	}
	return syscall.Kill(m.PID, syscall.SIGUSR2)
}
