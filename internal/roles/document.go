package roles

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
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
