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
	"time"
)

// Applied is what Apply did.
type Applied struct {
	Backups []string // of each changed file, beside it
}

// RefusedError says that php-fpm -t refused the changed files, and that the old
// ones are back.
type RefusedError struct{ Output string }

func (e *RefusedError) Error() string {
	return "php-fpm refuses the changed files, and the old ones are back: " + e.Output
}

// Apply writes the changes, each with a backup beside the file, and asks test
// whether php-fpm takes them. If it does not, or anything else fails, the old
// content is back. Owner, group and mode of each file stay as they are; readers
// see the old content or the new.
func Apply(ctx context.Context, t *Tree, changes []Change, now time.Time, test func(context.Context) error) (done Applied, err error) {
	var undo []func() error
	defer func() {
		if err == nil {
			return
		}
		for _, u := range undo {
			if failed := u(); failed != nil {
				err = errors.Join(err, fmt.Errorf("the old file could not be put back; it is in %s: %w", strings.Join(done.Backups, ", "), failed))
				return
			}
		}
		done.Backups = nil
	}()
	for _, c := range changes {
		if held, err := t.ReadFile(c.File, maxFile); err != nil || !bytes.Equal(held, c.Before) {
			return done, fmt.Errorf("%s was changed meanwhile: nothing was written", c.File)
		}
		backup := path.Join(path.Dir(c.File), "."+path.Base(c.File)+".rolecall-"+now.UTC().Format("20060102T150405.000000000"))
		if err := t.write(backup, c.File, c.Before, false); err != nil {
			return done, writeError(c.File, err)
		}
		done.Backups = append(done.Backups, backup)
		undo = append(undo, func() error { return t.root.Rename(below(backup), below(c.File)) })
		if err := t.write(c.File, c.File, c.After, true); err != nil {
			return done, writeError(c.File, err)
		}
	}
	return done, test(ctx)
}

func writeError(file string, err error) error {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s may not be written by this user", file)
	case strings.Contains(err.Error(), "read-only file system"):
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
	if err := own(f, info); err != nil {
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

// WriteNew makes or replaces a small file for one user alone: mode 0400, owned
// by that user of the tree. It says whether it changed anything.
func WriteNew(t *Tree, name, user string, data []byte) (bool, error) {
	uid, gid, ok := t.user(user)
	if !ok {
		return false, fmt.Errorf("there is no user %s", user)
	}
	if info, err := t.root.Lstat(below(name)); err == nil && info.Mode().Perm() == 0o400 && ownedBy(info, uid) {
		if held, err := t.ReadFile(name, 1<<16); err == nil && bytes.Equal(held, data) {
			return false, nil
		}
	}
	made := path.Join(path.Dir(name), "."+path.Base(name)+".rolecall-new")
	_ = t.root.Remove(below(made))
	f, err := t.root.OpenFile(below(made), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o400)
	if err != nil {
		return false, writeError(name, err)
	}
	defer f.Close()
	_, err = f.Write(data)
	if err == nil && os.Geteuid() == 0 {
		err = f.Chown(uid, gid)
	}
	if err == nil {
		err = f.Chmod(0o400)
	}
	if err == nil {
		err = t.root.Rename(below(made), below(name))
	}
	if err != nil {
		_ = t.root.Remove(below(made))
		return false, writeError(name, err)
	}
	return true, nil
}

// Tester is php-fpm -t on a configuration. binary runs as we do, so it must be
// one that Trusted takes.
func Tester(binary string, s *Setup) func(context.Context) error {
	return func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
		defer cancel()
		c := exec.CommandContext(ctx, binary, "-t", "-y", s.Path, "-p", s.Prefix)
		c.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
		c.WaitDelay = time.Second
		var out limited
		c.Stdout, c.Stderr = &out, &out
		err := c.Run()
		if err == nil {
			return nil
		}
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			return fmt.Errorf("php-fpm -t could not be run: %w", err)
		}
		return &RefusedError{out.reason()}
	}
}

// limited keeps the beginning of what a program prints.
type limited struct{ b bytes.Buffer }

func (l *limited) Write(p []byte) (int, error) {
	if room := 16<<10 - l.b.Len(); room > 0 {
		l.b.Write(p[:min(len(p), room)])
	}
	return len(p), nil
}

// reason is the first line that FPM calls an error, without its time.
func (l *limited) reason() string {
	for _, line := range strings.Split(l.b.String(), "\n") {
		for _, kind := range []string{"ERROR: ", "ALERT: "} {
			if _, text, ok := strings.Cut(line, kind); ok {
				return strings.TrimSpace(text)
			}
		}
	}
	return "it gives no reason"
}
