package doctor

import (
	"maps"
	"slices"

	"rolecall/internal/environ"
)

// Environ is the environment of a program. The zero value is an empty one.
type Environ struct {
	vars map[string]string
	// Wiped says that the block was there and held nothing: php-fpm and other
	// programs that write their title over it do that.
	Wiped bool
}

// NewEnviron reads "NAME=value" entries.
func NewEnviron(entries []string) Environ {
	return Environ{vars: environ.Parse(entries)}
}

// ParseEnviron reads the block of a process, as in /proc/PID/environ.
func ParseEnviron(block []byte) Environ {
	vars := environ.Block(block)
	return Environ{vars, len(block) > 0 && len(vars) == 0}
}

// Get is the value of name, "" when it is not set.
func (e Environ) Get(name string) string { return e.vars[name] }

// Lookup says also whether name is set, if only to "".
func (e Environ) Lookup(name string) (string, bool) {
	v, ok := e.vars[name]
	return v, ok
}

// First is the first of names with a value that is not empty.
func (e Environ) First(names ...string) (name, value string) {
	for _, n := range names {
		if v := e.vars[n]; v != "" {
			return n, v
		}
	}
	return "", ""
}

// Names are the names of all variables, sorted.
func (e Environ) Names() []string { return slices.Sorted(maps.Keys(e.vars)) }
