package config

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// document is a parsed TOML text that can tell where each of its values stands.
type document struct {
	text   string
	values map[string]any
	meta   toml.MetaData
	tree   map[string]toml.Primitive
}

func newDocument(text string) (*document, error) {
	text = strings.TrimPrefix(text, "\ufeff") // some editors' mark; the library's offsets leave it out
	doc := &document{text: text, values: map[string]any{}}
	var err error
	if doc.meta, err = toml.Decode(text, &doc.tree); err != nil {
		return nil, err
	}
	for key, p := range doc.tree {
		var v any
		if err := doc.meta.PrimitiveDecode(p, &v); err != nil {
			return nil, err
		}
		doc.values[key] = v
	}
	return doc, nil
}

// order is the keys of a table, directly below the top, as they stand in the
// text.
func (d *document) order(table string, values map[string]any) []string {
	rank := d.ranks()
	keys := slices.Collect(maps.Keys(values))
	slices.SortFunc(keys, func(a, b string) int {
		return cmp.Or(cmp.Compare(rank(at(table, a)), rank(at(table, b))), strings.Compare(a, b))
	})
	return keys
}

// sort puts faults in the order of what they are about.
func (d *document) sort(faults []Fault) {
	rank := d.ranks()
	slices.SortStableFunc(faults, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(rank(a.at), rank(b.at)), a.at.index-b.at.index, strings.Compare(a.Key, b.Key))
	})
}

// ranks returns a function that says the how-manieth key of the text a place is.
// Tables that only their parts make stand where their first part does. Places
// are at most two keys deep, as settings are.
func (d *document) ranks() func(place) int {
	ranks := map[string]int{}
	for i, k := range d.meta.Keys() {
		for n := min(len(k), 2); n > 0; n-- {
			if name := k[:n].String(); n == len(k) || !has(ranks, name) {
				ranks[name] = i
			}
		}
	}
	return func(p place) int {
		if r, ok := ranks[toml.Key(p.keys).String()]; ok {
			return r
		}
		return len(ranks)
	}
}

func has(m map[string]int, key string) bool {
	_, ok := m[key]
	return ok
}

// line is the line, from 1, on which the value at p begins; 0 where there is
// none.
func (d *document) line(p place) int {
	for keys := p.keys; len(keys) > 0; keys = keys[:len(keys)-1] {
		pos, ok := d.position(keys)
		if !ok {
			// A table that only its parts make ([a.b], a.b = 1) has no
			// place of its own: take that of its first part.
			pos, ok = d.firstBelow(keys)
		}
		if !ok {
			continue
		}
		if p.index >= 0 && len(keys) == len(p.keys) {
			return pos.Line + d.linesToElement(pos.Start, p.index)
		}
		return pos.Line
	}
	return 0
}

func (d *document) firstBelow(keys []string) (toml.Position, bool) {
	for _, k := range d.meta.Keys() {
		if len(k) > len(keys) && slices.Equal(k[:len(keys)], keys) {
			return d.position(k)
		}
	}
	return toml.Position{}, false
}

var errProbe = errors.New("probe")

// probe fails to decode itself, since the library tells positions in errors
// only.
type probe struct{}

func (*probe) UnmarshalTOML(any) error { return errProbe }

func (d *document) position(keys []string) (toml.Position, bool) {
	tree := d.tree
	for i, k := range keys {
		p, ok := tree[k]
		if !ok {
			break
		}
		if i < len(keys)-1 {
			tree = nil
			if d.meta.PrimitiveDecode(p, &tree) != nil {
				break
			}
			continue
		}
		var pe toml.ParseError
		if errors.As(d.meta.PrimitiveDecode(p, &probe{}), &pe) && pe.Position.Line > 0 {
			return pe.Position, true
		}
	}
	return toml.Position{}, false
}

// linesToElement counts the lines from the bracket before byte start, which
// opens an array, to the array's element number index. It is 0 where there is
// no such array or element.
func (d *document) linesToElement(start, index int) int {
	if start < 1 || start > len(d.text) || d.text[start-1] != '[' {
		return 0
	}
	lines, depth, element, inElement := 0, 1, -1, false
	for rest := d.text[start:]; rest != ""; {
		size := 1
		switch c := rest[0]; c {
		case '\n':
			lines++
		case ' ', '\t', '\r':
		case '#':
			if size = strings.IndexByte(rest, '\n'); size < 0 {
				return 0
			}
		case ',':
			if depth == 1 {
				inElement = false
			}
		case ']', '}':
			if depth--; depth == 0 {
				return 0
			}
		default:
			if depth == 1 && !inElement {
				if inElement, element = true, element+1; element == index {
					return lines
				}
			}
			switch c {
			case '[', '{':
				depth++
			case '"', '\'':
				size = stringLen(rest)
				lines += strings.Count(rest[:size], "\n")
			}
		}
		rest = rest[size:]
	}
	return 0
}

// stringLen is the length of the TOML string that text begins with, with its
// quotes; all of text where it has no end.
func stringLen(text string) int {
	quote := text[:1]
	if triple := strings.Repeat(quote, 3); strings.HasPrefix(text, triple) {
		quote = triple
	}
	for i := len(quote); i < len(text); i++ {
		if quote[0] == '"' && text[i] == '\\' {
			i++ // what follows is not an end
		} else if strings.HasPrefix(text[i:], quote) {
			i += len(quote)
			// A multi-line string may end in up to two quotes of its own.
			for extra := 0; len(quote) == 3 && extra < 2 && i < len(text) && text[i] == quote[0]; extra++ {
				i++
			}
			return i
		}
	}
	return len(text)
}
