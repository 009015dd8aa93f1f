package doctor

import (
	"slices"
	"strings"
)

// Confirmed is the report with each cause told once. What was seen of a program
// goes before what it said itself, which is a guess: the same cause confirms it,
// and another one is no second fault. An endpoint that answers what an empty or
// failing slot of the daemon makes it answer confirms that slot.
func (r Report) Confirmed() Report {
	r.Results = slices.Clone(r.Results)
	said := func(res Result) bool { return res.Check == checkProgram }
	if i := r.failed(said); i >= 0 {
		same := slices.IndexFunc(r.Results, func(res Result) bool { return !said(res) && res.Cause == r.Results[i].Cause })
		switch how, _, _ := strings.Cut(r.Results[i].Summary, "; most likely"); {
		case same >= 0:
			r.confirm(same, i, how+", and said so itself: "+strings.TrimPrefix(r.Results[i].Evidence[0].Text, "the text is: "))
		case r.failed(func(res Result) bool { return !said(res) }) >= 0:
			r.Results[i].Outcome = Warning
		}
	}
	slot := r.failed(func(res Result) bool { return strings.HasPrefix(res.Cause, "daemon.") })
	endpoint := r.failed(func(res Result) bool {
		return res.Cause == "container.not-found" || res.Cause == "container.unavailable"
	})
	if slot >= 0 && endpoint >= 0 {
		r.confirm(slot, endpoint, r.Results[endpoint].Summary)
	}
	all := slices.Clone(r.Results)
	r.Results = slices.DeleteFunc(r.Results, func(res Result) bool { // what is fragile, and has broken
		return res.Outcome == Warning && slices.ContainsFunc(all, func(f Result) bool {
			return f.Outcome == Failed && f.Cause == res.Cause && f.Target == res.Target
		})
	})
	return r.Sorted()
}

// failed is the first fault of that kind, -1 when there is none.
func (r Report) failed(is func(Result) bool) int {
	return slices.IndexFunc(r.Results, func(res Result) bool { return res.Outcome == Failed && is(res) })
}

// confirm makes one result the evidence of another.
func (r *Report) confirm(cause, by int, words string) {
	r.Results[cause].Evidence = append(slices.Clone(r.Results[cause].Evidence), Evidence{Text: words})
	r.Results = slices.Delete(r.Results, by, by+1)
}
