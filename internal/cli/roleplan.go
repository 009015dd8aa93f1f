package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"rolecall/internal/roles"
	"rolecall/internal/usererr"
)

// rolePlan are the flags of commands that change something.
type rolePlan struct {
	roleCaller
	dryRun, yes, undo bool
	apply             bool // of create
}

func (f *rolePlan) add(a *app, c *cobra.Command) {
	f.roleCaller.add(a, c)
	s := c.Flags()
	s.BoolVar(&f.dryRun, "dry-run", false, "print what would be done, and the smallest IAM policy for it; change nothing")
	s.BoolVarP(&f.yes, "yes", "y", false, "ask no questions")
	s.BoolVar(&f.undo, "undo", false, "take the last run of this command for this role back")
}

// roleWork is one command on one role.
type roleWork struct {
	*app
	rolePlan
	command string // create, attach, detach, run
	role    roles.Name
	wanted  any // what was asked for: the same again goes on with a run that was broken off
	plan    func(context.Context, *roles.Account) (*roles.Plan, error)
}

// run is the RunE of a command that changes a role. wanted reads the flags, and
// says what is wanted and how that is planned; --undo goes without.
func (f *rolePlan) run(a *app, command string, wanted func(*cobra.Command, *roleWork) error) func(*cobra.Command, []string) error {
	return f.on(func(c *cobra.Command, n roles.Name) error {
		w := roleWork{app: a, rolePlan: *f, command: command, role: n}
		if !f.undo {
			if err := wanted(c, &w); err != nil {
				return err
			}
		}
		return w.do(c.Context())
	})
}

// do is the whole of a command: plan, print or ask, execute.
func (w *roleWork) do(parent context.Context) error {
	ctx, cancel := context.WithTimeout(parent, w.timeout)
	defer cancel()
	account, err := w.open(ctx, w.app, w.progress())
	if err != nil {
		return roleFailure(parent, err)
	}
	dir, err := w.journal()
	if err != nil {
		return err
	}
	last, err := account.Last(dir, w.command, w.role)
	if err != nil {
		return err
	}
	var plan *roles.Plan
	switch {
	case w.undo && last == nil:
		return failed(fmt.Sprintf("there is no run of `role %s %s` in the account %s to take back", w.command, w.role, account.ID), "rolecall role show "+w.role.String())
	case w.undo:
		plan, err = account.PlanUndo(last)
	default:
		plan, err = w.plan(ctx, account)
	}
	if err != nil {
		return roleFailure(parent, err)
	}
	result := shownPlan(account, plan, w.rolePlan)
	if w.dryRun {
		return w.print(result)
	}
	goOn := !w.undo && last.Unfinished(roles.Digest(w.wanted))
	if w.command == "create" && plan.Exists && !w.undo && len(plan.Steps) > 0 && !w.apply && !goOn {
		if err := w.print(result); err != nil {
			return err
		}
		n := len(plan.Differences)
		return failed(fmt.Sprintf("the role %s is there, and differs in %d point%s", w.role, n, plural(n)), "--apply brings it in line, --dry-run --apply shows how")
	}
	if err := w.confirm(ctx, plan); err != nil {
		return err
	}
	if goOn && len(plan.Steps) > 0 {
		w.say("going on with the run of " + last.Began().Local().Format("2006-01-02 15:04:05") + ", which was broken off")
	}
	journal := account.Begin(dir, plan, roles.Digest(w.wanted))
	switch {
	case w.undo:
		journal = last
	case goOn:
		journal.Continue(last)
	}
	answers, err := account.Run(ctx, plan, journal)
	if err != nil {
		return roleFailure(parent, err)
	}
	result.Done = len(plan.Steps)
	for _, answer := range answers {
		result.Tasks = append(result.Tasks, roles.TaskARNs(answer)...)
		err = errors.Join(err, roles.StartFailure(answer))
	}
	if err == nil || len(result.Tasks) > 0 { // some of several may have started
		if err := w.print(result); err != nil {
			return err
		}
	}
	if err != nil {
		return roleFailure(parent, err)
	}
	return nil
}

func plural(n int) string {
	if n == 1 {
		return ""
	}
	return "s"
}

// confirm asks what a person has to answer.
func (w *roleWork) confirm(ctx context.Context, p *roles.Plan) error {
	if w.yes {
		return nil
	}
	questions := p.Questions()
	if w.undo && len(p.Steps) > 0 {
		questions = []string{p.Title + "?"}
		for _, s := range p.Steps {
			w.say("  " + s.Text)
		}
	}
	if len(questions) == 0 {
		return nil
	}
	if !terminal(w.stdin) || !terminal(w.stderr) {
		return failed(questions[0], "there is no terminal to answer at: say yes with --yes, or look first with --dry-run")
	}
	for _, q := range questions {
		yes, err := agreed(ctx, w.stdin, w.stderr, q)
		if err != nil {
			return err
		}
		if !yes {
			return failed("nothing was changed: the answer was no", "")
		}
	}
	return nil
}

func (w *roleWork) say(text string) { fmt.Fprintln(w.stderr, visible(text)) }

// progress writes each step, and long waits every few seconds, to stderr.
func (w *roleWork) progress() func(roles.Event) {
	const every = 5 * time.Second
	said := time.Duration(0)
	return func(e roles.Event) {
		switch e.State {
		case "begin":
			said = 0
			w.say(fmt.Sprintf("%d/%d %s", e.Step, e.Of, e.Text))
		case "wait":
			if e.Elapsed >= said+every || said == 0 && e.Elapsed >= time.Second {
				said = e.Elapsed
				w.say(fmt.Sprintf("    %s (%s)", e.Detail, span(e.Elapsed)))
			}
		}
	}
}

// roleFailure gives an error its exit code. What was done is never hidden behind
// "interrupted".
func roleFailure(ctx context.Context, err error) error {
	f := &failure{code: exitFailed, msg: err.Error(), err: err}
	var hinted interface{ Hint() string }
	var r *usererr.Error
	var step *roles.StepError
	switch {
	case errors.As(err, &step):
		f.hint = step.Hint()
	case errors.As(err, &r):
		f.hint = r.Hint
	case errors.As(err, &hinted):
		f.hint = hinted.Hint()
	default:
		return err
	}
	switch {
	case ctx.Err() != nil:
		f.code, f.msg = exitInterrupted, "interrupted: "+f.msg
	case errors.As(err, &r) && r.Code == usererr.LoginRequired:
		f.code = exitLogin
		if f.hint == "" {
			f.hint = r.Hint
		}
	}
	return f
}
