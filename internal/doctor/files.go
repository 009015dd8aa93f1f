package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"rolecall/internal/awsconfig"
	"rolecall/internal/phpfpm"
	"rolecall/internal/privatefile"
)

// errUnseen is the error for the files of a program that cannot be looked at
// from here. It says nothing about whether they are there.
var errUnseen = errors.New("its files cannot be seen from here")

// maxSmall is more than any token has, in bytes.
const maxSmall = 64 << 10

// readSmall reads a file of the program that is no larger than a token can be.
func (p Program) readSmall(name string) (string, error) {
	b, err := p.read(name, maxSmall)
	return string(b), err
}

// read reads a regular file of at most limit bytes as the program sees it: no
// link in its root directory leads out of that, and root reads for another user
// only what that user may read.
func (p Program) read(name string, limit int64) ([]byte, error) {
	t, done, err := p.fileSystem()
	if err != nil {
		return nil, err
	}
	defer done()
	name = filepath.ToSlash(p.path(name))
	if err := p.mayRead(t, name); err != nil {
		return nil, err
	}
	return t.ReadFile(name, limit)
}

// stat follows links as the program does.
func (p Program) stat(name string) (fs.FileInfo, error) {
	t, done, err := p.fileSystem()
	if err != nil {
		return nil, err
	}
	defer done()
	return t.Stat(filepath.ToSlash(p.path(name)))
}

// fileSystem is one as a process sees it.
type fileSystem interface {
	Real(name string) (string, error) // without a link in it
	Stat(name string) (fs.FileInfo, error)
	ReadFile(name string, limit int64) ([]byte, error)
}

func (p Program) fileSystem() (fileSystem, func(), error) {
	switch {
	case p.NoFiles:
		return nil, nil, errUnseen
	case p.Root == "":
		return here{}, func() {}, nil
	}
	t, err := phpfpm.OpenTree(p.Root)
	if err != nil {
		return nil, nil, errUnseen // the process has ended
	}
	return t, func() { _ = t.Close() }, nil
}

// mayRead says why the program's user may not read a file, where it is root who
// looks.
func (p Program) mayRead(t fileSystem, name string) error {
	if p.reader == nil {
		return nil
	}
	real, err := t.Real(name)
	if err != nil {
		return err
	}
	for at, want := real, fs.FileMode(0o4); ; at, want = filepath.Dir(at), 0o1 {
		info, err := t.Stat(at)
		if err != nil {
			return err
		}
		if !p.reader.may(info, want) {
			return &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
		}
		if at == filepath.Dir(at) {
			return nil
		}
	}
}

// here is this process's own file system.
type here struct{}

func (here) Real(name string) (string, error)      { return filepath.EvalSymlinks(name) }
func (here) Stat(name string) (fs.FileInfo, error) { return os.Stat(name) }

func (here) ReadFile(name string, limit int64) ([]byte, error) {
	return privatefile.ReadForeign(name, limit)
}

// awsFiles are the program's AWS files; one that is not there is empty. strict is
// the first line that ends a strict reader.
func (p Program) awsFiles() (files *awsconfig.Files, strict Evidence, err error) {
	paths := p.paths()
	var texts [2][]byte
	for i, name := range []string{paths.Config, paths.Credentials} {
		if name == "" || name == os.DevNull {
			continue
		}
		text, err := p.read(name, awsconfig.MaxFileSize)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, strict, err
		}
		texts[i] = text
		if line, why := strictFault(text); line > 0 && strict.Text == "" {
			strict = Evidence{Where: fmt.Sprintf("%s:%d", name, line), Text: why}
		}
	}
	files, err = awsconfig.Parse(paths, texts[0], texts[1])
	return files, strict, err
}
