package doctor

import (
	"path/filepath"
	"strings"

	"rolecall/internal/awsconfig"
)

// Program is a program as its SDK sees the world.
type Program struct {
	Name string // "this shell", "pid 12 (php)", "container app"
	Env  Environ
	// Home is the home directory of its user, for when HOME is not set.
	Home string
	// Root is its root directory: "" (this one) or "/proc/12/root".
	Root string
	// NoFiles says that its files cannot be seen from here at all.
	NoFiles bool
	// Dir is its working directory, as the program names it. "": unknown.
	Dir string
	// SDK is the name of the only SDK it is known to use. "": any.
	SDK string
	// Others says that it runs as another user: what it names is not sent
	// anywhere, since root can read more files than that user.
	Others bool
	// reader is the user that it reads files as, where that is another than who
	// looks.
	reader *reader
	// Elsewhere says why the program's endpoints may not be reached from here as
	// the program reaches them. "": they are.
	Elsewhere string
	// Ancestors are its parents, the nearest first, then pid 1, as far as their
	// environments can be read.
	Ancestors []Ancestor
	// Unseen is what could not be looked at, and who could.
	Unseen []string
}

// Ancestor is a process that the program's environment came through.
type Ancestor struct {
	PID  int
	Name string
	Env  Environ
}

// home is what SDKs take for the home directory.
func (p Program) home() string {
	if _, h := p.Env.First("HOME", "USERPROFILE"); h != "" {
		return h
	}
	return p.Home
}

// path is a path of the program from its root directory on.
func (p Program) path(name string) string {
	if name == "" || filepath.IsAbs(name) || p.Dir == "" {
		return name
	}
	return filepath.Join(p.Dir, name)
}

// paths are where the program's AWS files are, as it names them.
func (p Program) paths() awsconfig.Paths {
	paths := awsconfig.DefaultPaths(p.Env.Get, p.home())
	return awsconfig.Paths{Config: p.path(paths.Config), Credentials: p.path(paths.Credentials)}
}

// sdks are the SDKs that the program may use.
func (p Program) sdks() []SDK {
	all := SDKs()
	for _, s := range all {
		if p.SDK != "" && s.Is(p.SDK) {
			return []SDK{s}
		}
	}
	return all
}

// SDKOf is the SDK that a program of this name uses, "" when the name does not
// tell.
func SDKOf(program string) string {
	word := strings.ToLower(filepath.Base(program))
	word = strings.TrimSuffix(word, ".exe")
	word = strings.TrimRight(word, "0123456789.")
	for _, s := range SDKs() {
		if s.Is(word) {
			return s.Name
		}
	}
	return ""
}

// KnowsSDK says whether word names an SDK.
func KnowsSDK(word string) bool {
	for _, s := range SDKs() {
		if s.Is(word) {
			return true
		}
	}
	return false
}

// NeedsRoot is the error for what only root (or the right user) can see.
type NeedsRoot struct {
	Msg     string
	Command string // to type instead
}

func (e *NeedsRoot) Error() string { return e.Msg }

// Hint is the command to type.
func (e *NeedsRoot) Hint() string { return e.Command }
