package doctor

import (
	"bytes"
	"testing"
)

func FuzzStrict(f *testing.F) {
	for text := range strictTexts() {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		line, why := strictFault(text)
		if (line == 0) != (why == "") || line > bytes.Count(text, []byte("\n"))+1 {
			t.Errorf("line %d %q", line, why)
		}
		// What comes after the fault changes nothing.
		if again, _ := strictFault(append(bytes.Clone(text), "\n[another]\nx = 1\n"...)); line > 0 && again != line {
			t.Errorf("line %d, and %d with more behind", line, again)
		}
	})
}
