package roles

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// reader reads JSON whose syntax is right, piece by piece, and knows where.
type reader struct {
	dec  *json.Decoder
	base int64 // of the text, in a larger one
}

func newReader(text []byte, base int64) reader {
	return reader{json.NewDecoder(bytes.NewReader(text)), base}
}

func (r reader) fault(format string, args ...any) error {
	return misplaced{r.base + r.dec.InputOffset() - 1, fmt.Sprintf(format, args...)}
}

// into decodes the next value; what is the fault of one that does not fit.
func (r reader) into(v any, what string) error {
	at := r.fault("%s", what)
	if r.dec.Decode(v) != nil {
		return at
	}
	return nil
}

// object reads one, and lets field read the value of each key. It wants keys in
// the very words of IAM, which knows no "statement" for "Statement".
func (r reader) object(what string, field func(key string) error) error {
	if t, err := r.dec.Token(); err != nil || t != json.Delim('{') {
		return r.fault("%s is an object, {…}", what)
	}
	for r.dec.More() {
		key, err := r.dec.Token()
		if err == nil {
			err = field(fmt.Sprint(key))
		}
		if err != nil {
			return err
		}
	}
	_, err := r.dec.Token()
	return err
}

func parseDocument(text []byte) (d document, err error) {
	if err := json.Unmarshal(text, new(json.RawMessage)); err != nil {
		return d, err // the syntax
	}
	r := newReader(text, 0)
	err = r.object("a policy", func(key string) error {
		switch key {
		case "Version":
			return r.into(&d.Version, "the version is a text")
		case "Id":
			return r.into(new(json.RawMessage), "")
		case "Statement":
			d.Statement, err = parseStatements(r)
			return err
		}
		return r.fault("unknown field %q", key)
	})
	return d, err
}

// parseStatements reads one, or a list of them.
func parseStatements(r reader) (all []statement, err error) {
	var list json.RawMessage
	if err := r.into(&list, ""); err != nil {
		return nil, err
	}
	inner := newReader(list, r.base+r.dec.InputOffset()-int64(len(list)))
	if list[0] == '[' {
		if _, err := inner.dec.Token(); err != nil {
			return nil, err
		}
	}
	for inner.dec.More() {
		s, err := parseStatement(inner)
		var fault misplaced
		if errors.As(err, &fault) {
			return nil, misplaced{fault.at, fmt.Sprintf("statement %d: %s", len(all)+1, fault.msg)}
		} else if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

func parseStatement(r reader) (s statement, err error) {
	const texts = "a text or a list of texts is expected"
	begun := r.dec.InputOffset()
	err = r.object("a statement", func(key string) error {
		if s.at == 0 {
			s.at = r.base + r.dec.InputOffset() - 1
		}
		switch key {
		case "Sid":
			return r.into(new(string), "the Sid is a text")
		case "Effect":
			return r.into(&s.Effect, "the effect is a text")
		case "Principal":
			return r.into((*principals)(&s.Principal), wantPrincipal)
		case "NotPrincipal":
			return r.into((*principals)(&s.NotPrincipal), wantPrincipal)
		case "Action":
			return r.into((*values)(&s.Action), texts)
		case "NotAction":
			return r.into((*values)(&s.NotAction), texts)
		case "Resource":
			return r.into((*values)(&s.Resource), texts)
		case "NotResource":
			return r.into((*values)(&s.NotResource), texts)
		case "Condition":
			return r.into((*conditions)(&s.Condition), `conditions are objects such as {"StringEquals": {"KEY": "VALUE"}}`)
		}
		return r.fault("unknown field %q", key)
	})
	if s.at == 0 {
		s.at = r.base + begun
	}
	return s, err
}

// values is one value or a list of them, sorted.
type values []string

func (v *values) UnmarshalJSON(text []byte) error {
	var many []any
	if bytes.HasPrefix(bytes.TrimSpace(text), []byte("[")) {
		if err := json.Unmarshal(text, &many); err != nil {
			return err
		}
	} else {
		many = make([]any, 1)
		if err := json.Unmarshal(text, &many[0]); err != nil {
			return err
		}
	}
	for _, one := range many {
		switch one := one.(type) {
		case string:
			*v = append(*v, one)
		case bool, float64: // IAM takes them in conditions
			*v = append(*v, fmt.Sprint(one))
		default:
			return errors.New("a text or a list of texts is expected")
		}
	}
	slices.Sort(*v)
	return nil
}

const wantPrincipal = `a principal is "*" or an object such as {"Service": "ec2.amazonaws.com"}`

// principals is "*" or a map of kinds.
type principals map[string][]string

func (p *principals) UnmarshalJSON(text []byte) error {
	if string(bytes.TrimSpace(text)) == `"*"` {
		*p = principals{"AWS": {"*"}}
		return nil
	}
	var kinds map[string]values
	if err := json.Unmarshal(text, &kinds); err != nil {
		return err
	}
	*p = principals{}
	for kind, v := range kinds {
		(*p)[kind] = v
	}
	return nil
}

// conditions are operator → key → values.
type conditions map[string]map[string][]string

func (c *conditions) UnmarshalJSON(text []byte) error {
	var all map[string]map[string]values
	if err := json.Unmarshal(text, &all); err != nil {
		return err
	}
	for operator, keys := range all {
		if *c == nil {
			*c = conditions{}
		}
		(*c)[operator] = map[string][]string{}
		for key, v := range keys {
			(*c)[operator][key] = v
		}
	}
	return nil
}
