package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"rolecall/internal/control"
	"rolecall/internal/shellword"
	"rolecall/internal/usererr"
)

// statusAsker is what is asked of a running daemon.
type statusAsker interface {
	Status(ctx context.Context) (control.Status, error)
}

// daemon looks at the slots of the user's running daemon. The one that the
// program takes its credentials from counts as a fault of the program.
func (s *survey) daemon(ctx context.Context, d statusAsker) []Result {
	st, err := d.Status(ctx)
	if errors.Is(err, control.ErrNoDaemon) {
		return nil // the container check says so where it matters
	}
	if err != nil {
		e := usererr.From(err)
		return []Result{{Outcome: Warning, Cause: "daemon.silent", Summary: "rolecall's daemon cannot be asked: " + e.Msg,
			Fixes: []Fix{{Text: e.Hint, Command: "rolecall status"}}}}
	}
	slot, used := s.slotOf(st)
	var results []Result
	for _, one := range st.Slots {
		mine := used && one.Name == slot && !one.ByURL
		if r, ok := judgeSlot(one, mine); ok {
			results = append(results, r)
		}
	}
	if used && !hasSlot(st, slot) {
		results = append(results, Result{Outcome: Failed, Cause: "daemon.slot-empty", Summary: "the program's " + slotWords(slot) + " of rolecall is empty",
			Evidence: []Evidence{s.value(varFull)}, Fixes: []Fix{{Command: loadCommand(slot)}}})
	}
	if st.ConfigError != "" {
		results = append(results, Result{Outcome: Warning, Cause: "daemon.config", Summary: "rolecall's last reload failed: the configuration before it is in force",
			Fixes: []Fix{{Command: "rolecall config check"}}})
	}
	if len(results) == 0 {
		results = []Result{{Outcome: OK, Summary: fmt.Sprintf("rolecall's daemon (pid %d) has %d slots, and nothing is wrong with them", st.PID, len(st.Slots))}}
	}
	return results
}

// slotOf is the slot that the program's URL names, when the URL is the daemon's.
func (s *survey) slotOf(st control.Status) (string, bool) {
	if s.Env.Get(varRelative) != "" {
		return "", false
	}
	u, err := url.Parse(s.Env.Get(varFull))
	if err != nil || u.Host == "" {
		return "", false
	}
	for _, l := range st.Listeners {
		own, err := url.Parse(l.URL)
		if err != nil || own.Port() != u.Port() || own.Hostname() != u.Hostname() && !(loopback(own.Hostname(), s.resolve) && loopback(u.Hostname(), s.resolve)) {
			continue
		}
		switch path := strings.Trim(u.Path, "/"); {
		case path == "", path == "creds", path == "v1/credentials":
			return "", true
		default:
			name, ok := strings.CutPrefix(path, "slot/")
			return name, ok && !strings.Contains(name, "/")
		}
	}
	return "", false
}

func hasSlot(st control.Status, name string) bool {
	for _, one := range st.Slots {
		if one.Name == name && !one.ByURL && (one.State != "empty" || one.Source != "") {
			return true
		}
	}
	return false
}

// judgeSlot says what is wrong with a slot; only with credentials gone, and for
// the program's own, it is a fault.
func judgeSlot(one control.Slot, mine bool) (Result, bool) {
	gone := one.State == "empty" || one.State == "expired"
	if one.Error == nil { // what is not there yet is on its way; the endpoint says more
		return Result{}, false
	}
	r := Result{Outcome: Warning, Cause: "daemon.slot-failing", Evidence: []Evidence{{Where: slotWords(one.Name), Text: one.State + ", from " + one.Source}}}
	if mine && gone {
		r.Outcome = Failed
	}
	r.Summary = "rolecall's " + slotWords(one.Name) + " cannot be refreshed: " + one.Error.Message
	if one.Error.Code == usererr.LoginRequired {
		r.Cause, r.Summary = "daemon.login-required", "rolecall's "+slotWords(one.Name)+" needs a login: "+one.Error.Message
	}
	if one.Expires != nil && !gone {
		r.Evidence = append(r.Evidence, Evidence{Text: "what it holds is good for another " + span(time.Duration(one.Remaining*float64(time.Second)))})
	}
	r.Fixes = []Fix{{Command: "rolecall status"}}
	if one.Error.Hint != "" {
		r.Fixes = []Fix{{Text: one.Error.Hint}}
	}
	return r, true
}

func slotWords(name string) string {
	if name == "" {
		return "default slot"
	}
	return "slot " + quote(name)
}

func loadCommand(slot string) string {
	if slot == "" {
		return "rolecall load PROFILE"
	}
	return "rolecall load PROFILE --slot " + shellword.Word(slot)
}
