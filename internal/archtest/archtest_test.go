// Package archtest keeps the architecture as a test: which package may import
// which, and a few habits of all files. Every rule tells its reason when it is
// broken. It has no code outside of tests.
package archtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// pkg is one package of the module, with its files for every platform.
type pkg struct {
	path    string // below the module's root; "" is main
	imports []string
	files   []file
}

// file is one Go file.
type file struct {
	name  string // below the module's root
	test  bool
	lines int
	set   *token.FileSet
	ast   *ast.File
}

func (p pkg) name() string {
	if p.path == "" {
		return "main"
	}
	return p.path
}

// testOnly says whether all files are tests: such a package (this one, tests of
// the whole) may import what it likes and stands on no floor.
func (p pkg) testOnly() bool {
	return !slices.ContainsFunc(p.files, func(f file) bool { return !f.test })
}

func newFile(name, text string) (file, error) {
	set := token.NewFileSet()
	parsed, err := parser.ParseFile(set, name, text, parser.SkipObjectResolution)
	if err != nil {
		return file{}, err
	}
	return file{name, strings.HasSuffix(name, "_test.go"), strings.Count(text, "\n"), set, parsed}, nil
}

func newPackage(path string, files ...file) pkg {
	p := pkg{path: path, files: files}
	for _, f := range files {
		if f.test {
			continue
		}
		for _, spec := range f.ast.Imports {
			if path, err := strconv.Unquote(spec.Path.Value); err == nil && !slices.Contains(p.imports, path) {
				p.imports = append(p.imports, path)
			}
		}
	}
	return p
}

// load asks go list for the module's packages, and reads all their files, also
// those that other platforms build.
func load(t *testing.T) []pkg {
	t.Helper()
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Dir,GoFiles,CgoFiles,IgnoredGoFiles,TestGoFiles,XTestGoFiles", "./...")
	cmd.Dir = root
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, &stderr)
	}
	var all []pkg
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var l struct {
			ImportPath, Dir                                              string
			GoFiles, CgoFiles, IgnoredGoFiles, TestGoFiles, XTestGoFiles []string
		}
		if err := dec.Decode(&l); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(l.ImportPath+"/", "/node_modules/") {
			continue // what npm installed for the tests
		}
		path, ok := relative(l.ImportPath)
		if !ok {
			t.Fatalf("%s is not below the module %s: has it been renamed?", l.ImportPath, module)
		}
		var files []file
		for _, name := range slices.Concat(l.GoFiles, l.CgoFiles, l.IgnoredGoFiles, l.TestGoFiles, l.XTestGoFiles) {
			text, err := os.ReadFile(filepath.Join(l.Dir, name))
			if err != nil {
				t.Fatal(err)
			}
			f, err := newFile(filepath.ToSlash(filepath.Join(path, name)), string(text))
			if err != nil {
				t.Errorf("cannot be checked: %v", err)
				continue
			}
			files = append(files, f)
		}
		if len(files) > 0 {
			all = append(all, newPackage(path, files...))
		}
	}
}

func TestArchitecture(t *testing.T) {
	packages := load(t)
	// This package is one, creds the other that is always there: less means
	// that the test looks in the wrong place.
	if !slices.ContainsFunc(packages, func(p pkg) bool { return p.path == "internal/creds" && len(p.imports) > 0 }) || len(packages) < 2 {
		t.Fatalf("only %d packages seen, and not internal/creds among them", len(packages))
	}
	for _, p := range packages {
		for imported := range exceptions()[p.path] {
			if !slices.Contains(p.imports, module+"/"+imported) {
				t.Errorf("%s does not import %s any more: take the exception out", p.name(), imported)
			}
		}
		for _, fault := range importFaults(p) {
			t.Error(fault)
		}
		for _, f := range p.files {
			for _, fault := range fileFaults(p, f) {
				t.Error(fault)
			}
		}
	}
	t.Logf("%d packages checked", len(packages))
}
