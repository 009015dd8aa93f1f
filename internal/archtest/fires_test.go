package archtest

import (
	"strings"
	"testing"
)

// A rule that never fires keeps nothing, so each is tried on a package that
// breaks it, and on one that does not.
func TestImportRules(t *testing.T) {
	tests := []struct {
		path, imported string
		want           string // part of the fault; "": it is allowed
	}{
		{"internal/config", "rolecall/internal/privatefile", ""},
		{"internal/slot", "rolecall/internal/creds", ""},
		{"internal/daemon", "rolecall/internal/slot", ""},
		{"internal/cli", "rolecall/internal/daemon", ""},
		{"internal/demo", "rolecall/internal/daemon", ""},
		{"internal/demo", "rolecall/internal/fakeaws", ""},
		{"internal/demo", "net/http", ""},
		{"internal/cli", "rolecall/internal/demo", ""},
		{"internal/mock", "rolecall/internal/fakeaws", ""},
		{"internal/cli", "rolecall/internal/mock", ""},
		{"internal/cli", "github.com/spf13/cobra", ""},
		{"internal/source", "github.com/aws/aws-sdk-go-v2/config", ""},
		{"internal/login", "github.com/aws/aws-sdk-go-v2/service/sso", ""},
		{"internal/awsconfig", "rolecall/internal/creds", ""},
		{"internal/creds", "log/slog", ""},
		{"internal/fakeaws", "net/http", ""},
		{"", "rolecall/internal/cli", ""},

		{"internal/privatefile", "rolecall/internal/creds", "above floor 10"},
		{"internal/creds", "rolecall/internal/slot", "dependencies point down"},
		{"internal/creds", "rolecall/internal/peercred", "both are on floor 20"},
		{"internal/slot", "rolecall/internal/store", "both are on floor 30"},
		{"internal/source", "rolecall/internal/login", "both are on floor 30"},
		{"internal/doctor", "rolecall/internal/daemon", "both are on floor 40"},
		{"internal/daemon", "rolecall/internal/cli", "the command line is the top"},
		{"internal/daemon", "rolecall/internal/elsewhere", "it is on no floor"},
		{"internal/daemon", "rolecall/internal/fakeaws", "only tests, demo, and mock"},
		{"internal/cli", "rolecall/internal/fakeaws", "only tests, demo, and mock"},
		{"internal/demo", "rolecall/internal/mock", "run by its command"},
		{"internal/daemon", "rolecall/internal/demo", "above floor 40"},
		{"internal/demo", "rolecall/internal/cli", "the command line is the top"},
		{"internal/demo", "rolecall/internal/slot", "what programs see"},
		{"internal/demo", "github.com/spf13/cobra", "flags are"},
		{"internal/cli", "net/http", "wire details and locks"},
		{"internal/cli", "sync", "wire details and locks"},
		{"internal/cli", "sync/atomic", "wire details and locks"},
		{"internal/fakeaws", "rolecall/internal/creds", "knows nothing of ours"},
		{"internal/fakeaws", "github.com/aws/aws-sdk-go-v2/aws", "the AWS SDK"},
		{"", "rolecall/internal/daemon", "main only hands over to cli"},
		{"internal/creds", "net/http", "how they travel"},
		{"internal/creds", "os", "files and environment"},
		{"internal/creds", "log", "cannot log a secret"},
		{"internal/slot", "github.com/aws/aws-sdk-go-v2/aws", "the AWS SDK"},
		{"internal/cli", "github.com/aws/aws-sdk-go-v2/aws", "the AWS SDK"},
		{"internal/daemon", "github.com/spf13/cobra", "flags are"},
		{"internal/daemon", "charm.land/huh/v2", "draws on a terminal"},
		{"internal/doctor", "golang.org/x/term", "speaks to a terminal"},
		{"internal/slot", "rolecall/internal/config", "by its Config struct"},
		{"internal/endpoint", "os/exec", "start a program"},
		{"internal/newcomer", "fmt", "put it on a floor"},
		{"", "os/signal", ""},
	}
	for _, tt := range tests {
		f, err := newFile(tt.path+"/x.go", "package x\n\nimport _ \""+tt.imported+"\"\n")
		if err != nil {
			t.Fatal(err)
		}
		got := strings.Join(importFaults(newPackage(tt.path, f)), "\n")
		if (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%q importing %s: %q, want …%s…", tt.path, tt.imported, got, tt.want)
		}
		// In a test file everything may be imported.
		f, err = newFile(tt.path+"/x_test.go", "package x\n\nimport _ \""+tt.imported+"\"\n")
		if err != nil {
			t.Fatal(err)
		}
		if got := importFaults(newPackage(tt.path, f)); len(got) > 0 {
			t.Errorf("%q importing %s in a test: %q", tt.path, tt.imported, got)
		}
	}
}

