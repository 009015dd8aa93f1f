package phpfpm

import (
	"fmt"
	"strings"
)

// Diff shows a change as diff -u does, with two lines around it.
func (c Change) Diff() string {
	a, b := lines(c.Before), lines(c.After)
	first := 0 // lines that are the same at the beginning, and at the end
	for first < len(a) && first < len(b) && a[first] == b[first] {
		first++
	}
	last := 0
	for last < len(a)-first && last < len(b)-first && a[len(a)-1-last] == b[len(b)-1-last] {
		last++
	}
	from := max(0, first-around)
	endA, endB := min(len(a), len(a)-last+around), min(len(b), len(b)-last+around)
	var out strings.Builder
	fmt.Fprintf(&out, "--- %s\n+++ %s\n@@ -%d,%d +%d,%d @@\n", c.File, c.File, from+1, endA-from, from+1, endB-from)
	put := func(mark string, all []string) {
		for _, l := range all {
			out.WriteString(mark + l + "\n")
		}
	}
	put(" ", a[from:first])
	middle(a[first:len(a)-last], b[first:len(b)-last], put)
	put(" ", a[len(a)-last:endA])
	return out.String()
}

const around = 2

// middle writes a part that differs at both ends: line for line where it only
// grew or a few lines were replaced, which is all that Plan does.
func middle(a, b []string, put func(string, []string)) {
	for len(a) > 0 && len(b) > 0 {
		if a[0] == b[0] {
			put(" ", a[:1])
			a, b = a[1:], b[1:]
			continue
		}
		n := 0 // how many lines of b come before a's next line
		for n < len(b) && b[n] != a[0] {
			n++
		}
		if n < len(b) {
			put("+", b[:n])
			b = b[n:]
			continue
		}
		put("-", a[:1])
		a = a[1:]
		if len(a) > 0 && b[0] != a[0] && len(a) >= len(b) || len(a) == 0 {
			continue
		}
		if len(a) > 0 && b[0] != a[0] {
			put("+", b[:1])
			b = b[1:]
		}
	}
	put("-", a)
	put("+", b)
}

func lines(b []byte) []string {
	all := strings.Split(string(b), "\n")
	if n := len(all); all[n-1] == "" {
		all = all[:n-1]
	}
	for i := range all {
		all[i] = strings.TrimSuffix(all[i], "\r")
	}
	return all
}
