package doctor

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func result(o Outcome, summary string) func(context.Context) []Result {
	return func(context.Context) []Result { return []Result{{Outcome: o, Summary: summary, Cause: "a." + summary}} }
}

func TestRunSortsByOutcome(t *testing.T) {
	t.Parallel()
	r := Run(t.Context(), []Check{
		{Name: "one", Target: "x", Run: result(OK, "fine")},
		{Name: "two", Target: "x", Run: result(Warning, "odd")},
		{Name: "three", Target: "y", Run: result(Failed, "broken")},
		{Name: "four", Target: "y", Run: result(Skipped, "unknown")},
		{Name: "five", Target: "y", Run: result(Failed, "broken too")},
		{Name: "none", Run: func(context.Context) []Result { return nil }},
	})
	var got []string
	for _, res := range r.Results {
		got = append(got, res.Check+" "+res.Target)
	}
	if s := strings.Join(got, ", "); s != "three y, five y, two x, one x, four y" {
		t.Error(s)
	}
	if r.Healthy() || r.Cause() != "a.broken" || r.Count(Failed) != 2 {
		t.Errorf("%+v", r)
	}
	if s := r.Summary(); s != "2 things are wrong; first: broken" {
		t.Error(s)
	}
}

func TestRunSurvivesEveryCheck(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		forever := make(chan struct{})
		defer close(forever)
		start := time.Now()
		r := Run(t.Context(), []Check{
			{Name: "panics", Run: func(context.Context) []Result { panic("with a secret") }},
			{Name: "hangs", Run: func(context.Context) []Result { <-forever; return nil }},
			{Name: "black hole", Network: true, Run: func(context.Context) []Result { <-forever; return nil }},
			{Name: "heeds", Network: true, Run: func(ctx context.Context) []Result {
				<-ctx.Done()
				return []Result{{Outcome: Failed, Summary: "no answer", Cause: "x"}}
			}},
			{Name: "fine", Run: result(OK, "fine")},
		})
		if took := time.Since(start); took > 3*time.Second {
			t.Errorf("took %s", took)
		}
		why := map[string]string{}
		for _, res := range r.Results {
			why[res.Check] = string(res.Outcome) + " " + res.Why
		}
		for name, want := range map[string]string{
			"panics":     "skipped the check itself failed (string)",
			"hangs":      "skipped it did not end within 2s",
			"black hole": "skipped it did not end within 1s",
			"heeds":      "failed ",
			"fine":       "ok ",
		} {
			if why[name] != want {
				t.Errorf("%s: %q, want %q", name, why[name], want)
			}
		}
	})
}

func TestSummary(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		outcomes []Outcome
		want     string
	}{
		{nil, "nothing could be checked"},
		{[]Outcome{Skipped}, "nothing could be checked"},
		{[]Outcome{OK, Skipped}, "nothing is wrong: s"},
		{[]Outcome{OK, Warning}, "nothing is wrong, but: s"},
		{[]Outcome{Warning, Warning}, "nothing is wrong, but 2 things are fragile; first: s"},
		{[]Outcome{OK, Failed, Warning}, "one thing is wrong: s"},
	} {
		var checks []Check
		for _, o := range tt.outcomes {
			checks = append(checks, Check{Run: result(o, "s")})
		}
		r := Run(t.Context(), checks)
		if got := r.Summary(); got != tt.want {
			t.Errorf("%v: %q, want %q", tt.outcomes, got, tt.want)
		}
		ill := slices.Contains(tt.outcomes, Failed) || slices.Equal(tt.outcomes, []Outcome{Skipped})
		if r.Healthy() == ill {
			t.Errorf("%v: healthy is %t", tt.outcomes, !ill)
		}
	}
}
