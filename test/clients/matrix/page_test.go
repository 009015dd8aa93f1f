package matrix_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rolecall/test/clients/matrix"
)

// The page has the rows and columns of the matrix, whatever its last run saw.
func TestPageIsOfThisMatrix(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "clients.md"))
	if err != nil {
		t.Fatal(err)
	}
	page := string(b)
	if !strings.Contains(page, matrix.Head()) {
		t.Errorf("docs/clients.md has other columns; make clients")
	}
	for _, c := range matrix.Clients() {
		if !strings.Contains(page, "\n| "+c.Name) {
			t.Errorf("docs/clients.md has no row for %s; make clients", c.Name)
		}
	}
	for _, reason := range matrix.Cannot() {
		if !strings.Contains(page, reason) {
			t.Errorf("docs/clients.md does not say %q; make clients", reason)
		}
	}
	for _, bad := range []string{"unexpected: ", "not in the last run"} {
		if strings.Contains(page, bad) {
			t.Errorf("docs/clients.md is of a run in which something was %q", bad)
		}
	}
}

func TestPage(t *testing.T) {
	results := []matrix.Result{
		{Client: "go-v2", Way: matrix.V2, Version: "1.2", Works: true, Date: "2026-01-02", Machine: "linux/amd64"},
		{Client: "go-v2", Way: matrix.V1, Version: "1.2", Said: "what | it said"},
		{Client: "go-v2", Way: matrix.EKS, LeftOut: "why not"},
		{Client: "php-async-aws", Way: matrix.V2, Said: "no"},
	}
	page := matrix.Page(results)
	for _, want := range []string{"Measured on 2026-01-02 on linux/amd64.", "| SDK for Go v2 1.2 | ", "| yes | **no** [", "unexpected: what | it said", ". why not\n",
		". " + matrix.Cannot()[[2]string{"php-async-aws", matrix.V2}] + "\n", ". not in the last run\n"} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is not in\n%s", want, page)
		}
	}
	for key := range matrix.Cannot() {
		known := 0
		for _, c := range matrix.Clients() {
			if c.Key == key[0] {
				known++
			}
		}
		for _, w := range matrix.Ways() {
			if w.Key == key[1] {
				known++
			}
		}
		if known != 2 {
			t.Errorf("%v is not of the matrix", key)
		}
	}
}
