package faults

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// Result is what one test measured of one row. Results are written one a line,
// as JSON, to the file that ROLECALL_RESULTS names.
type Result struct {
	Row     int    `json:"row"`
	Figure  string `json:"figure,omitempty"`
	Reached bool   `json:"reached,omitempty"`
	LeftOut string `json:"left_out,omitempty"` // why it was not measured on this machine
	Short   bool   `json:"short,omitempty"`    // go test -short, with smaller numbers
	Where   Where  `json:"where"`
}

// Where is on what a result was measured.
type Where struct {
	Date    string `json:"date"` // 2026-01-02
	Go      string `json:"go"`
	Machine string `json:"machine"`
	Race    bool   `json:"race,omitempty"` // with the race detector
}

// Results reads lines of results. Of several for one row the last one counts,
// but a figure goes before the news that there is none.
func Results(r io.Reader) (map[int]Result, error) {
	found := map[int]Result{}
	for d := json.NewDecoder(r); ; {
		var one Result
		if err := d.Decode(&one); err == io.EOF {
			return found, nil
		} else if err != nil {
			return nil, fmt.Errorf("reading results: %w", err)
		}
		if one.LeftOut != "" && found[one.Row].Figure != "" {
			continue
		}
		found[one.Row] = one
	}
}

const preamble = `# Reliability

What rolecall promises when the world around it breaks, the number that shows each
promise, and the figure that its test reached. This page is made from the tests in
` + "`test/faults`, `internal/store` and `test/process`" + ` by ` + "`make reliability`" + `: change the tests and not the page.

Rules about time are tried in fake time, with a wall clock and a boot clock that can be
stepped and put to sleep; the rest against the real program with a fake AWS behind it,
through a proxy that breaks connections on order. "Attempt" is one retrieval of one slot;
a broken connection or a bare 5xx is tried again within it. Where other work on
the machine can only add to a figure of time, the best of up to three rounds counts.

`

// Page is the whole of docs/reliability.md.
func Page(results map[int]Result) string {
	var b bytes.Buffer
	b.WriteString(preamble)
	b.WriteString(places(results))
	b.WriteString("\n| # | fault | promise | number to reach | reached | figure |\n|---|---|---|---|---|---|\n")
	var missed, out []string
	rows := map[string][]string{} // :: reason → numbers of rows left out
	for _, row := range Matrix() {
		mark, figure := verdict(row, results)
		fmt.Fprintf(&b, "%s %s | %s |\n", Cells(row), mark, cell(figure))
		switch mark {
		case "no":
			missed = append(missed, fmt.Sprintf("- %d, %s: %s", row.N, row.Fault, orElse(row.Missed, "the last run did not reach it")))
		case "—":
			if rows[figure] == nil {
				out = append(out, figure)
			}
			rows[figure] = append(rows[figure], strconv.Itoa(row.N))
		}
	}
	for i, reason := range out {
		out[i] = fmt.Sprintf("- %s: %s", strings.Join(rows[reason], ", "), reason)
	}
	list(&b, "Missed", missed)
	list(&b, "Left out", out)
	return b.String()
}

// Cells are the first columns of a row's line, which are the same whatever was
// measured.
func Cells(row Row) string {
	return fmt.Sprintf("| %d | %s | %s | %s |", row.N, cell(row.Fault), cell(row.Promise), cell(row.Reach))
}

func verdict(row Row, results map[int]Result) (mark, figure string) {
	r, there := results[row.N]
	switch {
	case row.LeftOut != "":
		return "—", row.LeftOut
	case !there:
		return "—", "not measured in the last run"
	case r.LeftOut != "":
		return "—", r.LeftOut
	case r.Short:
		return "—", "measured with smaller numbers only: " + r.Figure
	case r.Reached:
		return "yes", r.Figure
	}
	return "no", r.Figure
}

// places says on what the figures were measured.
func places(results map[int]Result) string {
	var lines []string
	for _, row := range Matrix() {
		r, there := results[row.N]
		if !there || r.Figure == "" {
			continue
		}
		w := r.Where
		line := fmt.Sprintf("Measured on %s with %s on %s.", w.Date, w.Go, w.Machine)
		if w.Race {
			line = fmt.Sprintf("Row %d: on %s with %s and the race detector on %s.", row.N, w.Date, w.Go, w.Machine)
		}
		if !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n") + "\n"
}

func list(b *bytes.Buffer, title string, lines []string) {
	if len(lines) > 0 {
		fmt.Fprintf(b, "\n## %s\n\n%s\n", title, strings.Join(lines, "\n"))
	}
}

func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }

func orElse(text, other string) string {
	if text == "" {
		return other
	}
	return text
}
