// Package privatefile reads and writes the small files that only their owner
// may touch (the authorization token, sealed credentials), and makes and checks
// the directories they stand in. It knows nothing of what is in them.
package privatefile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"rolecall/internal/shellword"
)

// DefaultLimit is the size above which Read refuses a file, in bytes.
const DefaultLimit = 1 << 20

// UnsafeError says that a file or directory is not fit to be trusted: another
// user owns it or may write it, or it is not what it should be.
type UnsafeError struct {
	Path string
	Msg  string // what is wrong, lower case, no full stop
	Fix  string // the next command to type; "" where none helps
}

func (e *UnsafeError) Error() string { return e.Path + " " + e.Msg }

// Hint is the next command to type, or "".
func (e *UnsafeError) Hint() string { return e.Fix }

// EnsureDir makes path and its missing parents, each with mode 0700 whatever
// the umask. Where path is there already, it must be a directory of our own
// (effective) user that neither group nor others may write; otherwise the error
// is an *UnsafeError. A symbolic link is followed only when it is our own (or
// root's), and then its target is checked. The parents are not checked.
func EnsureDir(path string) error {
	path = filepath.Clean(path)
	made, err := makeDirs(path)
	if err != nil {
		return fmt.Errorf("creating the directory %s: %w", path, err)
	}
	if made {
		// The umask can only have taken bits away; chmod does not follow a link
		// here, for we have just made the directory itself.
		if err := os.Chmod(path, 0o700); err != nil {
			return fmt.Errorf("setting the mode of %s: %w", path, err)
		}
	}
	link, err := os.Lstat(path)
	if err != nil {
		return fmt.Errorf("looking at the directory %s: %w", path, err)
	}
	info := link
	if link.Mode()&fs.ModeSymlink != 0 {
		if err := checkOwner(path, link, true); err != nil {
			return err
		}
		if info, err = os.Stat(path); err != nil {
			return fmt.Errorf("following the link %s: %w", path, err)
		}
	}
	if !info.IsDir() {
		return &UnsafeError{path, "is not a directory", "move it away, or set ROLECALL_DIR to another directory"}
	}
	if err := checkOwner(path, info, false); err != nil {
		return err
	}
	return checkMode(path, info, 0o022, "may be written by other users", "chmod go-w "+shellword.Word(path))
}

// makeDirs makes path and says whether the last element was missing.
func makeDirs(path string) (made bool, err error) {
	err = os.Mkdir(path, 0o700)
	if errors.Is(err, fs.ErrNotExist) && filepath.Dir(path) != path {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return false, err
		}
		err = os.Mkdir(path, 0o700)
	}
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	return err == nil, err
}

// Read returns the content of a private file of at most limit bytes (zero:
// DefaultLimit), as it is. It refuses, with an *UnsafeError, a symbolic link,
// anything but a regular file with one name, a file of another user and one
// that group or others may read or write. A missing file is fs.ErrNotExist.
func Read(path string, limit int64) ([]byte, error) {
	return read(path, openNoFollow, limit, func(info fs.FileInfo) error {
		if links(info) > 1 {
			return &UnsafeError{path, "has more than one name (hard links)", "remove it; it is made anew"}
		}
		if err := checkOwner(path, info, false); err != nil {
			return err
		}
		return checkMode(path, info, 0o077, "may be read or written by other users", "chmod 600 "+shellword.Word(path))
	})
}

// ReadTrusted returns the content of a file that decides what we do but holds
// no secret, such as a configuration file: others may read it, and symbolic
// links are followed, but the file must be ours or root's and neither group nor
// others may write it. limit is in bytes (zero: DefaultLimit).
func ReadTrusted(path string, limit int64) ([]byte, error) {
	return read(path, openFollow, limit, func(info fs.FileInfo) error {
		if err := checkOwner(path, info, true); err != nil {
			return err
		}
		return checkMode(path, info, 0o022, "may be written by other users", "chmod go-w "+shellword.Word(path))
	})
}

// ReadForeign returns the content of a file whose owner and permissions are the
// business of another tool, which wrote it: only what is no regular file or too
// large is refused. limit is in bytes (zero: DefaultLimit).
func ReadForeign(path string, limit int64) ([]byte, error) {
	return read(path, openFollow, limit, func(fs.FileInfo) error { return nil })
}

// read opens a file, and returns at most limit bytes of it when it is a regular
// one that allowed finds nothing wrong with.
func read(path string, open func(string) (*os.File, error), limit int64, allowed func(fs.FileInfo) error) ([]byte, error) {
	f, err := open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("looking at %s: %w", path, err)
	}
	if err := checkRegular(path, info); err != nil {
		return nil, err
	}
	if err := allowed(info); err != nil {
		return nil, err
	}
	return readLimited(f, path, limit)
}

// Write puts data, exactly, into a file of mode 0600 at path, whatever the
// umask: readers see the old content or the new, also after a crash. What
// stands at path is replaced and never followed. The directory must be one that
// EnsureDir has accepted.
func Write(path string, data []byte) (err error) {
	dir, name := filepath.Split(path)
	if dir == "" {
		dir = "."
	}
	prefix := "." + name + ".tmp-"
	sweep(dir, prefix)
	// CreateTemp opens with O_EXCL and 0600: no link is followed, and there is
	// no moment in which others could open the file.
	f, err := os.CreateTemp(dir, prefix+"*")
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
			err = fmt.Errorf("writing %s: %w", path, err)
		}
	}()
	if err := f.Chmod(0o600); err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}

// staleAfter is the age at which a temporary file can only be left over from a
// process that was killed while writing.
const staleAfter = time.Minute

// sweep removes what killed writers left behind. It is a courtesy: its failures
// do not matter to the write.
func sweep(dir, prefix string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), prefix) || !e.Type().IsRegular() {
			continue
		}
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > staleAfter {
			os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}

func checkRegular(path string, info fs.FileInfo) error {
	if info.Mode().IsRegular() {
		return nil
	}
	what := "is not a regular file"
	if info.IsDir() {
		what = "is a directory, not a file"
	}
	return &UnsafeError{path, what, "move it away"}
}

func readLimited(f *os.File, path string, limit int64) ([]byte, error) {
	if limit == 0 {
		limit = DefaultLimit
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	if int64(len(data)) > limit {
		return nil, &UnsafeError{path, fmt.Sprintf("is larger than %d bytes", limit), "move it away"}
	}
	return data, nil
}
