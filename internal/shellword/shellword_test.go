package shellword

import "testing"

func TestWord(t *testing.T) {
	for text, want := range map[string]string{
		"": "''", "plain-_./:@%+,=0": "plain-_./:@%+,=0", "a b": "'a b'", "it's": `'it'\''s'`, "$(x)": "'$(x)'", "größe": "'größe'", "~": "'~'",
	} {
		if got := Word(text); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"dev", "dev", 0}, {"dve", "dev", 1}, {"prod", "prd", 1}, {"stage", "staging", 3}, {string(make([]byte, 129)), "", 128}} {
		if got := Distance(tt.a, tt.b); got != tt.want || Distance(tt.b, tt.a) != tt.want {
			t.Errorf("%q, %q: %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}

func TestNearest(t *testing.T) {
	names := []string{"listen", "hosts", "metrics"}
	for word, want := range map[string]string{"lsiten": "listen", "HOSTS": "hosts", "metric": "metrics", "nothing": "", "h": ""} {
		if got := Nearest(word, names); got != want {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
}
