package phpfpm

import (
	"strconv"
	"strings"
)

// valueScanner reads what stands after "=": words, quoted strings, ${NAME},
// numbers and the operators | & ^ ~ ! on them, up to the end or a comment.
type valueScanner struct {
	env  lookup
	b    strings.Builder
	refs []string
	null bool // nothing but '': FPM refuses it
}

func (v *valueScanner) scan(s string) error {
	words := 0      // parts other than blanks
	single := ""    // the one bare word, if it is the only part
	operators := 0  // | & ^ ~ !
	quoted := false // a string in " eats the blanks after it
	truth := false  // yes, no and the like stand for themselves alone
	for s != "" && s[0] != ';' {
		switch c := s[0]; {
		case c == ' ' || c == '\t':
			n := len(s) - len(strings.TrimLeft(s, " \t"))
			if words > 0 && !quoted && s[n:] != "" && s[n] != ';' && s[n] != '"' {
				v.b.WriteString(s[:n])
			}
			s, quoted = s[n:], false
			continue
		case c == '"':
			rest, ok := v.double(s[1:])
			if !ok {
				return errSyntax
			}
			s, quoted = rest, true
			words++
			continue
		case c == '\'':
			text, rest, closed := strings.Cut(s[1:], "'")
			if !closed && words == 0 {
				return errSyntax
			}
			if !closed { // as in it's: what follows is lost
				s = ""
				continue
			}
			if text == "" {
				v.null = true
			}
			v.b.WriteString(text)
			s = rest
		case strings.HasPrefix(s, "${"):
			rest, ok := v.variable(s[2:])
			if !ok {
				return errSyntax
			}
			s = rest
		case strings.IndexByte("|&^~!()", c) >= 0:
			operators++
			v.b.WriteByte(c)
			s = s[1:]
		case strings.IndexByte("=\r", c) >= 0:
			return errSyntax
		default:
			n := 1
			for n < len(s) && (strings.IndexByte("= \t\r;&|^~()!\"'", s[n]) < 0) && !strings.HasPrefix(s[n:], "${") {
				n++
			}
			if words == 0 {
				single = s[:n]
			}
			truth = truth || isTruth(s[:n])
			v.b.WriteString(s[:n])
			s = s[n:]
		}
		words++
		quoted = false
	}
	if truth && words > 1 {
		return errSyntax
	}
	text := v.b.String()
	switch {
	case operators > 0:
		value, ok := calculate(text)
		if !ok {
			return errSyntax
		}
		text = value
	case words == 1 && single != "":
		text = constant(single)
	}
	v.b.Reset()
	v.b.WriteString(text)
	return nil
}

// double reads a string up to its closing quotation mark; \" and \\ stand for
// the second character.
func (v *valueScanner) double(s string) (rest string, ok bool) {
	for s != "" {
		switch {
		case s[0] == '"':
			return s[1:], true
		case s[0] == '\\' && len(s) > 1 && strings.IndexByte(`"\'`, s[1]) >= 0:
			v.b.WriteByte(s[1])
			s = s[2:]
		case strings.HasPrefix(s, "${"):
			if s, ok = v.variable(s[2:]); !ok {
				return "", false
			}
		default:
			v.b.WriteByte(s[0])
			s = s[1:]
		}
	}
	return "", false
}

// variable reads NAME} and writes its value, which is nothing when unset.
func (v *valueScanner) variable(s string) (rest string, ok bool) {
	name, rest, closed := strings.Cut(s, "}")
	if !closed || name == "" || strings.ContainsAny(name, notInName+" ") {
		return "", false
	}
	v.refs = append(v.refs, name)
	if v.env != nil {
		value, _ := v.env(name)
		v.b.WriteString(value)
	}
	return rest, true
}

// constant is a bare word as PHP's ini scanner gives it on.
func constant(word string) string {
	switch strings.ToLower(word) {
	case "true", "on", "yes":
		return "1"
	case "false", "off", "no", "none", "null":
		return ""
	}
	return word
}

func isTruth(word string) bool {
	c := constant(word)
	return c != word
}

// calculate is the value of an expression such as !1, ~1, 1|2 or (3). Words
// count as their leading number, as in C's atoi.
func calculate(s string) (string, bool) {
	s = strings.TrimSpace(s)
	c := calculator{rest: s}
	n, ok := c.expression()
	if !ok || strings.TrimSpace(c.rest) != "" {
		return "", false
	}
	if c.operators == 0 {
		return strings.TrimSpace(strings.Trim(s, "() \t")), true
	}
	return strconv.Itoa(n), true
}

type calculator struct {
	rest      string
	operators int
	depth     int
}

func (c *calculator) expression() (int, bool) {
	left, ok := c.operand()
	for ok {
		c.rest = strings.TrimLeft(c.rest, " \t")
		if c.rest == "" || strings.IndexByte("|&^", c.rest[0]) < 0 {
			return left, true
		}
		op := c.rest[0]
		c.rest = c.rest[1:]
		c.operators++
		var right int
		if right, ok = c.operand(); !ok {
			return 0, false
		}
		switch op {
		case '|':
			left |= right
		case '&':
			left &= right
		default:
			left ^= right
		}
	}
	return 0, false
}

const maxDepth = 100

func (c *calculator) operand() (int, bool) {
	c.rest = strings.TrimLeft(c.rest, " \t")
	if c.depth++; c.rest == "" || c.depth > maxDepth {
		return 0, false
	}
	defer func() { c.depth-- }()
	switch c.rest[0] {
	case '!', '~':
		op := c.rest[0]
		c.rest = c.rest[1:]
		c.operators++
		n, ok := c.operand()
		if op == '~' {
			return ^n, ok
		}
		if n == 0 {
			return 1, ok
		}
		return 0, ok
	case '(':
		c.rest = c.rest[1:]
		n, ok := c.expression()
		c.rest = strings.TrimLeft(c.rest, " \t")
		if !ok || !strings.HasPrefix(c.rest, ")") {
			return 0, false
		}
		c.rest = c.rest[1:]
		return n, true
	}
	end := strings.IndexAny(c.rest, "|&^~!()")
	if end < 0 {
		end = len(c.rest)
	}
	word := strings.TrimSpace(c.rest[:end])
	c.rest = c.rest[end:]
	return atoi(constant(word)), word != ""
}

func atoi(s string) int {
	end := 0
	for end < len(s) && end < 10 && (s[end] >= '0' && s[end] <= '9' || end == 0 && s[end] == '-') {
		end++
	}
	n, _ := strconv.Atoi(s[:end])
	return n
}
