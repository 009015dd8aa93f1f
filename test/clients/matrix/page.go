package matrix

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Result is what one client did by one way. Results are written one a line, as
// JSON.
type Result struct {
	Client  string `json:"client"`
	Way     string `json:"way"`
	Version string `json:"version,omitempty"`  // what the client calls itself
	Works   bool   `json:"works,omitempty"`    // it acted as the role
	Said    string `json:"said,omitempty"`     // why not, in its own words
	LeftOut string `json:"left_out,omitempty"` // why it was not tried on this machine
	Date    string `json:"date,omitempty"`     // 2026-01-02
	Machine string `json:"machine,omitempty"`
}

// Results reads lines of results.
func Results(r io.Reader) (all []Result, err error) {
	for d := json.NewDecoder(r); ; {
		var one Result
		if err := d.Decode(&one); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, fmt.Errorf("reading results: %w", err)
		}
		all = append(all, one)
	}
}

const preamble = `# Clients

Which client reaches rolecall by which way. This page is made by ` + "`make clients`" + ` from a run of unmodified clients
against a real daemon, with a fake AWS behind it: a client that works has called STS and was the role. Change the tests
in ` + "`test/clients`" + ` and not the page. All of it runs in a network namespace that the test makes.

`

// Page is the whole of docs/clients.md.
func Page(results []Result) string {
	var b bytes.Buffer
	b.WriteString(preamble)
	for _, r := range results {
		if r.Date != "" {
			fmt.Fprintf(&b, "Measured on %s on %s.\n\n", r.Date, r.Machine)
			break
		}
	}
	b.WriteString(Head())
	notes := []string{}
	note := func(text string) string {
		i := slices.Index(notes, text)
		if i < 0 {
			notes, i = append(notes, text), len(notes)
		}
		return fmt.Sprintf("[%d](#why-not)", i+1)
	}
	for _, c := range Clients() {
		version, cells := "", []string{}
		for _, w := range Ways() {
			i := slices.IndexFunc(results, func(r Result) bool { return r.Client == c.Key && r.Way == w.Key })
			switch {
			case i < 0:
				cells = append(cells, "— "+note("not in the last run"))
				continue
			case results[i].LeftOut != "":
				cells = append(cells, "— "+note(results[i].LeftOut))
			case results[i].Works:
				cells = append(cells, "yes")
			case Cannot()[[2]string{c.Key, w.Key}] != "":
				cells = append(cells, "no "+note(Cannot()[[2]string{c.Key, w.Key}]))
			default:
				cells = append(cells, "**no** "+note("unexpected: "+results[i].Said))
			}
			if v := results[i].Version; v != "" {
				version = " " + v
			}
		}
		name := c.Name + version
		if c.Note != "" {
			name += " (" + c.Note + ")"
		}
		fmt.Fprintf(&b, "| %s | %s |\n", cell(name), strings.Join(cells, " | "))
	}
	b.WriteString("\n## Why not\n\n")
	for i, text := range notes {
		fmt.Fprintf(&b, "%d. %s\n", i+1, strings.ReplaceAll(text, "\n", " "))
	}
	b.WriteString("\n## The ways\n\n| way | what its program is given |\n|---|---|\n")
	for _, w := range Ways() {
		fmt.Fprintf(&b, "| %s | %s |\n", w.Name, w.Set)
	}
	return b.String()
}

// Head is the head of the table.
func Head() string {
	names, lines := []string{"client"}, []string{"---"}
	for _, w := range Ways() {
		names, lines = append(names, w.Name), append(lines, "---")
	}
	return "| " + strings.Join(names, " | ") + " |\n|" + strings.Join(lines, "|") + "|\n"
}

func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }
