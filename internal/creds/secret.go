package creds

import (
	"fmt"
	"log/slog"
)

const redacted = "[redacted]"

// Secret holds text that cannot print itself: every verb of fmt, log/slog,
// encoding/json and text encoders shows "[redacted]". The text sits behind a
// pointer, so that even reflection-based printing of a struct that holds a
// Secret in an unexported field shows an address and not the text.
// The zero Secret is empty.
type Secret struct{ text *string }

// NewSecret wraps text. Empty text gives the zero Secret.
func NewSecret(text string) Secret {
	if text == "" {
		return Secret{}
	}
	return Secret{&text}
}

// Reveal returns the text. Callers write it to the wire or to a child's
// environment and nowhere else.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// IsZero says whether the secret is empty.
func (s Secret) IsZero() bool { return s.text == nil }

func (s Secret) String() string               { return redacted }
func (s Secret) GoString() string             { return redacted }
func (s Secret) Format(f fmt.State, _ rune)   { fmt.Fprint(f, redacted) }
func (s Secret) LogValue() slog.Value         { return slog.StringValue(redacted) }
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
