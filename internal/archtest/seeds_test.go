package archtest

import (
	"go/ast"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Every fuzz target has seeds: a call of f.Add, or files below testdata/fuzz.
// Without them, the target does nothing in an ordinary run of the tests.
func TestFuzzTargetsHaveSeeds(t *testing.T) {
	targets := 0
	for _, p := range load(t) {
		for _, f := range p.files {
			for _, d := range f.ast.Decls {
				fn, ok := d.(*ast.FuncDecl)
				if !f.test || !ok || fn.Recv != nil || !strings.HasPrefix(fn.Name.Name, "Fuzz") {
					continue
				}
				targets++
				files, _ := os.ReadDir(filepath.Join("..", "..", filepath.Dir(f.name), "testdata", "fuzz", fn.Name.Name))
				if !adds(fn) && len(files) == 0 {
					t.Errorf("%s: %s has no seeds", f.name, fn.Name.Name)
				}
			}
		}
	}
	if targets < 20 {
		t.Errorf("%d fuzz targets: is this test looking in the right place?", targets)
	}
	t.Logf("%d fuzz targets, all with seeds", targets)
}

func adds(fn *ast.FuncDecl) (found bool) {
	ast.Inspect(fn, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok && sel.Sel.Name == "Add" {
			found = true
		}
		return !found
	})
	return found
}
