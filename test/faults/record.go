package faults

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Record notes what a test measured of a row, and fails it when the number is
// not reached, unless the matrix says why it cannot be.
func Record(t testing.TB, n int, reached bool, figure string, args ...any) Result {
	t.Helper()
	figure = fmt.Sprintf(figure, args...)
	r := rowOf(t, n)
	switch {
	case !reached && r.Missed == "":
		t.Errorf("row %d (%s): %s; to reach: %s", n, r.Fault, figure, r.Reach)
	case reached && r.Missed != "":
		t.Errorf("row %d (%s) is reached now: take out why it is not", n, r.Fault)
	default:
		t.Logf("row %d (%s): %s", n, r.Fault, figure)
	}
	one := Result{Row: n, Figure: figure, Reached: reached && !t.Failed(), Short: testing.Short()}
	if err := Save(one); err != nil {
		t.Error(err)
	}
	return one
}

// resultsFile is the variable that names the file for results: they are taken
// for the page, on a machine that does nothing else.
const resultsFile = "ROLECALL_RESULTS"

// slack is what Within adds. What blocks where it must not blocks for longer.
const slack = 4 * time.Second

// Within says whether a time keeps to its limit: to the letter where results are
// taken for the page, with slack elsewhere, where a machine may be busy with
// other things and a test is not the place for figures.
func Within(took, limit time.Duration) bool {
	if os.Getenv(resultsFile) == "" {
		limit += slack
	}
	return took <= limit
}

func rowOf(t testing.TB, n int) Row {
	t.Helper()
	all := Matrix()
	i := slices.IndexFunc(all, func(r Row) bool { return r.N == n })
	if i < 0 || all[i].LeftOut != "" {
		t.Fatalf("row %d is not one that has a test", n)
	}
	return all[i]
}

// Save appends a result to the file that resultsFile names, if any.
func Save(one Result) error {
	file := os.Getenv(resultsFile)
	if file == "" {
		return nil
	}
	one.Where = here()
	b, err := json.Marshal(one)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(append(b, '\n'))
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}

// here is this machine, as the page names it.
var here = sync.OnceValue(func() Where {
	return Where{Date: time.Now().UTC().Format(time.DateOnly), Go: runtime.Version(), Machine: machine(), Race: RaceDetector}
})

func machine() string {
	text := fmt.Sprintf("%d × %s", runtime.NumCPU(), orElse(LineOf("/proc/cpuinfo", "model name"), runtime.GOARCH))
	var kib int
	if _, err := fmt.Sscanf(LineOf("/proc/meminfo", "MemTotal"), "%d kB", &kib); err == nil {
		text += fmt.Sprintf(", %d GiB", (kib+1<<19)>>20)
	}
	release, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	version, _, _ := strings.Cut(strings.TrimSpace(string(release)), "-")
	return text + ", " + strings.TrimSpace(runtime.GOOS+" "+version)
}

// LineOf is the value in the first line "name: value" of a file, or "".
func LineOf(file, name string) string {
	b, _ := os.ReadFile(file)
	for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan(); {
		if k, v, ok := strings.Cut(s.Text(), ":"); ok && strings.TrimSpace(k) == name {
			return strings.TrimSpace(v)
		}
	}
	return ""
}
