// Package fileedit changes files that belong to people: their text is shown as a
// difference first, and replaced in one step, with owner and mode kept. Where
// the path is a link, its target is changed and the link stays.
package fileedit

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/aymanbagabas/go-udiff"
)

// ErrChanged says that the file is no longer what it was when it was read.
var ErrChanged = errors.New("it was changed by somebody else meanwhile")

// Diff is the unified difference between two texts of the file name; "" where
// they are equal.
func Diff(name string, old, text []byte) string {
	return udiff.Unified(name, name, string(old), string(text))
}

// File replaces the content of the file at path, which was old when it was read,
// by text. old nil is a file that is not there: it is made with mode 0600, and
// its directory with 0700. A reader sees all of the old or all of the new. The
// error is ErrChanged, or names the file.
func File(path string, old, text []byte) (err error) {
	target, err := filepath.EvalSymlinks(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && old == nil:
		target = path
		if link, e := os.Readlink(path); e == nil { // to a file that is to come
			if target = link; !filepath.IsAbs(target) {
				target = filepath.Join(filepath.Dir(path), target)
			}
		}
		if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
			return err
		}
	case err != nil:
		return err
	}
	info, err := os.Stat(target)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := unchanged(target, old); err != nil {
		return err
	}
	if info != nil {
		// A directory may be written to where the file may not: its owner's wish counts.
		if f, err := os.OpenFile(target, os.O_WRONLY, 0); err != nil {
			return err
		} else if err := f.Close(); err != nil {
			return err
		}
	}
	f, err := os.CreateTemp(filepath.Dir(target), "."+filepath.Base(target)+".*")
	if err != nil {
		return fmt.Errorf("%s cannot be replaced: %w", target, err)
	}
	defer func() {
		if err != nil {
			_ = f.Close() // closed already, as a rule
			_ = os.Remove(f.Name())
		}
	}()
	if info != nil {
		if err := SameOwner(f, info); err != nil {
			return fmt.Errorf("%s would change its owner: %w", target, err)
		}
		if err := f.Chmod(info.Mode().Perm()); err != nil {
			return err
		}
	}
	if _, err := f.Write(text); err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := unchanged(target, old); err != nil {
		return err
	}
	return os.Rename(f.Name(), target)
}

// unchanged says whether the file still is what was read.
func unchanged(path string, old []byte) error {
	now, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		now, err = nil, nil
		if old != nil {
			return fmt.Errorf("%s: %w", path, ErrChanged)
		}
	}
	if err != nil {
		return err
	}
	if !bytes.Equal(now, old) {
		return fmt.Errorf("%s: %w", path, ErrChanged)
	}
	return nil
}
