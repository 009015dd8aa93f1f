package privatefile

import (
	"os"

	"github.com/gofrs/flock"
)

// NewLock is the kernel's lock on the file at path, which is made where it is
// missing and never followed where it is a link. It holds between processes and
// between users of it in one process.
func NewLock(path string) *flock.Flock {
	return flock.New(path, flock.SetFlag(os.O_CREATE|os.O_RDWR|lockFlags), flock.SetPermissions(0o600))
}
