package doctor

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// State is what an SDK does at one link of its chain.
type State int

const (
	Passed State = iota // nothing is set: it goes on
	Taken               // the first match: it takes its credentials here
	Broken              // set, and cannot work
	Unused              // set, but an earlier link is the match
)

// Step is one link as an SDK walks it.
type Step struct {
	Kind  Kind
	State State
	Way   Way    // of a profile
	URL   string // of an endpoint
	From  string // what sets it: a variable, or file:line
	Cause string // of a broken step
	Note  string // why, or what is lacking
	Stops bool   // a broken step that ends the chain
	Lacks bool   // passed since the SDK cannot do what the profile asks for
}

// Walk is an SDK's way through its chain.
type Walk struct {
	SDK   SDK
	Steps []Step
}

// Match is the step where the SDK takes its credentials or stops; nil when the
// chain ends without any.
func (w Walk) Match() *Step {
	for i, s := range w.Steps {
		if s.State == Taken || s.State == Broken && s.Stops {
			return &w.Steps[i]
		}
	}
	return nil
}

// First is the match as text: "keys", "profile:sso", "container http://…",
// "broken:CAUSE", or "none".
func (w Walk) First() string {
	m := w.Match()
	switch {
	case m == nil:
		return "none"
	case m.State == Broken:
		return "broken:" + m.Cause
	case m.Way != "":
		return string(m.Kind) + ":" + string(m.Way)
	case m.URL != "":
		return string(m.Kind) + " " + m.URL
	}
	return string(m.Kind)
}

// lacks says whether the SDK went past something that it cannot do.
func (w Walk) lacks() bool {
	for _, s := range w.Steps {
		if s.Lacks {
			return true
		}
	}
	return false
}

// walk follows the SDK's chain to its end; what comes after the match is looked
// at as well, since it is what is hidden.
func (v *view) walk(s SDK) Walk {
	w := Walk{SDK: s}
	ended := false
	add := func(step Step) {
		if ended && step.State != Passed {
			step.State = Unused
		}
		w.Steps = append(w.Steps, step)
		ended = ended || step.State == Taken || step.State == Broken && step.Stops
	}
	if s.StrictFiles && v.strict.Text != "" {
		add(Step{Kind: KindProfile, State: Broken, Stops: true, From: v.strict.Where, Cause: "files.strict", Note: "the line " + v.strict.Text})
	}
	if name, variable, section := v.profile(s); variable != "" && section == nil && s.Missing == Fatal && v.filesErr == nil {
		add(Step{Kind: KindProfile, State: Broken, Stops: true, From: variable, Cause: "profile.missing", Note: "there is no profile " + quote(name)})
	}
	broken := false // a profile that is missing is told once
	for _, l := range s.Chain {
		switch l.Kind {
		case KindKeys:
			add(v.keys(s))
		case KindIdentity:
			add(v.identity(s))
		case KindProfile:
			step := v.profileStep(s, l.Ways)
			if step.Cause == "profile.missing" && (broken || s.Missing == Fatal) {
				step = Step{Kind: KindProfile}
			}
			broken = broken || step.Cause == "profile.missing"
			add(step)
		case KindContainer:
			add(v.container(s))
		case KindIMDS:
			step := v.imds(s)
			if text, _ := v.containerURL(s); text != "" && !s.AfterContainer {
				step = Step{Kind: KindIMDS, Note: "never looked at beside a container endpoint"}
			}
			add(step)
		}
	}
	return w
}

func (v *view) keys(s SDK) Step {
	step := Step{Kind: KindKeys, From: varKeyID}
	id, secret := v.Env.Get(varKeyID), v.Env.Get(varSecret)
	_, named := v.Env.First(s.Profiles...)
	switch {
	case s.ProfileFirst && named != "" && id != "" && secret != "":
		step.Note = "passed over, since a profile is named"
	case id != "" && secret != "":
		step.State = Taken
	case id != "" || secret != "":
		step.State, step.Cause, step.Stops = Broken, "env.partial-keys", s.HalfKeys && id != ""
		step.Note = varSecret + " is not set"
		if id == "" {
			step.Note = varKeyID + " is not set"
		}
	}
	return step
}

