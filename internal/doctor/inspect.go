package doctor

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"rolecall/internal/control"
	"rolecall/internal/shellword"
)

// Config is what checks need of the world beside the program they look at.
type Config struct {
	// Now is the clock. Nil: time.Now.
	Now func() time.Time
	// Offline leaves out every check that asks an endpoint.
	Offline bool
	// Only looks at one kind of link, as if the chain had no other. "": at all.
	Only Kind
	// Daemon is the control socket of the user's rolecall. "": it is not looked at.
	Daemon string
	// Resolve looks up a host's addresses. Nil: as the system does.
	Resolve func(host string) []netip.Addr
}

func (c Config) now() time.Time {
	if c.Now != nil {
		return c.Now()
	}
	return time.Now()
}

func (c Config) lookup() lookup {
	if c.Resolve != nil {
		return c.Resolve
	}
	return localLookup
}

// survey is what is found out of a program without asking anybody.
type survey struct {
	*view
	walks  []Walk
	static []Result
	failed bool
}

// Inspect are the checks of one program: the chain as each SDK walks it, what
// is hidden, and whether what they end at answers.
func Inspect(p Program, c Config) []Check {
	look := sync.OnceValue(func() *survey { return c.survey(p) })
	check := func(name string, network bool, run func(context.Context, *survey) []Result) Check {
		return Check{Name: name, Target: p.Name, Network: network, Run: func(ctx context.Context) []Result { return run(ctx, look()) }}
	}
	checks := []Check{check("environment", false, func(_ context.Context, s *survey) []Result { return s.static })}
	if c.Only == "" {
		checks = append(checks, check("profile", false, func(_ context.Context, s *survey) []Result { return s.profileResults(c.now()) }))
	}
	if c.Daemon != "" {
		checks = append(checks, check("daemon", true, func(ctx context.Context, s *survey) []Result {
			return s.daemon(ctx, control.NewClient(c.Daemon))
		}))
	}
	checks = append(checks,
		check("container", true, func(ctx context.Context, s *survey) []Result { return s.containers(ctx, c) }),
		check("imds", true, func(ctx context.Context, s *survey) []Result { return s.metadata(ctx, c) }),
		check("first match", false, func(_ context.Context, s *survey) []Result { return s.summary() }),
		check("sight", false, func(_ context.Context, s *survey) []Result { return s.unseen() }),
	)
	if c.Only == "" {
		checks = append(checks, check("chains", false, func(_ context.Context, s *survey) []Result { return s.chains() }))
	}
	return checks
}

func (c Config) survey(p Program) *survey {
	s := &survey{view: newView(p, c.lookup())}
	if p.Env.Wiped { // what it has cannot be known, so nothing is lacking
		s.static = s.values(c.now())
		return s
	}
	for _, sdk := range p.sdks() {
		s.walks = append(s.walks, s.walk(sdk.only(c.Only)))
	}
	s.static = append(s.values(c.now()), s.breaks(s.walks)...)
	if r, ok := s.lost(); ok && countWalks(s.walks, served) == 0 {
		s.static = append(s.static, r)
	}
	for _, r := range s.static {
		s.failed = s.failed || r.Outcome == Failed
	}
	if countWalks(s.walks, func(w Walk) bool { return w.Match() != nil }) == 0 && !s.failed {
		s.static = append(s.static, s.nothing(c.Only))
	}
	if c.Only != "" {
		return s
	}
	if r, ok := s.laravel(); ok {
		s.static = append(s.static, r)
	}
	s.static = append(s.static, s.shadows(s.walks)...)
	return s
}

// served says whether the walk ends at something that was set up for it, and
// not merely at the metadata service, which every chain ends with.
func served(w Walk) bool {
	m := w.Match()
	return m != nil && (m.Kind != KindIMDS || m.From != "")
}

// taken says whether the walk ends where it takes credentials.
func taken(w Walk) bool { return served(w) && w.Match().State == Taken }

// only is the SDK with a chain of one kind; "" leaves it as it is.
func (s SDK) only(kind Kind) SDK {
	if kind != "" {
		s.Missing = Next
		s.Chain = []Link{{Kind: kind}}
	}
	return s
}

// nothing is the result for chains that all end without a match.
func (s *survey) nothing(only Kind) Result {
	switch only {
	case KindContainer:
		return Result{Check: "chain", Outcome: Failed, Cause: "container.not-set", Summary: "no container endpoint is set: on ECS, EKS and with rolecall one of two variables names it",
			Evidence: []Evidence{s.isSet(varRelative), s.isSet(varFull)},
			Fixes:    []Fix{{Text: "set it to a running daemon", Command: `eval "$(rolecall env)"`}, {Text: "on ECS the container has it: look at whoever starts the program", Command: "rolecall doctor --pid PID"}}}
	case KindIMDS:
		return Result{Check: "chain", Outcome: Failed, Cause: "imds.disabled", Summary: "the instance metadata service is switched off for SDKs",
			Evidence: []Evidence{s.value(varIMDSOff)}, Fixes: []Fix{{Command: "unset " + varIMDSOff}}}
	}
	return s.empty("")
}

