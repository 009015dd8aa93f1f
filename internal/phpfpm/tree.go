package phpfpm

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
)

// Tree is a file system as one process sees it: the machine's own, or that of a
// container below /proc/PID/root. Paths are absolute, with slashes. No link in
// it leads out of it: an absolute link starts anew at the tree's own root, as it
// does for the process, and the kernel is asked for nothing outside.
type Tree struct {
	base string
	root *os.Root
}

// OpenTree opens the file system whose root is the directory base ("": the
// machine's own).
func OpenTree(base string) (*Tree, error) {
	if base == "" {
		base = "/"
	}
	root, err := os.OpenRoot(base)
	if err != nil {
		return nil, err
	}
	return &Tree{base, root}, nil
}

// Close gives the tree's descriptor back.
func (t *Tree) Close() error { return t.root.Close() }

// Outside is the path by which a process outside of the tree reaches p.
func (t *Tree) Outside(p string) string { return path.Join(t.base, p) }

// maxLinks is how many links the kernel follows in one path, too.
const maxLinks = 40

// Real is p without a link in it. What does not exist stays as it is.
func (t *Tree) Real(p string) (string, error) {
	done, rest := "/", split(p)
	for links := 0; len(rest) > 0; {
		next := rest[0]
		rest = rest[1:]
		if next == ".." {
			done = path.Dir(done)
			continue
		}
		at := path.Join(done, next)
		target, err := t.root.Readlink(below(at))
		if err != nil {
			done = at // no link, or nothing at all: whoever opens it will see
			continue
		}
		if links++; links > maxLinks {
			return "", fmt.Errorf("%s: too many links", p)
		}
		if path.IsAbs(target) {
			done = "/"
		}
		rest = append(split(target), rest...)
	}
	return done, nil
}

func split(p string) []string {
	return slices.DeleteFunc(strings.Split(p, "/"), func(s string) bool { return s == "" || s == "." })
}

// below is p as os.Root takes it.
func below(p string) string {
	if p = strings.TrimPrefix(path.Clean("/"+p), "/"); p != "" {
		return p
	}
	return "."
}

// errSize says that a file is larger than the reader wants to read.
var errSize = errors.New("is too large to read")

// ReadFile reads a regular file of at most limit bytes. Anything else (a pipe,
// a device) is refused before it could make us wait.
func (t *Tree) ReadFile(p string, limit int64) ([]byte, error) {
	real, err := t.Real(p)
	if err != nil {
		return nil, err
	}
	f, err := t.root.OpenFile(below(real), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, inside(p, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, inside(p, err)
	}
	switch {
	case info.IsDir():
		return nil, fmt.Errorf("%s is a directory", p)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a regular file", p)
	case info.Size() > limit:
		return nil, fmt.Errorf("%s %w", p, errSize)
	}
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("%s %w", p, errSize)
	}
	return b, err
}

// Stat follows links as the process would.
func (t *Tree) Stat(p string) (fs.FileInfo, error) {
	real, err := t.Real(p)
	if err != nil {
		return nil, err
	}
	info, err := t.root.Lstat(below(real))
	return info, inside(p, err)
}

// inside is err about the path as the process knows it.
func inside(p string, err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return &fs.PathError{Op: strings.TrimSuffix(pe.Op, "at"), Path: p, Err: pe.Err}
	}
	return err
}

// names are what stands in a directory, in order of bytes.
func (t *Tree) names(dir string) ([]string, error) {
	real, err := t.Real(dir)
	if err != nil {
		return nil, err
	}
	f, err := t.root.Open(below(real))
	if err != nil {
		return nil, inside(dir, err)
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	slices.Sort(names)
	return names, inside(dir, err)
}

// Glob is glob(3) as FPM calls it: names in order of bytes, a name that begins
// with a dot only where the pattern says so, and an error where a directory
// cannot be read.
func (t *Tree) Glob(pattern string) ([]string, error) {
	found := []string{"/"}
	plain := true // no magic so far: a directory that is missing is an error
	for i, part := range split(pattern) {
		var next []string
		last := i == len(split(pattern))-1
		for _, dir := range found {
			if !strings.ContainsAny(part, `*?[\`) {
				if at := path.Join(dir, part); plain && !last || t.exists(at) {
					next = append(next, at)
				}
				continue
			}
			plain = false
			names, err := t.names(dir)
			if errors.Is(err, syscall.ENOTDIR) {
				continue
			}
			if err != nil {
				return nil, err
			}
			for _, name := range names {
				ok, err := path.Match(strings.ReplaceAll(part, "[!", "[^"), name)
				if ok && err == nil && (name[0] != '.' || part[0] == '.') {
					next = append(next, path.Join(dir, name))
				}
			}
			if len(next) > maxFiles {
				return nil, fmt.Errorf("%s matches more than %d files", pattern, maxFiles)
			}
		}
		found = next
	}
	return found, nil
}

func (t *Tree) exists(p string) bool {
	real, err := t.Real(p)
	if err != nil {
		return false
	}
	_, err = t.root.Lstat(below(real))
	return err == nil
}
