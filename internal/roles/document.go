package roles

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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
	d, err := parseDocument(text)
	if err != nil {
		return "", policyError(file, text, err)
	}
	if msg := d.check(kind); msg != "" {
		return "", &Error{Msg: file + ": " + msg, Next: "the form is described at https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html"}
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

// policyError tells where in the file the fault is.
func policyError(file string, text []byte, err error) error {
	offset := int64(-1)
	var syntax *json.SyntaxError
	var shape *json.UnmarshalTypeError
	msg := err.Error()
	switch {
	case errors.As(err, &syntax):
		offset = syntax.Offset
		if strings.Contains(msg, "unexpected end") {
			offset = int64(len(text))
		}
	case errors.As(err, &shape):
		offset, msg = shape.Offset, fmt.Sprintf("%s cannot be a %s", strings.ToLower(shape.Field), shape.Value)
		if shape.Field == "" {
			msg = "a policy is an object, and not a " + shape.Value
		}
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		offset, msg = int64(len(text)), "unexpected end of JSON input"
	}
	at := file
	if offset >= 0 {
		before := text[:min(max(offset-1, 0), int64(len(text)))]
		line := bytes.Count(before, []byte("\n")) + 1
		column := len(before) - (bytes.LastIndexByte(before, '\n') + 1) + 1
		at = fmt.Sprintf("%s:%d:%d", file, line, column)
	}
	return &Error{Msg: at + ": this is not a policy: " + oneLine(msg), Next: "correct that line of " + file}
}

func parseDocument(text []byte) (document, error) {
	var raw struct {
		Version   string
		ID        any `json:"Id"`
		Statement json.RawMessage
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&raw); err != nil {
		return document{}, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return document{}, errors.New("there is more after the end of the policy")
	}
	d := document{Version: raw.Version}
	var list []json.RawMessage
	if trimmed := bytes.TrimSpace(raw.Statement); len(trimmed) > 0 && trimmed[0] != '[' {
		list = []json.RawMessage{trimmed}
	} else if len(trimmed) > 0 {
		if err := json.Unmarshal(trimmed, &list); err != nil {
			return document{}, errors.New("the statement is neither an object nor a list of them")
		}
	}
	for i, one := range list {
		s, err := parseStatement(one)
		if err != nil {
			return document{}, fmt.Errorf("statement %d: %s", i+1, strings.TrimPrefix(err.Error(), "json: "))
		}
		d.Statement = append(d.Statement, s)
	}
	return d, nil
}

func parseStatement(text []byte) (statement, error) {
	var raw struct {
		Sid                     string
		Effect                  string
		Principal, NotPrincipal principals
		Action, NotAction       values
		Resource, NotResource   values
		Condition               map[string]map[string]values
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&raw); err != nil {
		return statement{}, err
	}
	s := statement{Effect: raw.Effect, Principal: raw.Principal, NotPrincipal: raw.NotPrincipal,
		Action: raw.Action, NotAction: raw.NotAction, Resource: raw.Resource, NotResource: raw.NotResource}
	for operator, keys := range raw.Condition {
		if s.Condition == nil {
			s.Condition = map[string]map[string][]string{}
		}
		s.Condition[operator] = map[string][]string{}
		for key, v := range keys {
			s.Condition[operator][key] = v
		}
	}
	return s, nil
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

// principals is "*" or a map of kinds.
type principals map[string][]string

func (p *principals) UnmarshalJSON(text []byte) error {
	if string(bytes.TrimSpace(text)) == `"*"` {
		*p = principals{"AWS": {"*"}}
		return nil
	}
	var kinds map[string]values
	if err := json.Unmarshal(text, &kinds); err != nil {
		return errors.New(`a principal is "*" or an object such as {"Service": "ec2.amazonaws.com"}`)
	}
	*p = principals{}
	for kind, v := range kinds {
		(*p)[kind] = v
	}
	return nil
}
