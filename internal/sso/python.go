package sso

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf16"
)

// member is one key of a JSON object that is written in a given order.
type member struct {
	key   string
	value any // a string, a []string, nil, or a json.RawMessage
}

// object writes members as Python's json.dumps does by default: one line, ", "
// and ": " between, everything beyond ASCII escaped. The AWS CLI names its files
// after the hash of such a text, and writes them so.
func object(members []member) []byte {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range members {
		if i > 0 {
			b.WriteString(", ")
		}
		b.Write(pythonString(m.key))
		b.WriteString(": ")
		switch v := m.value.(type) {
		case string:
			b.Write(pythonString(v))
		case []string:
			if v == nil {
				b.WriteString("null")
				continue
			}
			b.WriteByte('[')
			for j, s := range v {
				if j > 0 {
					b.WriteString(", ")
				}
				b.Write(pythonString(s))
			}
			b.WriteByte(']')
		case json.RawMessage:
			b.Write(v)
		default:
			b.WriteString("null")
		}
	}
	b.WriteByte('}')
	return b.Bytes()
}

func pythonString(s string) []byte {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\b':
			b.WriteString(`\b`)
		case r == '\f':
			b.WriteString(`\f`)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		case r < ' ' || r > '~':
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return []byte(b.String())
}
