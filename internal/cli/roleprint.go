package cli

import (
	"encoding/json"
	"fmt"
	"strings"

	"rolecall/internal/roles"
)

// roleResult is what --json prints of a plan: names and meanings stay.
type roleResult struct {
	Command     string          `json:"command"`
	Role        string          `json:"role"`
	Account     string          `json:"account"`
	Region      string          `json:"region,omitempty"`
	DryRun      bool            `json:"dry_run"`
	AsWanted    bool            `json:"as_wanted"` // there was nothing to do
	Differences []string        `json:"differences,omitempty"`
	Notes       []string        `json:"notes,omitempty"`
	Steps       []roleStep      `json:"steps"`
	Done        int             `json:"done"`            // steps that were carried out
	Tasks       []string        `json:"tasks,omitempty"` // ARNs of those that were started
	Policy      json.RawMessage `json:"caller_policy,omitempty"`
	title       string
	undo        string // what to type to take it back; "" where that is what was done
}

type roleStep struct {
	Text   string          `json:"text"`
	Action string          `json:"action,omitempty"` // none: a wait
	Input  json.RawMessage `json:"input,omitempty"`
	Asks   string          `json:"asks,omitempty"`
}

func shownPlan(account *roles.Account, p *roles.Plan, f rolePlan) roleResult {
	r := roleResult{Command: p.Command, Role: p.Role.String(), Account: account.ID, Region: account.Region, DryRun: f.dryRun, AsWanted: len(p.Steps) == 0,
		Differences: p.Differences, Notes: p.Notes, Steps: []roleStep{}, title: p.Title, undo: p.UndoCommand()}
	for _, s := range p.Steps {
		r.Steps = append(r.Steps, roleStep{s.Text, s.Action, s.ShownInput(), s.Asks})
	}
	if f.undo {
		r.undo = ""
	}
	if f.dryRun {
		r.Policy = roles.Policy(p.Needs)
	}
	return r
}

// print writes the result to stdout.
func (w *roleWork) print(r roleResult) error {
	if w.json {
		return writeJSON(w.stdout, r)
	}
	var b strings.Builder
	line := func(format string, args ...any) { b.WriteString(visible(fmt.Sprintf(format, args...)) + "\n") }
	for _, d := range r.Differences {
		line("differs: %s", d)
	}
	switch {
	case r.AsWanted:
		line("%s: as wanted, in the account %s", r.Role, r.Account)
	case r.DryRun:
		line("to %s, in the account %s%s:", r.title, r.Account, inRegion(r.Region))
		for i, s := range r.Steps {
			line("%3d  %s", i+1, s.Text)
			if s.Action != "" {
				line("     %s %s", s.Action, s.Input)
			}
		}
	case r.Done > 0:
		line("done: %s, in the account %s%s", r.title, r.Account, inRegion(r.Region))
	}
	for _, task := range r.Tasks {
		line("task: %s", task)
	}
	for _, n := range r.Notes {
		line("note: %s", n)
	}
	if r.DryRun {
		line("the caller needs no more than this policy:")
		line("%s", r.Policy)
	} else if r.Done > 0 && r.undo != "" {
		line("to take it back: %s", r.undo)
	}
	_, err := fmt.Fprint(w.stdout, b.String())
	return err
}

func inRegion(region string) string {
	if region == "" {
		return ""
	}
	return ", " + region
}
