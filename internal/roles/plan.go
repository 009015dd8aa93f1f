package roles

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
)

// Plan is what has to be done, in order. It is computed from what is there, and
// executed as it is printed.
type Plan struct {
	Command string // "create", "attach", …: what --undo goes by
	Role    Name
	Title   string // "create the role app"

	Exists      bool     // the role was there
	Differences []string // between what is there and what is wanted
	Notes       []string // what a person should know
	Steps       []Step   // none: all is as wanted

	Needs []Permission // of the caller, for looking and for the steps

	undoes bool // it takes an earlier run back
}

// UndoCommand is what to type to take a run of the plan back.
func (p *Plan) UndoCommand() string {
	if p.Command == "run" { // its arguments are not the role's name
		return "rolecall role run --role " + p.Role.String() + " --undo"
	}
	return "rolecall role " + p.Command + " " + p.Role.String() + " --undo"
}

// Step is one call, or one wait.
type Step struct {
	Text   string // "create the role app"
	Action string // "iam:CreateRole"; "" for a wait
	Input  any    // the SDK's input of the call; nil for a wait
	Asks   string // a question that a person answers first; "" for none

	needs []Permission
	wait  *wait
	// prepare completes Input with what earlier steps answered.
	prepare func(answers []any)
	// undo is how to take it back; it is told the call's answer.
	undo func(answer any) []Undo
	// already is asked when AWS says that it is there: true where another run
	// has done just this.
	already func(ctx context.Context) (bool, error)
	// hidden are values of Input that are not shown: environment variables of
	// containers, and options of their log drivers, which may be secrets.
	hidden bool
}

// wait is a step that only looks.
type wait struct {
	rollout bool // may take as long as a service takes
	see     look
	failed  string // what to do when it takes too long
}

// Undo is one call that takes something back. It can be written down.
type Undo struct {
	Text   string          `json:"text"`
	Action string          `json:"action"`
	Input  json.RawMessage `json:"input"`
	Needs  []Permission    `json:"needs"` // of whoever takes it back
}

// undoing makes an Undo of a call.
func undoing(text, action string, input any, needs ...Permission) Undo {
	b, err := json.Marshal(input)
	if err != nil { // the SDK's inputs are plain values
		b = []byte("{}")
	}
	return Undo{Text: text, Action: action, Input: b, Needs: needs}
}

// fixed is the undo of a step whose answer does not matter.
func fixed(all ...Undo) func(any) []Undo { return func(any) []Undo { return all } }

// ShownInput is the call's input as JSON without what is not set, and without
// the values that may be secrets.
func (s Step) ShownInput() json.RawMessage {
	if s.Input == nil {
		return nil
	}
	b, err := json.Marshal(s.Input)
	if err != nil {
		return nil
	}
	b = prune(b)
	if !s.hidden {
		return b
	}
	var v any
	if json.Unmarshal(b, &v) != nil {
		return nil
	}
	hideValues(v)
	if b, err = json.Marshal(v); err != nil {
		return nil
	}
	return b
}

// Hidden stands for a value that is copied and not shown.
const Hidden = "(copied)"

// hideValues blanks what containers get as environment, and the options of log
// drivers and volumes, where tokens and passwords stand.
func hideValues(v any) {
	switch v := v.(type) {
	case []any:
		for _, one := range v {
			hideValues(one)
		}
	case map[string]any:
		for key, one := range v {
			list, isList := one.([]any)
			options, isMap := one.(map[string]any)
			switch {
			case key == "Environment" && isList:
				for _, pair := range list {
					if p, ok := pair.(map[string]any); ok {
						p["Value"] = Hidden
					}
				}
			case (key == "Options" || key == "DriverOpts") && isMap:
				for name := range options {
					options[name] = Hidden
				}
			default:
				hideValues(one)
			}
		}
	}
}

// prune takes null, "", empty lists and empty objects out of JSON.
func prune(text []byte) json.RawMessage {
	var v any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if d.Decode(&v) != nil {
		return text
	}
	v, _ = pruned(v)
	if v == nil {
		v = map[string]any{}
	}
	out, err := json.Marshal(v)
	if err != nil {
		return text
	}
	return out
}

func pruned(v any) (any, bool) {
	switch t := v.(type) {
	case nil:
		return nil, false
	case string:
		return t, t != ""
	case []any:
		var out []any
		for _, one := range t {
			if kept, ok := pruned(one); ok {
				out = append(out, kept)
			}
		}
		return out, len(out) > 0
	case map[string]any:
		out := map[string]any{}
		for key, one := range t {
			if kept, ok := pruned(one); ok {
				out[key] = kept
			}
		}
		return out, len(out) > 0
	}
	return v, true
}

// finish adds what looking and doing need.
func (a *Account) finish(p *Plan) *Plan {
	var all permissions
	all.add(a.reads.list...)
	for _, s := range p.Steps {
		all.add(s.needs...)
	}
	p.Needs = all.list
	return p
}

// Questions are those that a person has to answer before the plan is executed.
func (p *Plan) Questions() (all []string) {
	for _, s := range p.Steps {
		if s.Asks != "" {
			all = append(all, s.Asks)
		}
	}
	return all
}

func (p *Plan) add(steps ...Step) { p.Steps = append(p.Steps, steps...) }

func (p *Plan) note(format string, args ...any) {
	p.Notes = append(p.Notes, fmt.Sprintf(format, args...))
}
