// Package shellword is about words as a person types them: as a shell takes them,
// and with slips of the keyboard.
package shellword

import "strings"

// Word is text as a POSIX shell reads it back: as it is where nothing in it
// means anything to a shell, else in single quotes (XCU 2.2.2).
func Word(text string) string {
	if text != "" && !strings.ContainsFunc(text, special) {
		return text
	}
	return Quoted(text)
}

// Quoted is text in single quotes of a POSIX shell.
func Quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

func special(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:@%+,=", r))
}

// farthest is what Distance says of texts too long to be a slip.
const farthest = 128

// Distance is the number of bytes to change, add or leave out, or of neighbours
// to swap, to make b of a; at most 128.
func Distance(a, b string) int {
	if len(a) > farthest || len(b) > farthest {
		return farthest
	}
	d := make([][]int, len(a)+1) // d[i][j]: between the first i bytes of a and j of b
	for i := range d {
		d[i] = make([]int, len(b)+1)
		for j := range d[i] {
			switch {
			case i == 0 || j == 0:
				d[i][j] = i + j
			case a[i-1] == b[j-1]:
				d[i][j] = d[i-1][j-1]
			default:
				d[i][j] = 1 + min(d[i-1][j-1], d[i-1][j], d[i][j-1])
				if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
					d[i][j] = min(d[i][j], 1+d[i-2][j-2])
				}
			}
		}
	}
	return d[len(a)][len(b)]
}

// Nearest is the name that differs from word by the fewest slips, of at most
// two; "" when there is none, or the word is too short to tell.
func Nearest(word string, names []string) string {
	best, least := "", 3
	for _, n := range names {
		if d := Distance(strings.ToLower(word), strings.ToLower(n)); d < least && d < max(len(word), 2) {
			best, least = n, d
		}
	}
	return best
}
