package config

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// Dirs is where rolecall keeps its own things. The daemon and the commands that
// speak to it find each other because both compute the same Dirs.
type Dirs struct {
	Config  string // the configuration file
	Runtime string // directory of Socket and Token, see privatefile.EnsureDir
	Socket  string // the control socket
	Token   string // the file with the authorization token
	Store   string // directory of the credentials that outlive the process
}

// FindDirs finds the places by the environment that getenv (os.Getenv) reads:
//
//   - ROLECALL_DIR, where set, holds everything;
//   - else the XDG base directories, where set, on every Unix:
//     XDG_CONFIG_HOME for the configuration, XDG_STATE_HOME for the store,
//     XDG_RUNTIME_DIR for socket and token, each in a directory "rolecall";
//   - else, on Linux, ~/.config, ~/.local/state and /run/user/UID; where there
//     is no such session directory (services, containers),
//     ~/.local/state/rolecall/run; for root, /run/rolecall;
//   - on macOS, ~/Library/Application Support and ~/Library/Caches;
//   - on Windows, %AppData% and %LocalAppData%.
//
// It makes nothing. An error means that the environment names no usable place.
func FindDirs(getenv func(string) string) (Dirs, error) {
	return system{runtime.GOOS, os.Geteuid(), getenv, ownDirectory}.dirs()
}

// State is a file of that name beside the store: small things that outlive the
// process, such as recent choices. "" where there is no store.
func (d Dirs) State(name string) string {
	if d.Store == "" {
		return ""
	}
	return filepath.Join(filepath.Dir(d.Store), name)
}

// SSOSessions is the file of the SSO sessions that were named by start URL.
func (d Dirs) SSOSessions() string { return d.State("sso-sessions.json") }

// DirError says that the environment names no usable place.
type DirError struct{ Msg, Fix string }

func (e *DirError) Error() string { return e.Msg }

// Hint is what to set.
func (e *DirError) Hint() string { return e.Fix }

const hintDir = "set ROLECALL_DIR to an absolute path of a directory of your own, e.g. ROLECALL_DIR=/var/lib/rolecall"

// system is what FindDirs depends on.
type system struct {
	goos   string
	uid    int // effective; -1 on Windows
	getenv func(string) string
	// ownDir says whether path is a directory of our own user.
	ownDir func(path string, uid int) bool
}

func (s system) dirs() (Dirs, error) {
	if dir := s.getenv("ROLECALL_DIR"); dir != "" {
		if !filepath.IsAbs(dir) {
			// Relative to what? The daemon and the commands have different
			// working directories, and would not find each other.
			return Dirs{}, &DirError{fmt.Sprintf("ROLECALL_DIR is %q, which is not an absolute path", dir), hintDir}
		}
		return newDirs(dir, dir, filepath.Join(dir, "store")), nil
	}
	config, run, state, err := s.places()
	if err != nil {
		return Dirs{}, err
	}
	return newDirs(config, run, filepath.Join(state, "store")), nil
}

// places are our directories for configuration, runtime files and state.
func (s system) places() (config, run, state string, err error) {
	switch s.goos {
	case "windows":
		if config, err = s.windowsDir("AppData"); err == nil {
			state, err = s.windowsDir("LocalAppData")
		}
		return config, state, state, err
	case "darwin", "ios":
		if config, err = s.baseDir("XDG_CONFIG_HOME", "Library", "Application Support"); err == nil {
			state, err = s.baseDir("XDG_STATE_HOME", "Library", "Application Support")
		}
		if err == nil {
			run, err = s.baseDir("XDG_RUNTIME_DIR", "Library", "Caches")
		}
		return config, run, state, err
	}
	if config, err = s.baseDir("XDG_CONFIG_HOME", ".config"); err == nil {
		state, err = s.baseDir("XDG_STATE_HOME", ".local", "state")
	}
	return config, s.runtimeDir(state), state, err
}

func newDirs(config, run, store string) Dirs {
	return Dirs{
		Config:  filepath.Join(config, "config.toml"),
		Runtime: filepath.Clean(run),
		Socket:  filepath.Join(run, "control.sock"),
		Token:   filepath.Join(run, "authorization-token"),
		Store:   store,
	}
}

const name = "rolecall" // of our directory in each place

// baseDir is our directory in that of an XDG variable, or else below home. The
// specification says to ignore a variable that is not an absolute path.
func (s system) baseDir(variable string, belowHome ...string) (string, error) {
	if dir := s.getenv(variable); filepath.IsAbs(dir) {
		return filepath.Join(dir, name), nil
	}
	home := s.getenv("HOME")
	if !filepath.IsAbs(home) {
		return "", &DirError{"there is no home directory: HOME is not set to an absolute path, and neither is " + variable, hintDir}
	}
	return filepath.Join(append(append([]string{home}, belowHome...), name)...), nil
}

// runtimeDir is the directory of socket and token on Linux and other Unixes.
func (s system) runtimeDir(state string) string {
	const sessions = "/run/user/"
	dir := s.getenv("XDG_RUNTIME_DIR")
	if s.uid == 0 && (dir == "" || strings.HasPrefix(filepath.Clean(dir)+"/", sessions)) {
		// A root daemon is mostly a system service without a session, and
		// sudo may leave the session directory of another user in place.
		return "/run/" + name
	}
	if filepath.IsAbs(dir) {
		return filepath.Join(dir, name)
	}
	if session := fmt.Sprint(sessions, s.uid); s.ownDir(session, s.uid) {
		return filepath.Join(session, name) // cron and ssh commands lack the variable
	}
	return filepath.Join(state, "run")
}

func (s system) windowsDir(variable string) (string, error) {
	if dir := s.getenv(variable); dir != "" {
		return filepath.Join(dir, name), nil
	}
	return "", &DirError{"there is no home directory: %" + variable + "% is not set",
		`set ROLECALL_DIR to a directory of your own, e.g. C:\rolecall`}
}

// CheckSocket says whether a unix socket can have the path of Socket: the
// kernels allow about a hundred bytes.
func (d Dirs) CheckSocket() error { return checkSocket(d.Socket, runtime.GOOS) }

func checkSocket(path, goos string) error {
	limit := 107 // sun_path of Linux and Windows, without the NUL at its end
	if goos != "linux" && goos != "windows" {
		limit = 103
	}
	if len(path) <= limit {
		return nil
	}
	return &DirError{
		fmt.Sprintf("the control socket's path has %d bytes, and the system allows %d: %s", len(path), limit, path),
		"set ROLECALL_DIR to a shorter path",
	}
}
