package archtest

import (
	"fmt"
	"go/ast"
	"go/token"
	"slices"
	"strconv"
	"strings"
)

// maxLines is how long a file may be that is no test.
const maxLines = 400

// fileFaults is what is wrong with one file.
func fileFaults(p pkg, f file) (faults []string) {
	fault := func(pos token.Pos, format string, args ...any) {
		where := f.name
		if pos.IsValid() {
			where += ":" + strconv.Itoa(f.set.Position(pos).Line)
		}
		faults = append(faults, where+": "+fmt.Sprintf(format, args...))
	}
	if !f.test && f.lines > maxLines {
		fault(token.NoPos, "has %d lines, and %d are the limit: a file that long does more than one job", f.lines, maxLines)
	}
	for _, d := range f.ast.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
			fault(fn.Pos(), "has an init function: what runs at import cannot be tested, ordered or refused")
		}
	}
	// In a bubble of testing/synctest, time is not real and sleeping is how it
	// passes; a file that imports it is taken to sleep nowhere else.
	maySleep := !f.test || f.imports("testing/synctest")
	mayExit := f.test || p.path == "" || p.path == "internal/cli" || belowTest(p.path)
	ast.Inspect(f.ast, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok && f.hangs(call) {
			return false
		}
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		switch name := f.qualified(sel); {
		case !mayExit && (name == "os.Exit" || strings.HasPrefix(name, "log.Fatal") || strings.HasPrefix(name, "log.Panic")):
			fault(sel.Pos(), "calls %s: only main and cli end the process; return an error", name)
		case !maySleep && name == "time.Sleep":
			fault(sel.Pos(), "calls time.Sleep in a test: it is either too short or too long; wait for the event, or use testing/synctest")
		}
		return true
	})
	return faults
}

// hangs says whether call is time.Sleep(time.Hour), which waits for nothing: it
// is how a child process plays dead until it is killed.
func (f file) hangs(call *ast.CallExpr) bool {
	fn, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || f.qualified(fn) != "time.Sleep" || len(call.Args) != 1 {
		return false
	}
	arg, ok := call.Args[0].(*ast.SelectorExpr)
	return ok && f.qualified(arg) == "time.Hour"
}

func (f file) imports(path string) bool {
	return slices.ContainsFunc(f.ast.Imports, func(s *ast.ImportSpec) bool { return s.Path.Value == strconv.Quote(path) })
}

// qualified is "PATH.Name" for the use of another package's name, or "".
func (f file) qualified(sel *ast.SelectorExpr) string {
	x, ok := sel.X.(*ast.Ident)
	if !ok {
		return ""
	}
	for _, spec := range f.ast.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue
		}
		local := path[strings.LastIndexByte(path, '/')+1:]
		if spec.Name != nil {
			local = spec.Name.Name
		}
		if local == x.Name {
			return path + "." + sel.Sel.Name
		}
	}
	return ""
}
