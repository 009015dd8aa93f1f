//go:build unix

package fileedit

import (
	"io/fs"
	"os"
	"syscall"
)

// SameOwner gives f to the owner and group of info's file. Only root may give
// files away; for others they are the same already, but for a group perhaps.
func SameOwner(f *os.File, info fs.FileInfo) error {
	want, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	mine, err := f.Stat()
	if err != nil {
		return err
	}
	have, ok := mine.Sys().(*syscall.Stat_t)
	if !ok || have.Uid == want.Uid && have.Gid == want.Gid {
		return nil
	}
	return f.Chown(int(want.Uid), int(want.Gid))
}
