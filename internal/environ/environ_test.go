package environ

import (
	"maps"
	"testing"
)

func TestBlock(t *testing.T) {
	t.Parallel()
	for block, want := range map[string]map[string]string{
		"":                             {},
		"\x00\x00":                     {},
		"A=1\x00B=\x00C=x=y\x00D=last": {"A": "1", "B": "", "C": "x=y", "D": "last"},
		"A=1\x00A=2\x00":               {"A": "1"},
		"=C=2\x00junk\x00=\x00":        {},
		"A=line\nbreak\x00":            {"A": "line\nbreak"},
	} {
		if got := Block([]byte(block)); !maps.Equal(got, want) {
			t.Errorf("%q: %v, want %v", block, got, want)
		}
	}
}
