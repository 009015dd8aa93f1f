package phpfpm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"strings"
	"syscall"
	"time"

	"rolecall/internal/fileedit"
)

// Kept is where the old content of a changed file is kept: beside it.
type Kept struct{ File, Backup string }

// RefusedError says that php-fpm -t refused the changed files, and that the old
// ones are back.
type RefusedError struct{ Output string }

func (e *RefusedError) Error() string {
	return "php-fpm refuses the changed files, and the old ones are back: " + e.Output
}

// Apply writes the changes, each with a backup beside the file, and asks test
// whether php-fpm takes them. If it does not, or anything else fails, or ctx
// ends, the old content is back; only where that fails, too, kept tells where it
// is. Owner, group and mode of each file stay as they are; readers see the old
// content or the new. A file that holds the new content already is left alone:
// another master reads it, too.
func Apply(ctx context.Context, t *Tree, changes []Change, now time.Time, test func(context.Context) error) (kept []Kept, err error) {
	defer func() {
		for err != nil && len(kept) > 0 {
			last := kept[len(kept)-1]
			if failed := t.root.Rename(below(last.Backup), below(last.File)); failed != nil {
				err = errors.Join(err, fmt.Errorf("the old %s could not be put back; it is in %s: %w", last.File, last.Backup, failed))
				return
			}
			kept = kept[:len(kept)-1]
		}
	}()
	for _, c := range changes {
		if err := ctx.Err(); err != nil {
			return kept, err
		}
		held, err := t.ReadFile(c.File, maxFile)
		switch {
		case err == nil && bytes.Equal(held, c.After):
			continue
		case err != nil || !bytes.Equal(held, c.Before):
			return kept, fmt.Errorf("%s was changed meanwhile", c.File)
		}
		backup := path.Join(path.Dir(c.File), "."+path.Base(c.File)+".rolecall-"+now.UTC().Format("20060102T150405.000000000"))
		if err := t.write(backup, c.File, c.Before, false); err != nil {
			return kept, writeError(c.File, err)
		}
		kept = append(kept, Kept{c.File, backup})
		if err := t.write(c.File, c.File, c.After, true); err != nil {
			return kept, writeError(c.File, err)
		}
	}
	return kept, test(ctx)
}

func writeError(file string, err error) error {
	switch {
	case errors.Is(err, fs.ErrPermission) && os.Geteuid() != 0:
		return fmt.Errorf("%s may not be written by this user: run rolecall as root", file)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s may not be written", file)
	case errors.Is(err, syscall.EROFS):
		return fmt.Errorf("%s is on a read-only file system: change it where the image or the mount is made", file)
	}
	return fmt.Errorf("writing %s: %w", file, err)
}

// write makes a file with the owner and the mode of another: under a new name,
// or (over) in the place of the old one in one step.
func (t *Tree) write(name, like string, data []byte, over bool) (err error) {
	info, err := t.root.Lstat(below(like))
	if err != nil {
		return err
	}
	made := name
	if over {
		made = path.Join(path.Dir(name), "."+path.Base(name)+".rolecall-new")
		_ = t.root.Remove(below(made)) // left over from one that was killed
	}
	f, err := t.root.OpenFile(below(made), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		_ = f.Close()
		if err != nil {
			_ = t.root.Remove(below(made))
		}
	}()
	if _, err := f.Write(data); err != nil {
		return err
	}
	if err := fileedit.SameOwner(f, info); err != nil {
		return err
	}
	if err := f.Chmod(info.Mode().Perm()); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if over {
		if err := t.root.Rename(below(made), below(name)); err != nil {
			return err
		}
	}
	if d, err := t.root.Open(below(path.Dir(name))); err == nil { // a courtesy: the name, too, outlives a crash
		_ = d.Sync()
		_ = d.Close()
	}
	return nil
}

