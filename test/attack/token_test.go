package attack_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rolecall/internal/fakeaws"
	"rolecall/test/world"
)

// 10^5 guesses over a few connections, in bursts, while a good client reads.
func TestGuessingTokens(t *testing.T) {
	t.Parallel()
	guesses := 100_000
	if testing.Short() {
		guesses = 10_000
	}
	const guessers, burst = 4, 100
	w := world.New(t, fakeaws.Config{})
	d := w.Serve("--load", "dev", "--auth", "token", "--log-level", "error")
	right := tokenOf(t, w)
	works(t, d, "Authorization: "+right)
	var hits, refused, slowed atomic.Int64
	var wg sync.WaitGroup
	began := time.Now()
	for g := range guessers {
		wg.Go(func() {
			c, err := net.Dial("tcp", d.Addr())
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = c.Close() }()
			buf := make([]byte, 256<<10)
			for i := 0; i < guesses/guessers; i += burst {
				var b strings.Builder
				for k := range burst {
					b.WriteString(lines("GET / HTTP/1.1", "Host: "+d.Addr(), "Authorization: "+guess(right, g, i+k)))
				}
				_ = c.SetDeadline(time.Now().Add(60 * time.Second))
				go func() { _, _ = io.WriteString(c, b.String()) }()
				n := 0
				for answered := 0; answered < burst; answered = strings.Count(string(buf[:n]), "}") {
					got, err := c.Read(buf[n:])
					if n += got; err != nil {
						t.Errorf("after %d answers: %v", answered, err)
						return
					}
				}
				text := string(buf[:n])
				refused.Add(int64(strings.Count(text, "HTTP/1.1 401 ")))
				slowed.Add(int64(strings.Count(text, "HTTP/1.1 429 ")))
				hits.Add(int64(strings.Count(text, "HTTP/1.1 200 ") + strings.Count(text, world.Canary)))
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	reads, worst := 0, time.Duration(0)
	good := newSession(t, d.Addr())
	request := lines("GET / HTTP/1.1", "Host: "+d.Addr(), "Authorization: "+right)
	for reading := true; reading; {
		select {
		case <-done:
			reading = false
		default:
			at := time.Now()
			if answer := good.do(request); !credentials(answer) {
				t.Fatalf("the good client got %.60q", answer)
			}
			reads++
			worst = max(worst, time.Since(at))
		}
	}
	if hits.Load() != 0 || refused.Load()+slowed.Load() != int64(guesses) {
		t.Errorf("%d hits, %d refused and %d told to slow down of %d", hits.Load(), refused.Load(), slowed.Load(), guesses)
	}
	t.Logf("%d guesses in %v: %d hits, %d of them 429; a good client read %d times meanwhile with 0 errors, the slowest in %v",
		guesses, time.Since(began).Round(time.Millisecond), hits.Load(), slowed.Load(), reads, worst.Round(time.Microsecond))
}

// guess is never the right token; some share a beginning or an end with it.
func guess(right string, g, i int) string {
	switch n := i % 4; n {
	case 0:
		return right[:i%len(right)]
	case 1:
		return right + strconv.Itoa(i)
	case 2:
		at := i % len(right)
		return right[:at] + string('A'+(right[at]-'A'+1)%26) + right[at+1:]
	}
	return fmt.Sprintf("%043x", g<<32|i)
}

// Only what speaks to clients gets tokens presented; elsewhere the words stand
// for other things.
var presented = []string{"endpoint", "daemon", "control", "login"}

// No code of ours compares a token with == or anything else that ends at the
// first difference. The authorization token is compared in one place, by
// subtle.ConstantTimeCompare (internal/endpoint, knows), and the state that a
// browser brings back in another (internal/login); an IMDS token is opened, which
// compares it in constant time, and not looked up.
func TestNoTokenIsComparedByEquality(t *testing.T) {
	root := filepath.Join("..", "..", "internal")
	compared, files := 0, 0
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() && e.Name() == "fakeaws" {
			return cmp(err, fs.SkipDir)
		}
		if e.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		files++
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.BinaryExpr:
				if !slices.Contains(presented, filepath.Base(filepath.Dir(path))) {
					break
				}
				if (n.Op == token.EQL || n.Op == token.NEQ) && (secret(n.X) && !empty(n.Y) || secret(n.Y) && !empty(n.X)) {
					t.Errorf("%s: a token is compared with %s", set.Position(n.Pos()), n.Op)
				}
			case *ast.CallExpr:
				switch name := called(n); name {
				case "bytes.Equal", "bytes.Compare", "strings.Compare", "strings.EqualFold", "slices.Equal":
					for _, a := range n.Args {
						if secret(a) {
							t.Errorf("%s: a token is given to %s", set.Position(n.Pos()), name)
						}
					}
				case "subtle.ConstantTimeCompare":
					compared++
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if compared != 3 || files < 50 {
		t.Errorf("%d constant-time comparisons in %d files, want 3: is this test looking in the right place?", compared, files)
	}
}

func cmp(err, or error) error {
	if err != nil {
		return err
	}
	return or
}

// secret says whether an expression's name tells of a token that somebody
// presents or must present.
func secret(e ast.Expr) bool {
	name := ""
	switch e := e.(type) {
	case *ast.Ident:
		name = e.Name
	case *ast.SelectorExpr:
		name = e.Sel.Name
	case *ast.CallExpr:
		if sel, ok := e.Fun.(*ast.SelectorExpr); ok && sel.Sel.Name == "Reveal" {
			return true
		}
		return secret(e.Fun)
	case *ast.ParenExpr:
		return secret(e.X)
	case *ast.IndexExpr:
		return secret(e.X)
	}
	name = strings.ToLower(name)
	for _, plain := range []string{"file", "path", "var", "err", "kind", "timeout", "wiretoken", "rawtoken", "metadatatoken"} {
		if strings.Contains(name, plain) {
			return false
		}
	}
	for _, word := range []string{"token", "given", "authorization", "secret", "hashes"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}

// empty says whether an expression is "", nil or a number.
func empty(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.BasicLit:
		return e.Kind == token.INT || e.Value == `""`
	case *ast.Ident:
		return e.Name == "nil"
	}
	return false
}

func called(c *ast.CallExpr) string {
	sel, ok := c.Fun.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	if x, ok := sel.X.(*ast.Ident); ok {
		return x.Name + "." + sel.Sel.Name
	}
	return ""
}
