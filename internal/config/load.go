package config

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"rolecall/internal/privatefile"
	"rolecall/internal/shellword"
)

// maxFile is the largest configuration file that is read, in bytes.
const maxFile = 256 << 10

// Load reads the configuration file at path: what it does not say is as in
// Default. A file with anything wrong in it is a *FaultsError with every fault
// and its line; one that other users could have written is a
// *privatefile.UnsafeError; a missing one is fs.ErrNotExist.
func Load(path string) (Config, error) {
	data, err := privatefile.ReadTrusted(path, maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return Config{}, &missingError{path, err}
	}
	if err != nil {
		return Config{}, err
	}
	return parse(path, string(data))
}

// LoadIfPresent is Load for a file that nobody asked for by name: where it is
// missing, the answer is Default.
func LoadIfPresent(path string) (Config, error) {
	c, err := Load(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Default(), nil
	}
	return c, err
}

type missingError struct {
	path string
	err  error
}

func (e *missingError) Error() string { return "there is no configuration file " + e.path }
func (e *missingError) Unwrap() error { return e.err }
func (e *missingError) Hint() string {
	return "name the right file with --config, or leave --config out to use the defaults"
}

// parse reads the text of the file at path.
func parse(path, text string) (Config, error) {
	doc, err := newDocument(text)
	if err != nil {
		return Config{}, faultsError([]Fault{syntaxFault(path, err)})
	}
	d := decoder{doc: doc, dir: filepath.Dir(path), config: Default()}
	d.config.Path = path
	d.all()
	faults := d.faults
	for _, f := range d.config.Validate() {
		// What could not be read is at its default or zero, which says
		// nothing about the file.
		if !slices.ContainsFunc(d.faults, func(o Fault) bool { return o.Key == f.Key }) {
			faults = append(faults, f)
		}
	}
	if len(faults) == 0 {
		return d.config, nil
	}
	doc.sort(faults)
	for i := range min(len(faults), maxFaults) { // a line takes a walk through the text to find
		faults[i].Line = doc.line(faults[i].at)
	}
	for i := range faults {
		faults[i].File = path
	}
	return Config{}, faultsError(faults)
}

// syntaxFault is the one fault of a text that is not TOML.
func syntaxFault(path string, err error) Fault {
	f := Fault{File: path, Msg: "is not valid TOML"}
	var pe toml.ParseError
	if errors.As(err, &pe) {
		f.Line = pe.Position.Line
		f.Msg = "not valid TOML: " + visible(withoutValues(strings.TrimSuffix(firstLine(pe.Message), ".")))
	}
	return f
}

// withoutValues hides the parts of a parser's message that may be values, which
// are quoted or long: the file named by mistake may be one that holds secrets.
func withoutValues(msg string) string {
	values := regexp.MustCompile(`"[^"]*"|'[^']*'|\S{16,}`)
	return values.ReplaceAllStringFunc(msg, func(q string) string {
		if q[0] != '"' && q[0] != '\'' {
			return "…"
		}
		inner := q[1 : len(q)-1]
		top, _, _ := strings.Cut(inner, ".")
		if len([]rune(inner)) <= 2 || slices.Contains(topKeys(), top) {
			return q
		}
		return q[:1] + "…" + q[:1]
	})
}

// visible replaces what a terminal would not show or would obey.
func visible(msg string) string {
	return strings.Map(func(r rune) rune {
		if _, unseen := firstUnseen(string(r)); unseen {
			return '?'
		}
		return r
	}, msg)
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// unknownKey is the message about a key that is none of the known.
func unknownKey(key string, known []string) string {
	if best := shellword.Nearest(key, known); best != "" {
		return fmt.Sprintf("there is no such setting; did you mean %q?", best)
	}
	return "there is no such setting; there are " + strings.Join(known, ", ")
}
