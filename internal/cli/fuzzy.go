package cli

import (
	"cmp"
	"slices"
	"strings"
	"unicode/utf8"
)

// searchable is an entry of the picker as the filter sees it.
type searchable struct {
	name string // lower case
	all  string // name and everything else that is shown, lower case
}

// match ranks entries against what was typed: every word must be found, in the
// name or elsewhere, as it is or with letters left out ("prdadm" finds
// "prod-admin"). The answer holds the indices of those found, best first, and
// in their given order among equals.
func match(entries []searchable, typed string) []int {
	words := strings.Fields(strings.ToLower(typed))
	type hit struct{ index, score int }
	hits := make([]hit, 0, len(entries))
next:
	for i, e := range entries {
		total := 0
		for _, w := range words {
			s := e.score(w)
			if s == 0 {
				continue next
			}
			total += s
		}
		hits = append(hits, hit{i, total})
	}
	slices.SortStableFunc(hits, func(a, b hit) int { return cmp.Compare(b.score, a.score) })
	found := make([]int, len(hits))
	for i, h := range hits {
		found[i] = h.index
	}
	return found
}

// score of one word; zero: not found.
func (e searchable) score(word string) int {
	switch i := strings.Index(e.name, word); {
	case e.name == word:
		return 1000
	case i == 0:
		return 800
	case i > 0 && strings.ContainsRune("-_./: ", rune(e.name[i-1])):
		return 700 // at the beginning of a part of the name
	case i > 0:
		return 600
	}
	if strings.Contains(e.all, word) {
		return 500
	}
	if spread := gaps(e.name, word); spread >= 0 {
		return max(400-10*spread, 100)
	}
	if spread := gaps(e.all, word); spread >= 0 {
		return max(90-spread, 1)
	}
	return 0
}

// gaps is how many runs of other letters stand between those of word in s; -1
// when s does not have them all in this order.
func gaps(s, word string) int {
	count, begun, inRun := 0, false, false
	rest := word
	for _, r := range s {
		want, size := utf8.DecodeRuneInString(rest)
		if size == 0 {
			break
		}
		if r != want {
			inRun = false
			continue
		}
		if begun && !inRun {
			count++
		}
		rest, begun, inRun = rest[size:], true, true
	}
	if rest != "" {
		return -1
	}
	return count
}
