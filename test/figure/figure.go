// Package figure notes what tests measured, for the page on performance.
package figure

import (
	"encoding/json"
	"os"
	"testing"
)

// Note logs a figure, fails the test when it was missed, and adds a line of JSON
// to the file that ROLECALL_FIGURES names, if any.
func Note(t testing.TB, what, reach, got string, missed bool) {
	t.Helper()
	t.Logf("%s: %s, to reach %s", what, got, reach)
	if missed {
		t.Errorf("%s: %s, to reach %s", what, got, reach)
	}
	path := os.Getenv("ROLECALL_FIGURES")
	if path == "" {
		return
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if err := json.NewEncoder(f).Encode(map[string]any{"What": what, "Reach": reach, "Got": got, "Missed": missed}); err != nil {
		t.Fatal(err)
	}
}