// empty is the result for a chain that nothing is set for. imds is what the
// metadata service does, "" when it is switched off.
func (s *survey) empty(imds string) Result {
	r := Result{Check: "chain", Outcome: Failed, Cause: "chain.empty",
		Summary: "nothing gives credentials here: no keys, no profile, no container endpoint, no instance metadata",
		Evidence: []Evidence{
			s.isSet(varKeyID), s.isSet("AWS_PROFILE"), s.isSet(varIdentity), s.isSet(varRelative), s.isSet(varFull),
		},
		Fixes: []Fix{
			{Text: "serve a profile to it", Command: "rolecall exec PROFILE -- COMMAND"},
			{Text: "on ECS the container has " + varRelative + ": look at whoever starts the program", Command: "rolecall doctor --pid PID"},
		}}
	if s.files != nil && len(s.files.Names()) > 0 {
		r.Evidence = append(r.Evidence, Evidence{Where: s.paths().Config, Text: "has the profiles " + strings.Join(head(s.files.Names(), 8), ", ") + "; none is named, and none is called default"})
		r.Fixes = append([]Fix{{Text: "name one of them", Command: "export AWS_PROFILE=" + shellword.Word(s.files.Names()[0])}}, r.Fixes...)
	}
	if imds == "" {
		r.Evidence = append(r.Evidence, s.value(varIMDSOff))
	} else {
		r.Evidence = append(r.Evidence, Evidence{Where: imdsBase, Text: imds})
	}
	return r
}

func head(names []string, n int) []string {
	if len(names) > n {
		return append(append([]string{}, names[:n]...), "…")
	}
	return names
}

// summary tells where each SDK takes its credentials; nothing when none gets
// that far, which is told as a fault or by the metadata service.
func (s *survey) summary() []Result {
	if countWalks(s.walks, taken) == 0 {
		return nil
	}
	groups, order := map[string][]string{}, []string(nil)
	for _, w := range s.walks {
		text := w.words(s.view)
		if groups[text] == nil {
			order = append(order, text)
		}
		groups[text] = append(groups[text], w.SDK.Name)
	}
	r := Result{Check: "chain", Outcome: OK, Summary: "the first match is " + order[0]}
	if len(order) > 1 {
		r.Summary = "where each SDK takes its credentials"
	}
	for _, text := range order {
		r.Evidence = append(r.Evidence, Evidence{Where: strings.Join(groups[text], ", "), Text: text})
	}
	return []Result{r}
}

// chains is every step of every SDK, for those who want to see it all.
func (s *survey) chains() []Result {
	var results []Result
	for _, w := range s.walks {
		results = append(results, Result{Outcome: OK, Summary: "how " + w.SDK.Name + " looks for credentials", Evidence: w.evidence()})
	}
	return results
}

// words are the first match for people.
func (w Walk) words(v *view) string {
	m := w.Match()
	switch {
	case m == nil:
		for _, s := range w.Steps {
			if s.Lacks {
				return "nowhere: " + s.Note
			}
		}
		return "nowhere"
	case m.State == Broken:
		return "nowhere: it stops at " + m.Cause
	case m.Kind == KindKeys:
		return "the keys in the environment"
	case m.Kind == KindIdentity:
		return "the web identity token of " + varIdentity
	case m.Kind == KindProfile:
		name, _, _ := v.profile(w.SDK)
		if m.Way == "" {
			return m.Note
		}
		return "the profile " + name + " (" + string(m.Way) + ")"
	}
	return shownURL(m.URL)
}

// evidence is every step of one SDK.
func (w Walk) evidence() (list []Evidence) {
	for i, s := range w.Steps {
		if s.URL != "" && s.Note == "" {
			s.Note = shownURL(s.URL)
		}
		text := map[State]string{Passed: "nothing is set", Taken: "→ the first match", Broken: "set, and cannot work", Unused: "set, and hidden by the first match"}[s.State]
		if s.Note != "" {
			text += ": " + s.Note
		}
		list = append(list, Evidence{Where: fmt.Sprintf("%d. %s", i+1, s.Kind), Text: text})
	}
	return list
}

// unseen tells what could not be looked at.
func (s *survey) unseen() (results []Result) {
	for _, text := range s.Unseen {
		results = append(results, Result{Outcome: Skipped, Summary: "there may be more to see", Why: text})
	}
	return results
}
