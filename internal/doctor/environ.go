package doctor

import (
	"bytes"
	"maps"
	"slices"
	"strings"
)

// Environ is the environment of a program. The zero value is an empty one.
type Environ struct {
	vars map[string]string
	// Wiped says that the block was there and held nothing: php-fpm and other
	// programs that write their title over it do that.
	Wiped bool
}

// NewEnviron reads "NAME=value" entries. What is no such entry is left out; of
// a name that comes twice the first counts, as for getenv.
func NewEnviron(entries []string) Environ {
	e := Environ{vars: make(map[string]string, len(entries))}
	for _, entry := range entries {
		name, value, ok := strings.Cut(entry, "=")
		if _, twice := e.vars[name]; ok && name != "" && !twice {
			e.vars[name] = value
		}
	}
	return e
}

// ParseEnviron reads the block of a process: entries that end with a NUL, as in
// /proc/PID/environ.
func ParseEnviron(block []byte) Environ {
	var entries []string
	for _, entry := range bytes.Split(block, []byte{0}) {
		if len(entry) > 0 {
			entries = append(entries, string(entry))
		}
	}
	e := NewEnviron(entries)
	e.Wiped = len(block) > 0 && len(e.vars) == 0
	return e
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
