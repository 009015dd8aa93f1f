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
	// Root is what stands before its absolute paths: "" or "/proc/12/root".
	Root string
	// Dir is its working directory, as the program names it. "": unknown.
	Dir string
	// SDK is the name of the only SDK it is known to use. "": any.
	SDK string
	// Others says that it runs as another user: what it names is not sent
	// anywhere, since root can read more files than that user.
	Others bool
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

// path is where a path of the program is found from here.
func (p Program) path(name string) string {
	if name == "" {
		return ""
	}
	if !filepath.IsAbs(name) && p.Dir != "" {
		name = filepath.Join(p.Dir, name)
	}
	if p.Root == "" {
		return name
	}
	return filepath.Join(p.Root, name)
}

// shown is a path of here as the program names it.
func (p Program) shown(path string) string {
	if p.Root != "" {
		if rest, ok := strings.CutPrefix(path, p.Root); ok {
			return rest
		}
	}
	return path
}

// paths are where the program's AWS files are.
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
