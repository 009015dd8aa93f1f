package phpfpm

import (
	"errors"
	"strings"
)

// statement is one thing that a line of a configuration file says. FPM gives
// each line by itself to PHP's ini scanner, so nothing goes over two lines.
type statement struct {
	section  string // [section]
	name     string // NAME = value, NAME[key] = value
	key      string
	array    bool // has [key]
	value    string
	hasValue bool     // has a value at all; "= ''" has none, as FPM sees it
	refs     []string // names in ${NAME}, which FPM resolves while it reads
	comment  string   // the text after ; of a line that says nothing else
}

var errSyntax = errors.New("syntax error")

// lookup resolves ${NAME}: a variable of the environment FPM was started with.
type lookup func(name string) (string, bool)

// scan reads one line, without its line break. A section may be followed by
// another statement on the same line.
func scan(line string, env lookup) ([]statement, error) {
	var all []statement
	line, _, cut := strings.Cut(line, "\x00") // FPM's lines are C strings
	line = strings.TrimPrefix(line, "\ufeff")
	for {
		line = strings.TrimLeft(line, " \t")
		line = strings.TrimRight(line, "\r\n")
		switch {
		case line == "":
			return all, nil
		case line[0] == ';':
			if len(all) == 0 {
				all = append(all, statement{comment: line[1:]})
			}
			return all, nil
		case line[0] == '[':
			name, rest, err := sectionName(line[1:], env)
			if err != nil {
				return all, err
			}
			all = append(all, statement{section: name})
			line = rest
			continue
		}
		s, err := entry(line, env)
		if err != nil {
			return all, err
		}
		if cut && !s.hasValue && !s.array {
			return all, nil // a name without an end is no statement
		}
		return append(all, s), nil
	}
}

// sectionName reads what follows "[": a plain name, or a quoted one.
func sectionName(s string, env lookup) (name, rest string, err error) {
	inner, rest, closed := strings.Cut(s, "]")
	if !closed || strings.ContainsAny(inner, "\x00") || strings.Contains(inner, ";") {
		return "", "", errSyntax
	}
	if v, ok := unquote(strings.TrimSpace(inner), env); ok {
		inner = v
	}
	if inner == "" {
		return "", "", errSyntax
	}
	return inner, rest, nil
}

// unquote is the text of a string that is quoted as a whole.
func unquote(s string, env lookup) (string, bool) {
	if len(s) < 2 || s[0] != s[len(s)-1] || s[0] != '"' && s[0] != '\'' {
		return "", false
	}
	if s[0] == '\'' {
		return s[1 : len(s)-1], true
	}
	v := valueScanner{env: env}
	rest, ok := v.double(s[1:])
	return v.b.String(), ok && rest == ""
}

// notInName are the characters that end the name of a directive.
const notInName = "=\t;&|^$~(){}!\"[]\x00"

// entry reads NAME, NAME = value and NAME[key] = value.
func entry(line string, env lookup) (statement, error) {
	end := strings.IndexAny(line, notInName)
	if end < 0 {
		return statement{name: strings.TrimRight(line, " \t")}, nil
	}
	s := statement{name: strings.TrimRight(line[:end], " \t")}
	rest := strings.TrimLeft(line[end:], " \t")
	if s.name == "" || rest == "" {
		if s.name == "" {
			return s, errSyntax
		}
		return s, nil
	}
	if rest[0] == '[' {
		key, after, closed := strings.Cut(rest[1:], "]")
		if !closed {
			return s, errSyntax
		}
		key = strings.TrimLeft(key, " \t")
		if v, ok := unquote(strings.TrimRight(key, " \t"), env); ok {
			key = v
		} else if strings.ContainsAny(key, "\"';\r") || strings.HasSuffix(key, "$") || strings.HasSuffix(key, `\`) {
			return s, errSyntax
		}
		s.key, s.array = key, true
		rest = strings.TrimLeft(after, " \t")
	}
	switch {
	case rest == "" || rest[0] == ';':
		if s.array {
			return s, errSyntax
		}
		return s, nil
	case rest[0] != '=':
		return s, errSyntax
	}
	v := valueScanner{env: env}
	if err := v.scan(strings.TrimLeft(rest[1:], " \t")); err != nil {
		return s, err
	}
	s.value, s.refs = v.b.String(), v.refs
	s.hasValue = !v.null
	return s, nil
}
