// Package doctor finds out why a program gets no AWS credentials. It looks at
// the world as programs do (environment, files, processes, endpoints), names
// the one cause, shows where it stands, and what to change. It never shows a
// secret, and it changes nothing unless asked.
package doctor

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Outcome is how a check ended.
type Outcome string

const (
	OK      Outcome = "ok"
	Warning Outcome = "warning" // credentials are got, but something is fragile or surprising
	Failed  Outcome = "failed"  // this is why credentials are not got
	Skipped Outcome = "skipped" // nothing was found out; Result.Why says why
)

// Evidence is one thing that was seen.
type Evidence struct {
	Where string `json:"where,omitempty"` // file:line, "pid 12" or a URL
	Text  string `json:"text"`            // what is there, without secrets
}

// Fix is one way to put it right.
type Fix struct {
	Text    string `json:"text,omitempty"`    // one line: what to change
	Where   string `json:"where,omitempty"`   // file:line of the change
	Command string `json:"command,omitempty"` // a command to type
}

// Result is what a check found out about one target.
type Result struct {
	Check    string     `json:"check"`
	Target   string     `json:"target"`
	Outcome  Outcome    `json:"outcome"`
	Cause    string     `json:"cause,omitempty"` // stable, such as "php-fpm.clear-env"; "" when ok
	Summary  string     `json:"summary"`         // one line
	Evidence []Evidence `json:"evidence,omitempty"`
	Fixes    []Fix      `json:"fixes,omitempty"` // the best first
	Why      string     `json:"why,omitempty"`   // of a skipped check
}

// Check is a small question to the world. Run gives any number of results;
// Check and Target of a result are filled in where they are empty.
type Check struct {
	Name, Target string
	Network      bool          // asks an endpoint: it has NetworkLimit
	Limit        time.Duration // 0: NetworkLimit or LocalLimit
	Run          func(context.Context) []Result
}

// How long a check may take. A run lasts as long as its slowest check.
const (
	NetworkLimit = time.Second
	LocalLimit   = 2 * time.Second
)

func (c Check) limit() time.Duration {
	switch {
	case c.Limit > 0:
		return c.Limit
	case c.Network:
		return NetworkLimit
	}
	return LocalLimit
}

// Report is what all checks found out, the worst first, else in the order of
// the checks.
type Report struct {
	Results []Result
	Took    time.Duration
}

// Run runs the checks at the same time, each within its limit. One that fails,
// panics or does not end is skipped and harms no other.
func Run(ctx context.Context, checks []Check) Report {
	start := time.Now()
	found := make([]chan []Result, len(checks))
	for i, c := range checks {
		found[i] = make(chan []Result, 1)
		go func() { found[i] <- c.do(ctx) }()
	}
	var r Report
	for _, f := range found {
		r.Results = append(r.Results, <-f...)
	}
	r.Took = time.Since(start)
	return r.Sorted()
}

// Sorted is the report with the worst first.
func (r Report) Sorted() Report {
	slices.SortStableFunc(r.Results, func(a, b Result) int { return a.Outcome.rank() - b.Outcome.rank() })
	return r
}

// do is one check. Its work is left behind when it does not heed its context:
// reading a file of a dead network file system cannot be called off.
func (c Check) do(ctx context.Context) []Result {
	limit := c.limit()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	done := make(chan []Result, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil { // its value may hold what must not be shown
				done <- []Result{c.skipped(fmt.Sprintf("the check itself failed (%T)", p))}
			}
		}()
		done <- c.Run(ctx)
	}()
	var results []Result
	select {
	case results = <-done:
	case <-ctx.Done():
		// A check that heeds its context gets a moment to say what it saw.
		select {
		case results = <-done:
		case <-time.After(grace):
			why := fmt.Sprintf("it did not end within %s", limit)
			if context.Cause(ctx) != context.DeadlineExceeded {
				why = "interrupted"
			}
			results = []Result{c.skipped(why)}
		}
	}
	for i := range results {
		if results[i].Check == "" {
			results[i].Check = c.Name
		}
		if results[i].Target == "" {
			results[i].Target = c.Target
		}
	}
	return results
}

// grace is how long after its limit a check may still answer.
const grace = 100 * time.Millisecond

func (c Check) skipped(why string) Result {
	return Result{Outcome: Skipped, Summary: "not checked: " + c.Name, Why: why}
}

func (o Outcome) rank() int {
	return slices.Index([]Outcome{Failed, Warning, OK, Skipped}, o)
}

// Count is the number of results with the outcome.
func (r Report) Count(o Outcome) (n int) {
	for _, res := range r.Results {
		if res.Outcome == o {
			n++
		}
	}
	return n
}

// Healthy says whether no check failed, and that it is not for want of any that
// could be made.
func (r Report) Healthy() bool {
	return r.Count(Failed) == 0 && (len(r.Results) == 0 || r.Count(Skipped) < len(r.Results))
}

// Cause is the first fault's cause: that of the first failed check, else of the
// first warning, "" when there is neither.
func (r Report) Cause() string {
	if len(r.Results) > 0 && (r.Results[0].Outcome == Failed || r.Results[0].Outcome == Warning) {
		return r.Results[0].Cause
	}
	return ""
}

// Summary is the report in one line.
func (r Report) Summary() string {
	failed, warned, passed := r.Count(Failed), r.Count(Warning), r.Count(OK)
	switch {
	case failed == 1:
		return "one thing is wrong: " + r.Results[0].Summary
	case failed > 1:
		return fmt.Sprintf("%d things are wrong; first: %s", failed, r.Results[0].Summary)
	case warned == 1:
		return "nothing is wrong, but: " + r.Results[0].Summary
	case warned > 1:
		return fmt.Sprintf("nothing is wrong, but %d things are fragile; first: %s", warned, r.Results[0].Summary)
	case passed > 0:
		return "nothing is wrong: " + r.Results[0].Summary
	}
	return "nothing could be checked"
}
