package source

import (
	"os/exec"
	"reflect"
	"strings"
	"testing"

	"rolecall/internal/shellword"
)

func TestSplitWords(t *testing.T) {
	for _, tt := range []struct {
		text string
		want []string // nil: an error
	}{
		{"a b  c", []string{"a", "b", "c"}},
		{" a\tb\n", []string{"a", "b"}},
		{`'a b' "c d"`, []string{"a b", "c d"}},
		{`a'b'"c"d`, []string{"abcd"}},
		{`a '' ""`, []string{"a", "", ""}},
		{`a\ b \'`, []string{"a b", "'"}},
		{`"a\"b\\c\$d\x"`, []string{`a"b\c$d\x`}},
		{`'a\b"c'`, []string{`a\b"c`}},
		{"a\\\nb", []string{"ab"}},
		{`$HOME ~ a|b`, []string{"$HOME", "~", "a|b"}},
		{"", nil}, {"  ", nil}, {`''`, nil}, {`'a`, nil}, {`"a`, nil}, {`a\`, nil}, {"a\x00b", nil}, {`"a\`, nil},
	} {
		got, err := splitWords(tt.text)
		if tt.want == nil && err == nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%q: %q, %v, want %q", tt.text, got, err, tt.want)
		}
	}
}

// TestSplitWordsAgainstShell lets sh split the same text, where it is there.
func TestSplitWordsAgainstShell(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("no sh on this platform")
	}
	for _, text := range []string{`a b`, `'a b' "c d" e\ f`, `"a\"b\\c\$d\x"`, `a'b'"c"d '' "" x`, `'it'\''s'`, "a\\\nb c"} {
		want, err := exec.Command(sh, "-c", `printf '%s\001' `+text).Output()
		if err != nil {
			t.Fatal(err)
		}
		got, err := splitWords(text)
		if err != nil || strings.Join(got, "\x01")+"\x01" != string(want) {
			t.Errorf("%q: %q here and %q in sh (%v)", text, got, want, err)
		}
	}
}

func TestShellWord(t *testing.T) {
	for text, want := range map[string]string{"dev": "dev", "my prof": "'my prof'", "it's": `'it'\''s'`, "": "''", "a;b": "'a;b'", "größe": "'größe'"} {
		if got := shellword.Word(text); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

// FuzzSplitWords: a list of words that is quoted comes back as it was, and no
// text panics.
func FuzzSplitWords(f *testing.F) {
	for _, seed := range []string{"a b", `'x' "y\"z" \`, "$(x)", "\x00", `"`, `'it'\''s'`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		words, err := splitWords(text)
		if err != nil {
			return
		}
		var quoted []string
		for _, w := range words {
			quoted = append(quoted, shellword.Word(w))
		}
		again, err := splitWords(strings.Join(quoted, " "))
		if err != nil || !reflect.DeepEqual(again, words) {
			t.Fatalf("%q: %q became %q (%v)", text, words, again, err)
		}
	})
}
