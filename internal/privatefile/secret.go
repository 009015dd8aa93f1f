package privatefile

import (
	"io/fs"
	"os"

	"rolecall/internal/shellword"
)

// ReadSecret returns the content of a secret that somebody else may have put
// there, as Kubernetes, Docker and systemd mount them. It is Read with two
// differences: a symbolic link is followed when it is ours or root's, and a file
// of root's may be read by its group, which is how a mount lets a process in that
// is not root. Whatever others can read or change is refused all the same.
// limit is in bytes (zero: DefaultLimit).
func ReadSecret(path string, limit int64) ([]byte, error) {
	link, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if link.Mode()&fs.ModeSymlink == 0 {
		if err := checkRegular(path, link); err != nil {
			return nil, err
		}
	} else if err := checkOwner(path, link, true); err != nil {
		return nil, err
	}
	return read(path, openFollow, limit, func(info fs.FileInfo) error {
		if err := checkOwner(path, info, true); err != nil {
			return err
		}
		forbidden, fix := fs.FileMode(0o077), "chmod 600 "+shellword.Word(path)
		if ofRoot(info) {
			forbidden, fix = 0o037, "chmod 440 "+shellword.Word(path)+", or give the mounted secret the mode 0440 (Kubernetes: defaultMode, with fsGroup; Docker: mode)"
		}
		return checkMode(path, info, forbidden, "may be read or written by other users", fix)
	})
}
