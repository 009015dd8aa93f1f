package faults_test

import (
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"rolecall/test/faults"
	"rolecall/test/world"
)

func TestMain(m *testing.M) {
	if os.Getenv(asGoClient) != "" {
		goClient(os.Stdout)
		return
	}
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"} {
		for _, n := range []string{name, strings.ToLower(name)} {
			_ = os.Unsetenv(n) // upstreams with a name must not be asked for elsewhere
		}
	}
	net.DefaultResolver = stubResolver()
	flag.Parse()
	if err := flag.Set("test.parallel", "24"); err != nil { // most of their time is spent waiting
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(world.Main(func() int {
		code := m.Run()
		if run := flag.Lookup("test.run"); code == 0 && run.Value.String() == "" && runtime.GOOS != "windows" { // where signals and the like are missing
			code = results.complete()
		}
		return code
	}))
}

// recorder keeps what the tests measured.
type recorder struct {
	mu   sync.Mutex
	seen map[int]faults.Result
}

var results = recorder{seen: map[int]faults.Result{}}

// row records the figure of a row.
func row(t *testing.T, n int, reached bool, figure string, args ...any) {
	t.Helper()
	results.add(t, faults.Record(t, n, reached, figure, args...))
}

// leftOut records why a row cannot be tried on this machine, and skips the test.
func leftOut(t *testing.T, n int, why string) {
	t.Helper()
	one := faults.Result{Row: n, LeftOut: why}
	results.add(t, one)
	if err := faults.Save(one); err != nil {
		t.Error(err)
	}
	t.Skip(why)
}

func (r *recorder) add(t *testing.T, one faults.Result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, twice := r.seen[one.Row]; twice {
		t.Errorf("row %d is recorded twice", one.Row)
	}
	r.seen[one.Row] = one
}

// complete is the last test: every row was recorded. With the race detector, row
// 58 is reached by then, as any report would have failed something.
func (r *recorder) complete() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	code := 0
	for _, row := range faults.Matrix() {
		if _, there := r.seen[row.N]; !there && row.LeftOut == "" && row.In() == "test/faults" && row.N != raceRow {
			fmt.Fprintf(os.Stderr, "row %d (%s) was not recorded\n", row.N, row.Fault)
			code = 1
		}
	}
	last := faults.Result{Row: raceRow, LeftOut: "this run was without the race detector"}
	if faults.RaceDetector {
		last = faults.Result{Row: raceRow, Figure: fmt.Sprintf("0 reports over %d rows, in the tests and in the daemons they run", len(r.seen)), Reached: code == 0, Short: testing.Short()}
	}
	if err := faults.Save(last); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	return code
}

const raceRow = 58

func orElse(text, other string) string {
	if text == "" {
		return other
	}
	return text
}

func TestMatrixIsWhole(t *testing.T) {
	all := faults.Matrix()
	if len(all) < raceRow {
		t.Errorf("%d rows", len(all))
	}
	for i, r := range all {
		if r.N != i+1 || r.Fault == "" || r.Promise == "" || r.Reach == "" || r.LeftOut != "" && r.Missed != "" {
			t.Errorf("row %d: %+v", i+1, r)
		}
	}
}

// The page is made of results, which are not in the repository; what stands in
// it whatever was measured is compared.
func TestPageListsEveryRow(t *testing.T) {
	if os.Getenv("ROLECALL_RESULTS") != "" {
		return // it is about to be made
	}
	file := filepath.Join("..", "..", "docs", "reliability.md")
	page, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v; make it with: make reliability", err)
	}
	for _, r := range faults.Matrix() {
		cells := faults.Cells(r)
		n := strings.Count(string(page), "\n"+cells)
		if n != 1 {
			t.Errorf("row %d stands in docs/reliability.md %d times as %q; make it anew with: make reliability", r.N, n, cells)
		}
		if r.LeftOut != "" && !strings.Contains(string(page), r.LeftOut) {
			t.Errorf("why row %d is left out is not in docs/reliability.md; make it anew with: make reliability", r.N)
		}
	}
}

func TestPage(t *testing.T) {
	lines := `{"row":1,"figure":"0 of 10,000","reached":true,"where":{"date":"2026-01-02","go":"go1","machine":"m"}}
{"row":2,"figure":"11 s","where":{"date":"2026-01-02","go":"go1","machine":"m"}}
{"row":58,"figure":"0 reports","reached":true,"where":{"date":"2026-01-02","go":"go1","machine":"m","race":true}}
{"row":58,"left_out":"no race detector","where":{"date":"2026-01-02","go":"go1","machine":"m"}}
`
	got, err := faults.Results(strings.NewReader(lines))
	if err != nil {
		t.Fatal(err)
	}
	page := faults.Page(got)
	for _, want := range []string{"| yes | 0 of 10,000 |", "| no | 11 s |", "| yes | 0 reports |", "## Missed\n\n- 2, ", "## Left out\n\n- 3, 4, 5, 6, ",
		"Measured on 2026-01-02 with go1 on m.\nRow 58: on 2026-01-02 with go1 and the race detector on m.\n"} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is not in the page:\n%s", want, page)
		}
	}
	if _, err := faults.Results(strings.NewReader("{")); err == nil {
		t.Error("read half a line")
	}
}
