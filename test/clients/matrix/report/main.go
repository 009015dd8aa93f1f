// Report makes docs/clients.md of the results of the matrix of clients:
//
//	go run ./test/clients/matrix/report -o docs/clients.md RESULTS
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"rolecall/test/clients/matrix"
)

func main() {
	out := flag.String("o", filepath.Join("docs", "clients.md"), "the page to write")
	flag.Parse()
	if err := run(*out, flag.Arg(0)); err != nil {
		fmt.Fprintln(os.Stderr, "report: error:", err)
		os.Exit(1)
	}
}

func run(out, file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	results, err := matrix.Results(f)
	if err != nil {
		return err
	}
	if len(results) == 0 {
		return errors.New("there are no results")
	}
	return os.WriteFile(out, []byte(matrix.Page(results)), 0o644)
}
