package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Fault is one thing wrong with a configuration.
type Fault struct {
	File string // "" where the configuration came from no file
	Line int    // counted from 1; 0: the fault has no line
	Key  string // what it is about, e.g. "listen[1]" or "auth.mode"; may be ""
	Msg  string // lower case, no full stop, with what to write instead

	at place
}

func (f Fault) String() string {
	var b strings.Builder
	if f.File != "" {
		b.WriteString(f.File + ":")
		if f.Line > 0 {
			b.WriteString(strconv.Itoa(f.Line) + ":")
		}
		b.WriteByte(' ')
	}
	if f.Key != "" {
		b.WriteString(f.Key + ": ")
	}
	return b.String() + f.Msg
}

// FaultsError is everything that is wrong with a configuration, in the order of
// the lines. It has at least one fault.
type FaultsError struct{ Faults []Fault }

// Error has one fault a line.
func (e *FaultsError) Error() string {
	lines := make([]string, len(e.Faults))
	for i, f := range e.Faults {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

// Hint is the next command to type.
func (e *FaultsError) Hint() string {
	return "correct the configuration and check it with: rolecall config check"
}

// maxFaults is how many faults are told at once; nobody reads more.
const maxFaults = 50

// faultsError is nil for no faults.
func faultsError(faults []Fault) error {
	if len(faults) == 0 {
		return nil
	}
	if more := len(faults) - maxFaults; more > 0 {
		faults = append(faults[:maxFaults:maxFaults], Fault{File: faults[0].File, Msg: fmt.Sprintf("and %d more faults", more)})
	}
	return &FaultsError{faults}
}

// place is where in a configuration something stands.
type place struct {
	keys  []string // from the top, e.g. auth, mode
	index int      // of an array's element; -1: the value as a whole
}

func at(keys ...string) place { return place{keys, -1} }

func (p place) child(key string) place {
	return place{append(slices.Clone(p.keys), key), -1}
}

func (p place) element(i int) place { return place{p.keys, i} }

// String shows the place as TOML would, e.g. auth.mode or slots."a b", with
// nothing in it that could disturb a terminal.
func (p place) String() string {
	var b strings.Builder
	for i, key := range p.keys {
		if i > 0 {
			b.WriteByte('.')
		}
		if len(key) > maxShown {
			key = strings.ToValidUTF8(key[:maxShown], "") + "…"
		}
		if key == "" || strings.ContainsFunc(key, func(r rune) bool { return !bareKey(r) }) {
			key = strconv.Quote(key)
		}
		b.WriteString(key)
	}
	if p.index >= 0 {
		fmt.Fprintf(&b, "[%d]", p.index)
	}
	return b.String()
}

// maxShown is how many bytes of a key are shown: more than any slot's name has.
const maxShown = 140

// bareKey says whether TOML takes r in a key without quotes.
func bareKey(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-'
}

func newFault(p place, format string, args ...any) Fault {
	return Fault{Key: p.String(), Msg: fmt.Sprintf(format, args...), at: p}
}
