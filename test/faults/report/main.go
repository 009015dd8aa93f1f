// Report makes docs/reliability.md of the results of the fault matrix:
//
//	go run ./test/faults/report -o docs/reliability.md RESULTS…
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"rolecall/test/faults"
)

func main() {
	out := flag.String("o", filepath.Join("docs", "reliability.md"), "the page to write")
	flag.Parse()
	if err := run(*out, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "report: error:", err)
		os.Exit(1)
	}
}

func run(out string, files []string) error {
	if len(files) == 0 {
		return errors.New("name the files of results, which go test ./test/faults writes to $ROLECALL_RESULTS")
	}
	var all bytes.Buffer
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		all.Write(b)
	}
	results, err := faults.Results(&all)
	if err != nil {
		return err
	}
	if len(results) == 0 {
		return errors.New("there are no results")
	}
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return err
	}
	return os.WriteFile(out, []byte(faults.Page(results)), 0o644)
}
