package phpfpm

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path"
	"strconv"
	"strings"
)

// ErrUnreachable says that a pool cannot be asked from where we are.
var ErrUnreachable = errors.New("the pool cannot be reached from here")

// Probe asks a pool what a worker sees: it lays a small PHP script into the
// pool's file system, where only we can write and the pool's user can read, has
// a worker run it, and removes it.
func Probe(ctx context.Context, t *Tree, p *Pool, dial Dial) (View, error) {
	mark := rand.Text()
	at, remove, err := place(t, p, mark)
	if err != nil {
		return View{}, err
	}
	defer remove()
	return probe(ctx, dial, at, mark)
}

// Dialer connects to where a pool listens. otherNet: not over TCP, as the pool
// is in another network.
func Dialer(t *Tree, p *Pool, otherNet bool) (Dial, error) {
	network, address := p.Listen()
	switch {
	case network == "":
		return nil, fmt.Errorf("%w: it has no listen", ErrUnreachable)
	case network == "tcp" && otherNet:
		return nil, fmt.Errorf("%w: it listens on %s in another network namespace", ErrUnreachable, address)
	case network == "tcp":
		return func(ctx context.Context) (net.Conn, error) { return new(net.Dialer).DialContext(ctx, "tcp", address) }, nil
	}
	real, err := t.Real(address)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (net.Conn, error) { return dialUnix(ctx, t.Outside(real)) }, nil
}

// longest is what fits into a socket's address on Linux.
const longest = 107

// dialUnix reaches paths of any length, by way of their directory.
func dialUnix(ctx context.Context, address string) (net.Conn, error) {
	if len(address) > longest {
		dir, err := os.Open(path.Dir(address))
		if err != nil {
			return nil, err
		}
		defer dir.Close()
		address = fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), path.Base(address))
	}
	return new(net.Dialer).DialContext(ctx, "unix", address)
}

// place writes the script, and returns its path as the pool's workers see it.
func place(t *Tree, p *Pool, mark string) (at string, remove func(), err error) {
	chroot := ""
	if c := p.Value("chroot"); c != "" {
		chroot = p.path(strings.ReplaceAll(c, "$pool", p.Name))
	}
	dirs := []string{"/tmp", "/var/tmp"}
	if s, ok := p.PHP("open_basedir"); ok && s.Value != "" {
		dirs = nil // the script must stand where the pool may read
		for _, d := range strings.Split(s.Value, ":") {
			if path.IsAbs(d) {
				dirs = append(dirs, d)
			}
		}
	} else if chroot != "" {
		dirs = append(dirs, "/")
	}
	uid, gid, known := t.user(p.Value("user"))
	if g := p.Value("group"); g != "" && known {
		gid = t.group(g, gid)
	}
	for _, dir := range dirs {
		var inner string
		if inner, err = write(t, path.Join(chroot, dir), mark, uid, gid, known && os.Geteuid() == 0); err == nil {
			name := path.Join(dir, path.Base(path.Dir(inner)), path.Base(inner))
			return name, func() { _ = t.root.RemoveAll(below(path.Dir(inner))) }, nil
		}
	}
	if err == nil {
		err = errors.New("open_basedir names no directory")
	}
	return "", nil, fmt.Errorf("the probe cannot be laid down: %s", Plain(err))
}

// write makes a directory of its own below dir and the script in it.
func write(t *Tree, dir, mark string, uid, gid int, own bool) (at string, err error) {
	real, err := t.Real(dir)
	if err != nil {
		return "", err
	}
	made := path.Join(real, ".rolecall-probe-"+rand.Text())
	if err := t.root.Mkdir(below(made), 0o700); err != nil {
		return "", inside(made, err)
	}
	defer func() {
		if err != nil {
			_ = t.root.RemoveAll(below(made))
		}
	}()
	// Its random name is what keeps others from it, and there is no secret in it.
	mode, dirMode := fs.FileMode(0o644), fs.FileMode(0o711)
	at = path.Join(made, "probe.php")
	f, err := t.root.OpenFile(below(at), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", inside(at, err)
	}
	defer f.Close()
	if _, err := f.Write(script(mark)); err != nil {
		return "", err
	}
	if own {
		mode = 0o600
		if err := f.Chown(uid, gid); err != nil {
			return "", err
		}
	}
	if err := f.Chmod(mode); err != nil {
		return "", err
	}
	return at, t.root.Chmod(below(made), dirMode)
}

// UID is a user's number in the tree, from a name or a number.
func (t *Tree) UID(user string) (int, bool) {
	uid, _, ok := t.user(user)
	return uid, ok
}

// user looks a name or a number up in the tree's own /etc/passwd.
func (t *Tree) user(name string) (uid, gid int, ok bool) {
	if name == "" {
		return 0, 0, false
	}
	for _, f := range t.colons("/etc/passwd") {
		if len(f) > 3 && (f[0] == name || f[2] == name) {
			uid, err1 := strconv.Atoi(f[2])
			gid, err2 := strconv.Atoi(f[3])
			return uid, gid, err1 == nil && err2 == nil
		}
	}
	uid, err := strconv.Atoi(name)
	return uid, uid, err == nil
}

func (t *Tree) group(name string, otherwise int) int {
	for _, f := range t.colons("/etc/group") {
		if len(f) > 2 && f[0] == name {
			if gid, err := strconv.Atoi(f[2]); err == nil {
				return gid
			}
		}
	}
	if gid, err := strconv.Atoi(name); err == nil {
		return gid
	}
	return otherwise
}

// Home is the home directory of a user of the tree, or "".
func (t *Tree) Home(user string) string {
	for _, f := range t.colons("/etc/passwd") {
		if len(f) > 5 && (f[0] == user || f[2] == user) {
			return f[5]
		}
	}
	return ""
}

// colons are the lines of a file such as /etc/passwd.
func (t *Tree) colons(name string) [][]string {
	b, err := t.ReadFile(name, 1<<20)
	if err != nil {
		return nil
	}
	var all [][]string
	for _, line := range strings.Split(string(b), "\n") {
		all = append(all, strings.Split(line, ":"))
	}
	return all
}
