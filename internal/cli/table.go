package cli

import (
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// table aligns columns. Unlike text/tabwriter it does not count colours.
type table struct {
	rows   [][]string
	colour []map[int]string // :: of a row: column → escape sequence
}

const columnGap = "  "

func (t *table) row(cells ...string) {
	t.rows = append(t.rows, cells)
	t.colour = append(t.colour, nil)
}

// paint colours a cell of the last row.
func (t *table) paint(column int, escape string) {
	last := len(t.rows) - 1
	if t.colour[last] == nil {
		t.colour[last] = map[int]string{}
	}
	t.colour[last][column] = escape
}

// lines are the rows, without blanks at their ends.
func (t *table) lines() []string {
	var widths []int
	for _, r := range t.rows {
		for i, c := range r {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], cellWidth(c))
		}
	}
	lines := make([]string, len(t.rows))
	for n, r := range t.rows {
		var b strings.Builder
		for i, c := range r {
			blank := strings.Repeat(" ", widths[i]-cellWidth(c))
			if e := t.colour[n][i]; e != "" && c != "" {
				c = e + c + colourOff
			}
			b.WriteString(c + blank + columnGap)
		}
		lines[n] = strings.TrimRight(b.String(), " ")
	}
	return lines
}

// clip shortens s to at most n columns.
func clip(s string, n int) string { return ansi.Truncate(s, max(n, 1), "…") }

// cellWidth is how many columns of a terminal s takes: Chinese and Japanese
// characters take two, accents that stand beside their letter none.
func cellWidth(s string) int {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return ansi.StringWidth(s)
		}
	}
	return len(s)
}

const (
	colourOff    = "\x1b[m"
	colourRed    = "\x1b[31m"
	colourGreen  = "\x1b[32m"
	colourYellow = "\x1b[33m"
	colourFaint  = "\x1b[2m"
)

// colours says whether stdout takes them: https://no-color.org.
func (a *app) colours() bool {
	return terminal(a.stdout) && a.getenv("NO_COLOR") == "" && a.getenv("TERM") != "dumb"
}
