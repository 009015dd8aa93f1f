package doctor

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the made parts of docs anew")

const docs = "../../docs"

// docs/troubleshooting.md and the table in docs/doctor.md are made of the
// tables that the checks use, so they cannot say something else.
func TestPagesAreMadeOfTheTables(t *testing.T) {
	t.Parallel()
	check := func(name, want string, got string) {
		if got == want {
			return
		}
		if !*update {
			t.Errorf("%s is not what the tables say: go test ./internal/doctor -run Pages -update", name)
			return
		}
		if err := os.WriteFile(filepath.Join(docs, name), []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	read := func(name string) string {
		b, err := os.ReadFile(filepath.Join(docs, name))
		if err != nil && !*update {
			t.Fatal(err)
		}
		return string(b)
	}
	check("troubleshooting.md", Troubleshooting(), read("troubleshooting.md"))
	const begin, end = "<!-- made of the tables in internal/doctor -->\n", "<!-- end of it -->"
	page := read("doctor.md")
	head, rest, ok := strings.Cut(page, begin)
	_, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("docs/doctor.md has no place for the table")
	}
	check("doctor.md", head+begin+Table()+end+tail, page)
}
