package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// Symptom is an error text of an SDK, and what it comes from.
type Symptom struct {
	ID string `json:"id"` // stable, such as "php.instance-profile"
	// Title is the text as users see it, … for what differs.
	Title string `json:"title"`
	SDKs  string `json:"sdks"` // whose text it is
	// All of the parts of one of these lists must stand in the text, near each
	// other and in any order; small letters, single blanks.
	Any [][]string `json:"-"`
	// Causes, the most likely first.
	Causes []Likely `json:"causes"`
}

// Likely is one cause of a symptom.
type Likely struct {
	Cause string `json:"cause"` // as results have it, so that the table and the checks agree
	Text  string `json:"text"`  // what is the matter
	Tell  string `json:"tell"`  // the command that tells it from the others
	Fix   string `json:"fix"`   // what to change
}

const (
	// maxExplained is how much of the end of a text is looked at: the last
	// error of a log is the one that hurts.
	maxExplained = 4 << 20
	// near is how many bytes the parts of one error may lie apart, so that those
	// of different lines of a log are not taken together.
	near = 2000
)

// Explain finds the symptoms in a text, the best match first: the one whose
// matching parts are longest.
func Explain(text string) []Symptom {
	if len(text) > maxExplained {
		text = text[len(text)-maxExplained:]
	}
	text = flatten(text)
	type match struct {
		Symptom
		score int
	}
	var found []match
	for _, s := range Symptoms() {
		best := 0
		for _, parts := range s.Any {
			best = max(best, score(text, parts))
		}
		if best > 0 {
			found = append(found, match{s, best})
		}
	}
	slices.SortStableFunc(found, func(a, b match) int { return b.score - a.score })
	var symptoms []Symptom
	for _, m := range found {
		symptoms = append(symptoms, m.Symptom)
	}
	return symptoms
}

// score is the length of all parts, 0 when they do not stand near each other.
func score(text string, parts []string) int {
	for from := 0; ; {
		at := strings.Index(text[from:], parts[0])
		if at < 0 {
			return 0
		}
		at += from
		from = at + len(parts[0])
		around, n := text[max(0, at-near):min(len(text), from+near)], 0
		for _, p := range parts {
			if !strings.Contains(around, p) {
				n = 0
				break
			}
			n += len(p)
		}
		if n > 0 {
			return n
		}
	}
}

// flatten makes one line of small letters out of what was pasted: line breaks,
// colours and boxes of a terminal, and typographic quotes do not matter.
func flatten(text string) string {
	var b strings.Builder
	blank := true
	escape := false
	for _, r := range text {
		switch {
		case escape: // a CSI sequence ends with a letter
			escape = !unicode.IsLetter(r)
			continue
		case r == 0x1b:
			escape = true
			continue
		case r == '’' || r == '‘' || r == '`':
			r = '\''
		case r == '“' || r == '”':
			r = '"'
		}
		if unicode.IsSpace(r) || unicode.IsControl(r) || r >= '─' && r <= '╿' { // Terraform draws a box around its errors
			if !blank {
				b.WriteByte(' ')
			}
			blank = true
			continue
		}
		blank = false
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// saidBy is what the best match in a program's words means. A program that is
// run by hand is none of php-fpm's.
func saidBy(text string) (Result, bool) {
	for _, s := range Explain(text) {
		causes := slices.DeleteFunc(s.Causes, func(c Likely) bool { return strings.HasPrefix(c.Cause, "php-fpm.") })
		if len(causes) == 0 {
			continue
		}
		r := Result{Outcome: Failed, Cause: causes[0].Cause, Summary: causes[0].Text, Evidence: []Evidence{{Text: "the text is: " + s.Title}}}
		for i, c := range causes {
			word := "most likely: "
			if i > 0 {
				word = "else: "
			}
			r.Evidence = append(r.Evidence, Evidence{Text: word + c.Text + "\ntold by: " + c.Tell})
			r.Fixes = append(r.Fixes, Fix{Text: c.Fix})
		}
		return r, true
	}
	return Result{}, false
}

// checkProgram is the name of Ended's check.
const checkProgram = "program"

// Ended is the check of a program that was run: how it ended ("exit status 1",
// "signal: killed"; "" is well), and what its last words mean.
func Ended(name, how, said string) Check {
	return Check{Name: checkProgram, Target: name, Run: func(context.Context) []Result {
		if how == "" {
			return []Result{{Outcome: OK, Summary: "it ended well"}}
		}
		r, ok := saidBy(said)
		if !ok {
			return []Result{{Outcome: Warning, Cause: "program.failed", Summary: fmt.Sprintf("it ended with %s, and said nothing that doctor knows", how)}}
		}
		r.Summary = fmt.Sprintf("it ended with %s; most likely: %s", how, r.Summary)
		return []Result{r}
	}}
}
