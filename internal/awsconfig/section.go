package awsconfig

import (
	"strings"

	"rolecall/internal/creds"
)

// Kind is what a section describes.
type Kind string

const (
	ProfileKind    Kind = "profile"     // [profile x], [default]; [x] in the credentials file
	SSOSessionKind Kind = "sso-session" // [sso-session x]
	ServicesKind   Kind = "services"    // [services x]
)

// Value is one value and where it stands. It prints without secrets.
type Value struct {
	Text   string       // "" for a secret key and for a nested value
	Secret creds.Secret // the text, where the key is one that holds a secret
	Nested []Nested     // the indented "k = v" lines below an empty value
	File   string
	Line   int // 1 is the first
}

// Nested is one indented line below a key, such as endpoint_url below s3.
type Nested struct {
	Key string // lower case
	Value
}

// Section is one profile, sso-session or services section, merged from
// everything the files say of it. A nil Section has no values.
type Section struct {
	Kind   Kind
	Name   string // without the kind and without quotes
	File   string // of the first header
	Line   int
	values map[string]Value // :: lower-case key → value
	keys   []string         // in the order of the files
}

// Get returns the value of key, which is matched without regard to case.
func (s *Section) Get(key string) (Value, bool) {
	if s == nil {
		return Value{}, false
	}
	v, ok := s.values[strings.ToLower(key)]
	return v, ok
}

// Text returns the text of key, "" where it is missing, nested or secret.
func (s *Section) Text(key string) string {
	v, _ := s.Get(key)
	return v.Text
}

// Has says whether key stands in the section, even empty.
func (s *Section) Has(key string) bool {
	_, ok := s.Get(key)
	return ok
}

// Sub returns the value of sub below key, e.g. Sub("sts", "endpoint_url").
func (s *Section) Sub(key, sub string) (Value, bool) {
	v, _ := s.Get(key)
	sub = strings.ToLower(sub)
	for _, n := range v.Nested {
		if n.Key == sub {
			return n.Value, true
		}
	}
	return Value{}, false
}

// Keys lists the keys, lower case, in the order of the files.
func (s *Section) Keys() []string {
	if s == nil {
		return nil
	}
	return append([]string(nil), s.keys...)
}

func (s *Section) set(key string, v Value) {
	if _, ok := s.values[key]; !ok {
		s.keys = append(s.keys, key)
	}
	s.values[key] = v
}

// secretKey says whether the value of key must not be printed. The third name
// is the session token's in old tools.
func secretKey(key string) bool {
	switch key {
	case "aws_secret_access_key", "aws_session_token", "aws_security_token":
		return true
	}
	return false
}
