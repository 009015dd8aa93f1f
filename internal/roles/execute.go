package roles

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// callLimit is how long a call may go on that a person has interrupted: it is
// let end, so that what was done is known and written down.
const callLimit = time.Minute

// StepError says at which step a plan stopped, and what was done before.
type StepError struct {
	Step, Of int
	Text     string   // of the step
	Done     []string // texts of the steps that changed something
	Again    string   // how to go on, and how to undo
	Err      error
}

func (e *StepError) Error() string {
	msg := fmt.Sprintf("step %d of %d, %s: %s", e.Step, e.Of, e.Text, e.Err.Error())
	if len(e.Done) == 0 {
		return msg + "; nothing was changed"
	}
	return msg + "; done so far: " + strings.Join(e.Done, "; ")
}

func (e *StepError) Unwrap() error { return e.Err }

// Hint is the cause's, and how to go on or back.
func (e *StepError) Hint() string {
	var own *Error
	var hinted interface{ Hint() string }
	hint := ""
	switch {
	case errors.As(e.Err, &own) && denied(own.Code) && own.Next == askFor(own.Action):
		hint = "--dry-run prints the policy that the caller needs"
	case errors.As(e.Err, &hinted):
		hint = hinted.Hint()
	}
	if hint != "" && e.Again != "" {
		return hint + "\nhint: " + e.Again
	}
	return hint + e.Again
}

// Run executes the plan. What is done is written down in j at once (nil: it is
// not), so that it can be undone. After ctx has ended no further call is begun;
// the next run of the same command goes on where this one stopped. The answers
// of the calls come back in the order of the steps, nil for waits and for what
// another run had done.
func (a *Account) Run(ctx context.Context, p *Plan, j *Journal) ([]any, error) {
	answers := make([]any, len(p.Steps))
	var done []string
	for i, s := range p.Steps {
		stop := func(err error) ([]any, error) {
			e := &StepError{Step: i + 1, Of: len(p.Steps), Text: s.Text, Done: done, Err: err}
			switch {
			case len(done) > 0 && !p.undoes:
				e.Again = "run it again to go on, or take it back: " + p.UndoCommand()
			case len(done) > 0 || errors.Is(err, context.Canceled):
				e.Again = "run it again to go on"
			}
			return answers, e
		}
		if ctx.Err() != nil {
			return stop(a.failure(firstNonEmpty(s.Action, "waiting"), "", ctx.Err()))
		}
		event := Event{Step: i + 1, Of: len(p.Steps), Text: s.Text, State: "begin"}
		a.cfg.Progress(event)
		tell := func(state string, elapsed time.Duration) {
			event.State, event.Detail, event.Elapsed = "wait", state, elapsed
			a.cfg.Progress(event)
		}
		if s.wait != nil {
			if err := a.sit(ctx, s, tell); err != nil {
				return stop(err)
			}
		} else {
			if s.prepare != nil {
				s.prepare(answers)
			}
			answer, changed, err := a.do(ctx, s, tell)
			if err != nil {
				return stop(err)
			}
			if changed {
				answers[i] = answer
				done = append(done, s.Text)
			}
			if err := j.done(s, answer, changed); err != nil {
				return stop(err)
			}
		}
		event.State, event.Detail, event.Elapsed = "done", "", 0
		a.cfg.Progress(event)
	}
	return answers, j.finish()
}

// sit waits for what a step waits for.
func (a *Account) sit(ctx context.Context, s Step, tell func(string, time.Duration)) error {
	limit := a.cfg.Patience
	if s.wait.rollout {
		limit = a.cfg.Rollout
	}
	err := until(ctx, limit, a.cfg.FirstPause, s.wait.see, tell)
	switch {
	case errors.Is(err, errNotYet):
		return &Error{Msg: fmt.Sprintf("it took longer than %s (%s)", limit, strings.TrimPrefix(err.Error(), errNotYet.Error()+": ")), Next: s.wait.failed, Err: err}
	case err != nil:
		return a.failure("waiting", "", err)
	}
	return nil
}

// do makes a call, again and again while AWS settles, and for a quarter of
// Config.Patience while it throttles or fails. changed is false where another
// run had done it already.
func (a *Account) do(ctx context.Context, s Step, tell func(string, time.Duration)) (answer any, changed bool, err error) {
	c, ok := callOf(s.Action)
	if !ok {
		return nil, false, &Error{Msg: "there is no call " + s.Action}
	}
	began := time.Now()
	var last error
	var state string
	err = until(ctx, a.cfg.Patience, a.cfg.FirstPause, func(ctx context.Context) (bool, string, error) {
		own, cancel := context.WithTimeout(context.WithoutCancel(ctx), callLimit)
		defer cancel()
		if deadline, ok := ctx.Deadline(); ok { // a limit that was asked for holds all the same
			var end context.CancelFunc
			own, end = context.WithDeadline(own, deadline)
			defer end()
		}
		answer, last = c.do(own, a, s.Input)
		passing := a.retry.IsErrorRetryable(last) // counts throttling, too
		switch {
		case last == nil:
			changed = true
			return true, "", nil
		case gone(s.Action, last):
			last = nil
			return true, "", nil
		case s.already != nil && exists(last):
			same, err := s.already(own)
			if same {
				last = nil
			}
			if same || err != nil {
				return same, "", err
			}
		}
		state = trouble(last)
		return !settling(s.Action, last) && (!passing || time.Since(began) >= a.cfg.Patience/4), state, nil
	}, tell)
	switch {
	case last == nil && err == nil:
		return answer, changed, nil
	case last != nil && errors.Is(err, context.Canceled):
		return nil, false, &Error{Msg: s.Action + " was interrupted while AWS answered: " + state, Action: s.Action, Err: err}
	case err != nil && ctx.Err() == nil && !errors.Is(err, errNotYet):
		return nil, false, a.failure(s.Action, "", err) // of looking whether it is done already
	case last == nil:
		return nil, false, a.failure(s.Action, "", err)
	}
	return nil, false, a.failure(s.Action, "", last)
}

// exists says whether AWS refused a call since what it makes is there.
func exists(err error) bool {
	switch apiCode(err) {
	case "EntityAlreadyExists", "LimitExceeded", "IncorrectState":
		return true
	}
	return false
}

func firstNonEmpty(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}