// Secret is a small file for one user alone, ready to be put in its place.
type Secret struct {
	tree       *Tree
	name, made string // made: what it is called until then; "" afterwards
}

// HasSecret says whether a file holds data, and is the user's alone.
func HasSecret(t *Tree, name, user string, data []byte) bool {
	uid, _, ok := t.user(user)
	info, err := t.root.Lstat(below(name))
	if !ok || err != nil || info.Mode().Perm() != 0o400 || !ownedBy(info, uid) {
		return false
	}
	held, err := t.ReadFile(name, 1<<16)
	return err == nil && bytes.Equal(held, data)
}

// PrepareSecret writes data under another name beside name: mode 0400, owned by
// that user of the tree. Put gives it its name, Discard removes it before that.
func PrepareSecret(t *Tree, name, user string, data []byte) (*Secret, error) {
	uid, gid, ok := t.user(user)
	if !ok {
		return nil, fmt.Errorf("there is no user %s", user)
	}
	s := &Secret{t, name, path.Join(path.Dir(name), "."+path.Base(name)+".rolecall-new")}
	if info, err := t.root.Lstat(below(name)); err == nil && info.IsDir() {
		return nil, fmt.Errorf("%s is a directory", name)
	}
	_ = t.root.Remove(below(s.made)) // left over from one that was killed
	f, err := t.root.OpenFile(below(s.made), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o400)
	if err != nil {
		return nil, writeError(name, err)
	}
	_, err = f.Write(data)
	if err == nil && os.Geteuid() == 0 {
		err = f.Chown(uid, gid)
	}
	if err == nil {
		err = f.Chmod(0o400)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		s.Discard()
		return nil, writeError(name, err)
	}
	return s, nil
}

// Put puts the file in its place.
func (s *Secret) Put() error {
	if err := s.tree.root.Rename(below(s.made), below(s.name)); err != nil {
		return writeError(s.name, err)
	}
	s.made = ""
	return nil
}

// Discard removes what Put has not put in its place.
func (s *Secret) Discard() {
	if s.made != "" {
		_ = s.tree.root.Remove(below(s.made))
	}
}

// testWithin is how long php-fpm -t may take: seconds for files of many MB.
const testWithin = 20 * time.Second

// Tester is php-fpm -t on a configuration, with the files that the tree has.
// binary runs as we do, so it must be one that the tree trusts.
func Tester(t *Tree, binary string, s *Setup) func(context.Context) error {
	return func(ctx context.Context) error {
		limited, cancel := context.WithTimeout(ctx, testWithin)
		defer cancel()
		c := exec.CommandContext(limited, binary, "-t", "-y", s.Path, "-p", s.Prefix)
		c.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
		c.WaitDelay = time.Second
		var out beginning
		c.Stdout, c.Stderr = &out, &out
		done, err := t.jail(c)
		if err != nil {
			return fmt.Errorf("php-fpm -t could not be run: %w", err)
		}
		defer done()
		err = c.Run()
		var exit *exec.ExitError
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case limited.Err() != nil:
			return fmt.Errorf("php-fpm -t has not ended within %s", testWithin)
		case errors.As(err, &exit):
			return &RefusedError{out.reason()}
		}
		return fmt.Errorf("php-fpm -t could not be run: %w", err)
	}
}

// beginning keeps the beginning of what a program prints.
type beginning struct{ b bytes.Buffer }

func (l *beginning) Write(p []byte) (int, error) {
	if room := 16<<10 - l.b.Len(); room > 0 {
		l.b.Write(p[:min(len(p), room)])
	}
	return len(p), nil
}

// reason is the first line that FPM calls an error, without its time.
func (l *beginning) reason() string {
	for _, line := range strings.Split(l.b.String(), "\n") {
		for _, kind := range []string{"ERROR: ", "ALERT: "} {
			if _, text, ok := strings.Cut(line, kind); ok {
				return strings.TrimSpace(text)
			}
		}
	}
	return "it gives no reason"
}
