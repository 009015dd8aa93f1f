//go:build unix

package phpfpm

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// own gives f the owner and the group of info, where they are not so already.
func own(f *os.File, info fs.FileInfo) error {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	if now, err := f.Stat(); err == nil {
		if s, ok := now.Sys().(*syscall.Stat_t); ok && s.Uid == st.Uid && s.Gid == st.Gid {
			return nil
		}
	}
	return f.Chown(int(st.Uid), int(st.Gid))
}

func ownedBy(info fs.FileInfo, uid int) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == uid
}

// Trusted says why a file must not be run, or changed, by us: it belongs to
// somebody who is neither root nor we, or others may write it. Whoever may write
// it could have us do as they like. nil: it may.
func Trusted(name string) error {
	real, err := filepath.EvalSymlinks(name)
	if err != nil {
		return err
	}
	for at := real; ; at = filepath.Dir(at) {
		info, err := os.Stat(at)
		if err != nil {
			return err
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
		if at == filepath.Dir(at) {
			return nil
		}
	}
}

// FindBinary is a php-fpm for a main file, where none runs: that of its
// distribution, or the one in the PATH.
func FindBinary(main string) string {
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
		if info, err := os.Stat(c); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return c
		}
	}
	found, _ := exec.LookPath("php-fpm")
	return found
}

// Reload has a master read its files again. It must still be the master it was.
func (f Finder) Reload(m *Master) error {
	now := f.Master(m.PID)
	if now == nil {
		return fmt.Errorf("php-fpm master %d has ended", m.PID)
	}
	_ = now.Tree.Close()
	if now.Path != m.Path || now.UID != m.UID {
		return fmt.Errorf("process %d is another one now", m.PID)
	}
	return syscall.Kill(m.PID, syscall.SIGUSR2)
}