func (v *view) identity(s SDK) Step {
	step := Step{Kind: KindIdentity, From: varIdentity}
	file, role := v.Env.Get(varIdentity), v.Env.Get(varRole)
	if file == "" {
		return step
	}
	if role == "" {
		step.State, step.Cause, step.Note, step.Stops = Broken, "web-identity.no-role", varRole+" is not set", s.NoRole != Next
		return step
	}
	step.State = Taken
	text, err := v.readSmall(file)
	switch {
	case errors.Is(err, errUnseen):
	case err != nil:
		step.State, step.Cause, step.Stops = Broken, "web-identity.file", s.NoFile != Next
		step.Note = file + " cannot be read: " + plain(err)
	case strings.TrimSpace(text) == "":
		step.State, step.Cause, step.Stops = Broken, "web-identity.empty", s.NoFile != Next
		step.Note = file + " is empty"
	}
	return step
}

func (v *view) profileStep(s SDK, known []Way) Step {
	name, variable, section := v.profile(s)
	step := Step{Kind: KindProfile, From: variable}
	switch {
	case errors.Is(v.filesErr, errUnseen):
		if variable != "" {
			step.State, step.Note = Taken, "the profile "+name+"; "+errUnseen.Error()
		}
		return step
	case v.filesErr != nil:
		step.State, step.Cause, step.Note = Broken, "files.unreadable", "the AWS files cannot be read"
		step.Stops = s.Missing != Next
		return step
	case section == nil && variable != "":
		step.State, step.Cause, step.Note = Broken, "profile.missing", "there is no profile "+quote(name)
		step.Stops = s.Missing == Fatal || s.Missing == Stop && len(v.files.Names()) > 0
		return step
	case section == nil:
		return step
	}
	if step.From == "" {
		step.From = fmt.Sprintf("%s:%d", section.File, section.Line)
	}
	have := ways(section)
	for _, w := range known {
		for _, h := range have {
			if w == h {
				step.State, step.Way = Taken, w
				return step
			}
		}
	}
	all := map[Way]bool{}
	for _, l := range s.Chain {
		for _, w := range l.Ways {
			all[w] = true
		}
	}
	for _, h := range have {
		if !all[h] {
			step.Lacks, step.Note = true, fmt.Sprintf("its default chain does nothing with %s of the profile %s", h, name)
		}
	}
	if len(have) == 0 && variable != "" {
		step.Note = "the profile " + quote(name) + " gives no credentials"
	}
	return step
}

func (v *view) container(s SDK) Step {
	step := Step{Kind: KindContainer}
	text, variable := v.containerURL(s)
	if text == "" {
		return step
	}
	step.URL, step.From, step.State = text, variable, Taken
	broken := func(cause, note string) Step {
		step.State, step.Cause, step.Note, step.Stops = Broken, cause, note, !s.AfterContainer
		return step
	}
	if rest := v.Env.Get(varRelative); variable == varRelative && !strings.HasPrefix(rest, "/") {
		if rest == "" {
			return broken("container.relative-empty", varRelative+" is set to nothing, which counts as set")
		}
		return broken("container.relative-slash", varRelative+" does not begin with /")
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return broken("container.url-invalid", variable+" is no URL")
	}
	if ok, why := s.accepts(u, v.Env.Get(varIMDSMode), v.resolve); !ok {
		return broken("container.host", why)
	}
	if t := v.token(s); t.cause != "" {
		return broken(t.cause, t.say)
	}
	return step
}

func (v *view) imds(s SDK) Step {
	step := Step{Kind: KindIMDS}
	if off := v.Env.Get(varIMDSOff); s.Disabled.yes(off) {
		step.From, step.Note = varIMDSOff, "switched off"
		return step
	}
	var cause, say string
	step.URL, step.From, cause, say = v.imdsURL(s)
	if cause != "" {
		step.State, step.Cause, step.Note, step.Stops = Broken, cause, say, true
		return step
	}
	step.State = Taken
	return step
}
