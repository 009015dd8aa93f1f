package awsconfig

import (
	"bytes"
	"fmt"
	"strings"
)

// Fault is a line or section that means nothing to AWS's own tools, or not what
// its writer meant. It never quotes the line, which may hold a secret.
type Fault struct {
	File string
	Line int
	Msg  string // lower case, no full stop
	// Profile is the one that the line may have been meant for. "": not known.
	Profile string
}

func (f Fault) Error() string { return fmt.Sprintf("%s:%d: %s", f.File, f.Line, f.Msg) }

// rawSection is a section as one file has it. typ is the word before the name
// in the header, "" where there is only a name.
type rawSection struct {
	typ, name string
	line      int
	keys      []string
	entries   map[string]*entry
}

type entry struct {
	text   string
	line   int
	nested []nestedEntry
}

type nestedEntry struct {
	key, text string
	line      int
}

// parser goes through one file line by line; the rules are those of the ini
// package in aws-sdk-go-v2/config, which is lenient by design.
type parser struct {
	file     string
	sections []*rawSection
	byName   map[string]*rawSection
	section  *rawSection // nil: nothing is kept until the next header
	entry    *entry      // the last key, for lines that continue it
	faults   []Fault
}

func parseFile(file string, text []byte) (*parser, error) {
	if bytes.HasPrefix(text, []byte{0xff, 0xfe}) || bytes.HasPrefix(text, []byte{0xfe, 0xff}) {
		return nil, fmt.Errorf("%s is UTF-16 text, which no AWS tool reads: save it as UTF-8", file)
	}
	p := &parser{file: file, byName: map[string]*rawSection{}}
	// The SDK loses the first section of a file that begins with a byte order
	// mark; editors on Windows write one.
	s := string(bytes.TrimPrefix(text, []byte("\ufeff")))
	for n := 1; s != ""; n++ {
		line, rest, _ := strings.Cut(s, "\n")
		s = rest
		p.line(n, strings.TrimRight(line, "\r"))
	}
	return p, nil
}

func (p *parser) fault(line int, format string, args ...any) {
	p.faults = append(p.faults, Fault{File: p.file, Line: line, Msg: fmt.Sprintf(format, args...)})
}

func (p *parser) line(n int, line string) {
	trimmed := strings.TrimLeft(line, " \t")
	if strings.TrimSpace(line) == "" || trimmed[0] == '#' || trimmed[0] == ';' {
		return
	}
	if typ, name, ok := header(line); ok {
		p.open(n, typ, name)
		return
	}
	switch indented := line != trimmed; {
	case !indented && line[0] == '[':
		// The SDK skips such a line and gives the keys below it to the section
		// above: a profile would get another profile's role. Nobody gets them here.
		p.fault(n, "broken section header: the keys below it are ignored")
		p.section, p.entry = nil, nil
	case !indented:
		key, value, ok := property(trimComment(line))
		if !ok {
			p.fault(n, "neither a [section] nor a key = value: ignored")
			return
		}
		p.property(n, key, value)
	default:
		p.indented(n, trimmed)
	}
}

func (p *parser) open(n int, typ, name string) {
	id := typ + " " + name
	if p.byName[id] == nil {
		p.byName[id] = &rawSection{typ: typ, name: name, line: n, entries: map[string]*entry{}}
		p.sections = append(p.sections, p.byName[id])
	}
	p.section, p.entry = p.byName[id], nil
}

func (p *parser) property(n int, key, value string) {
	if p.section == nil {
		if len(p.sections) == 0 {
			p.fault(n, "a value above the first section: ignored")
		}
		return
	}
	if key == "" {
		p.fault(n, "a value without a key: ignored")
		p.entry = nil
		return
	}
	p.entry = &entry{text: value, line: n}
	if _, again := p.section.entries[key]; !again {
		p.section.keys = append(p.section.keys, key)
	}
	p.section.entries[key] = p.entry
}

// indented handles a line that begins with white space: a nested value below an
// empty one, else a value of its own, else more text of the value above.
func (p *parser) indented(n int, line string) {
	key, value, ok := property(line)
	switch {
	case p.section == nil:
		p.property(n, key, value)
	case ok && (p.entry == nil || p.entry.text != ""):
		// Comments count in nested values, but not in one that is promoted.
		p.property(n, key, strings.TrimSpace(trimComment(value)))
	case ok:
		p.entry.nest(nestedEntry{key, value, n})
	case p.entry == nil || p.entry.text == "":
		p.fault(n, "an indented line that continues nothing: ignored")
	default:
		p.entry.text += "\n" + line
	}
}

func (e *entry) nest(ne nestedEntry) {
	for i := range e.nested {
		if e.nested[i].key == ne.key {
			e.nested[i] = ne
			return
		}
	}
	e.nested = append(e.nested, ne)
}

// header splits "[ type name ] # comment". A comment sign ends a header
// wherever it stands, so names cannot hold one.
func header(line string) (typ, name string, ok bool) {
	if i := strings.IndexAny(line, "#;"); i >= 0 {
		line = line[:i]
	}
	line = strings.TrimSpace(line)
	if len(line) < 2 || line[0] != '[' || line[len(line)-1] != ']' {
		return "", "", false
	}
	line = strings.TrimSpace(line[1 : len(line)-1])
	if bare := unquote(line); bare != line {
		return "", bare, true
	}
	i := strings.IndexAny(line, " \t")
	if i < 0 {
		return "", line, true
	}
	return line[:i], unquote(strings.TrimLeft(line[i:], " \t")), true
}

// property splits at the first "=" or, as old files have it, ":".
func property(s string) (key, value string, ok bool) {
	i := strings.IndexAny(s, "=:")
	if i < 0 {
		return "", "", false
	}
	return strings.ToLower(strings.TrimSpace(s[:i])), unquote(strings.TrimSpace(s[i+1:])), true
}

// trimComment cuts a comment: a sign with white space before it. A sign within
// a word is part of the value, e.g. a start URL that ends in "#/".
func trimComment(s string) string {
	for _, sign := range []string{" #", " ;", "\t#", "\t;"} {
		s, _, _ = strings.Cut(s, sign)
	}
	return s
}

// unquote takes off a pair of quotes around the whole. The SDK also takes off
// those of a command that only begins and ends with a quoted word, as in
// "/opt/my tool" "an argument", which leaves it broken.
func unquote(s string) string {
	if len(s) >= 2 && (s[0] == '"' || s[0] == '\'') && strings.IndexByte(s[1:], s[0]) == len(s)-2 {
		return s[1 : len(s)-1]
	}
	return s
}
