//go:build !windows

package privatefile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"syscall"

	"rolecall/internal/shellword"
)

// openNoFollow opens path for reading without following a symbolic link in its
// last element. O_NONBLOCK keeps a FIFO that somebody put there from holding us.
func openNoFollow(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, syscall.ELOOP) || errors.Is(err, syscall.EMLINK) { // EMLINK: the BSDs' word for it
		return nil, &UnsafeError{path, "is a symbolic link", "remove it; it is made anew"}
	}
	return f, err
}

func openFollow(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
}

// checkOwner refuses what belongs to another user; orRoot accepts root's too.
func checkOwner(path string, info fs.FileInfo, orRoot bool) error {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return &UnsafeError{path, "has an owner that cannot be told", ""}
	}
	own := uint32(os.Geteuid())
	if st.Uid == own || orRoot && st.Uid == 0 {
		return nil
	}
	return &UnsafeError{path,
		fmt.Sprintf("belongs to uid %d, and this process runs as uid %d", st.Uid, own),
		"run rolecall as the owner (see ls -ld " + shellword.Word(path) + "), or set ROLECALL_DIR to a directory of your own"}
}

// checkMode refuses any of the forbidden permission bits.
func checkMode(path string, info fs.FileInfo, forbidden fs.FileMode, msg, fix string) error {
	if info.Mode().Perm()&forbidden == 0 {
		return nil
	}
	return &UnsafeError{path, msg + " (mode 0" + strconv.FormatUint(uint64(info.Mode().Perm()), 8) + ")", fix}
}

func ofRoot(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && st.Uid == 0
}

func links(info fs.FileInfo) uint64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(st.Nlink)
	}
	return 1
}

func rename(from, to string) error { return os.Rename(from, to) }

// syncDir makes a rename in dir outlive a crash. File systems that cannot do so
// say EINVAL, and then nothing more can be done.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, syscall.ENOTSUP) {
		return err
	}
	return nil
}