func TestFileRules(t *testing.T) {
	tests := []struct{ path, name, text, want string }{
		{"internal/slot", "x.go", "func init() {}", "x.go:1: has an init function"},
		{"internal/cli", "x_test.go", "func init() {}", "has an init function"},
		{"internal/slot", "x.go", "type t int; func (t) init() {}", ""},
		{"internal/slot", "x.go", "import \"os\"\nfunc f() { os.Exit(1) }", "x.go:2: calls os.Exit"},
		{"internal/slot", "x.go", "import sys \"os\"\nvar exit = sys.Exit", "calls os.Exit"},
		{"internal/slot", "x.go", "import \"log\"\nfunc f() { log.Fatalf(\"\") }", "calls log.Fatalf"},
		{"internal/slot", "x.go", "import \"log\"\nfunc f() { log.Println() }", ""},
		{"internal/slot", "x.go", "type o struct{}\nfunc (o) Exit() {}\nfunc f(os o) { os.Exit() }", ""},
		{"internal/slot", "x_test.go", "import \"os\"\nfunc f() { os.Exit(1) }", ""},
		{"internal/cli", "x.go", "import \"os\"\nfunc f() { os.Exit(1) }", ""},
		{"", "main.go", "import \"os\"\nfunc f() { os.Exit(1) }", ""},
		{"internal/slot", "x_test.go", "import \"time\"\nfunc f() { time.Sleep(1) }", "x_test.go:2: calls time.Sleep in a test"},
		{"internal/slot", "x_test.go", "import \"time\"\nfunc f() { time.Sleep(time.Hour) }", ""},
		{"internal/slot", "x_test.go", "import (\n\"testing/synctest\"\n\"time\"\n)\nfunc f() { time.Sleep(1); synctest.Wait() }", ""},
		{"internal/slot", "x.go", "import \"time\"\nfunc f() { time.Sleep(1) }", ""},
		{"internal/slot", "x.go", strings.Repeat("\n", 399), ""},
		{"internal/slot", "x.go", strings.Repeat("\n", 400), "has 401 lines"},
		{"internal/slot", "x_test.go", strings.Repeat("\n", 900), ""},
	}
	for _, tt := range tests {
		f, err := newFile(tt.name, "package x; "+tt.text+"\n")
		if err != nil {
			t.Fatal(err)
		}
		got := strings.Join(fileFaults(newPackage(tt.path, f), f), "\n")
		if (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%s with %.60q: %q, want …%s…", tt.name, tt.text, got, tt.want)
		}
	}
}

// What the tables name must be spelt as a package of ours can be.
func TestTablesNameFloors(t *testing.T) {
	for path := range forbidden() {
		if _, ok := floors()[path]; !ok {
			t.Errorf("forbidden names %s, which is on no floor", path)
		}
	}
	for _, o := range onlys() {
		for _, by := range o.by {
			if _, ok := floors()[by]; !ok {
				t.Errorf("%s may be imported by %s, which is on no floor", o.imported, by)
			}
		}
	}
}
