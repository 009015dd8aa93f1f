package roles

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// document is a policy in a form that can be compared: what may be one value or
// a list is a sorted list, and statement ids are gone.
type document struct {
	Version   string
	Statement []statement
}

type statement struct {
	Effect       string
	Principal    map[string][]string `json:",omitempty"` // "*" alone is AWS: *
	NotPrincipal map[string][]string `json:",omitempty"`
	Action       []string            `json:",omitempty"`
	NotAction    []string            `json:",omitempty"`
	Resource     []string            `json:",omitempty"`
	NotResource  []string            `json:",omitempty"`
	// operator → key → values
	Condition map[string]map[string][]string `json:",omitempty"`

	at int64 // where it stands in the text
}

// Bytes that IAM takes: a trust policy by its raised quota, an inline policy.
const (
	maxTrust  = 4096
	maxInline = 10240
)

// PolicyKind says what a policy is for.
type PolicyKind int

const (
	PermissionPolicy PolicyKind = iota // what a role may do
	TrustPolicy                        // who may be the role
)

// ParsePolicy checks the JSON of a policy file. Errors name file, line and
// column. What comes back is the text without needless blanks, as IAM counts it.
func ParsePolicy(file string, text []byte, kind PolicyKind) (string, error) {
	text = bytes.TrimPrefix(text, []byte("\ufeff")) // some editors begin a file with it
	d, err := parseDocument(text)
	if err != nil {
		return "", policyError(file, text, err)
	}
	if at, msg := d.check(kind); msg != "" {
		return "", &Error{Msg: place(file, text, at) + ": " + msg, Next: "the form is described at https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html"}
	}
	var b bytes.Buffer
	if err := json.Compact(&b, text); err != nil {
		return "", policyError(file, text, err)
	}
	limit := maxInline
	if kind == TrustPolicy {
		limit = maxTrust
	}
	if b.Len() > limit {
		return "", &Error{Msg: fmt.Sprintf("%s: the policy has %d characters, and IAM takes %d", file, b.Len(), limit), Next: "split it, or make it a managed policy"}
	}
	return b.String(), nil
}

// misplaced is a fault at a place of the text.
type misplaced struct {
	at  int64
	msg string
}

func (e misplaced) Error() string { return e.msg }

// policyError tells where in the file the fault is.
func policyError(file string, text []byte, err error) error {
	var syntax *json.SyntaxError
	var fault misplaced
	at := int64(len(text)) - 1
	switch {
	case errors.As(err, &fault):
		at = fault.at
	case errors.As(err, &syntax) && !strings.Contains(err.Error(), "unexpected end"):
		at = syntax.Offset - 1
	}
	return &Error{Msg: place(file, text, at) + ": this is not a policy: " + oneLine(err.Error()), Next: "correct that line of " + file}
}

// place is FILE:LINE:COLUMN of a byte.
func place(file string, text []byte, at int64) string {
	before := text[:min(max(at, 0), int64(len(text)))]
	return fmt.Sprintf("%s:%d:%d", file, bytes.Count(before, []byte("\n"))+1, len(before)-(bytes.LastIndexByte(before, '\n')+1)+1)
}

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
