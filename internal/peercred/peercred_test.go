package peercred

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestPeer(t *testing.T) {
	tests := []struct {
		peer Peer
		text string
		is0  bool
	}{
		{Peer{}, "unknown", false},
		{Peer{UID: 0, PID: 12, Program: "x"}, "unknown", false},
		{Peer{Known: true}, "uid 0", true},
		{Peer{UID: 33, Known: true, PID: 4711, Program: "php-fpm8.2"}, "uid 33, pid 4711 (php-fpm8.2)", false},
		{Peer{UID: 4294967294, Known: true, Program: "x"}, "uid 4294967294 (x)", false},
	}
	for _, tt := range tests {
		if got := tt.peer.String(); got != tt.text {
			t.Errorf("%+v: %q, want %q", tt.peer, got, tt.text)
		}
		if got := tt.peer.Is(0); got != tt.is0 {
			t.Errorf("%+v: Is(0) = %v", tt.peer, got)
		}
	}
}

func TestCleanName(t *testing.T) {
	for in, want := range map[string]string{
		"/usr/bin/python3.11":              "python3.11",
		"php-fpm: pool www":                "php-fpm: pool www",
		"evil\n{\"level\":1}\x1b[31m":      "evil?{\"level\":1}?[31m",
		"a\xff\u202eb":                     "a??b",
		strings.Repeat("a", 63) + "é":      strings.Repeat("a", 63),
		"/dir/" + strings.Repeat("b", 100): strings.Repeat("b", 64),
		"":                                 "",
		"/":                                "",
	} {
		if got := cleanName(in); got != want {
			t.Errorf("cleanName(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzCleanName(f *testing.F) {
	f.Add("/usr/sbin/php-fpm8.2")
	f.Add("a\x00\n\u2028\xf0\x9f")
	f.Fuzz(func(t *testing.T, in string) {
		got := cleanName(in)
		if len(got) > maxProgram || !utf8.ValidString(got) || strings.Contains(got, "/") ||
			strings.ContainsFunc(got, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("cleanName(%q) = %q", in, got)
		}
	})
}
