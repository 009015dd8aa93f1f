package doctor

import (
	"testing"
	"time"
)

// Workers from before the reload may still answer: what they see empty is no
// proof that the master does not have it.
func TestSettled(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		lacks unproved
		since time.Duration
		want  bool
	}{
		{"empty at once", unproved{empty: varRelative}, 0, false},
		{"empty while old workers may answer", unproved{empty: varRelative}, oldWorkers - 1, false},
		{"empty later", unproved{empty: varRelative}, oldWorkers, true},
		{"not seen", unproved{}, proveWithin, false},
		{"a token that cannot be read", unproved{final: true}, 0, true},
	} {
		if got := tt.lacks.settled(tt.since); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}
