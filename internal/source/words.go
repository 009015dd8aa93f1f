package source

import (
	"errors"
	"strings"
)

// splitWords splits text into words by the quoting rules of a POSIX shell
// (XCU 2.2: backslash, '…', "…"), and by nothing else of it.
func splitWords(text string) ([]string, error) {
	var words []string
	var word strings.Builder
	inWord := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case ' ', '\t', '\n', '\r':
			if inWord {
				words = append(words, word.String())
				word.Reset()
				inWord = false
			}
		case '\'':
			end := strings.IndexByte(text[i+1:], '\'')
			if end < 0 {
				return nil, errors.New("a ' is not closed")
			}
			word.WriteString(text[i+1 : i+1+end])
			i += end + 1
			inWord = true
		case '"':
			n, err := doubleQuoted(text[i+1:], &word)
			if err != nil {
				return nil, err
			}
			i += n
			inWord = true
		case '\\':
			if i++; i == len(text) {
				return nil, errors.New("a \\ stands at the end")
			}
			if text[i] == '\n' { // a continued line
				continue
			}
			word.WriteByte(text[i])
			inWord = true
		default:
			word.WriteByte(c)
			inWord = true
		}
	}
	if inWord {
		words = append(words, word.String())
	}
	switch {
	case len(words) == 0 || words[0] == "":
		return nil, errors.New("it names no program")
	case strings.IndexByte(text, 0) >= 0:
		return nil, errors.New("it has a NUL byte")
	}
	return words, nil
}

// doubleQuoted writes what stands up to the closing quote and returns how many
// bytes that took, the quote included.
func doubleQuoted(text string, word *strings.Builder) (int, error) {
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			return i + 1, nil
		case c == '\\' && i+1 < len(text) && strings.IndexByte("\\\"$`\n", text[i+1]) >= 0:
			if i++; text[i] != '\n' {
				word.WriteByte(text[i])
			}
		default:
			word.WriteByte(c)
		}
	}
	return 0, errors.New("a \" is not closed")
}
