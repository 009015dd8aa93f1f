package doctor

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"rolecall/internal/awsconfig"
	"rolecall/internal/shellword"
)

// profileWalk follows one profile through its source_profiles, and looks at
// each value on the way. It asks nobody.
type profileWalk struct {
	*view
	now    time.Time
	steps  []Evidence
	faults []Result
	names  []string
}

// lookAtProfile walks a profile; asked is whether a person named it.
func (v *view) lookAtProfile(name string, now time.Time) *profileWalk {
	w := &profileWalk{view: v, now: now}
	w.follow(name, awsconfig.Value{})
	return w
}

// profileResults are what is wrong with the profile that an SDK ends at.
func (s *survey) profileResults(now time.Time) []Result {
	for _, w := range s.walks {
		if m := w.Match(); m != nil && m.Kind == KindProfile && m.State == Taken && !errors.Is(s.filesErr, errUnseen) {
			name, _, _ := s.profile(w.SDK)
			return s.lookAtProfile(name, now).faults
		}
	}
	return nil
}

func (w *profileWalk) fault(outcome Outcome, cause, summary string, where awsconfig.Value, text string, fixes ...Fix) {
	r := Result{Outcome: outcome, Cause: "profile." + cause, Summary: summary, Fixes: fixes}
	if where.File != "" {
		r.Evidence = []Evidence{{Where: w.at(where), Text: text}}
		if len(fixes) > 0 && fixes[0].Where == "" && fixes[0].Command == "" {
			r.Fixes[0].Where = w.at(where)
		}
	}
	w.faults = append(w.faults, r)
}

// step notes a value that was used.
func (w *profileWalk) step(key string, v awsconfig.Value) {
	text := key
	if v.Secret.IsZero() {
		text += " = " + v.Text
	} else {
		text += " = (not shown)"
	}
	w.steps = append(w.steps, Evidence{Where: w.at(v), Text: text})
}

// follow looks at a profile and, where it names one, at its source.
func (w *profileWalk) follow(name string, from awsconfig.Value) {
	if w.files == nil {
		r := w.explainBreak(Step{Cause: "files.unreadable"})
		r.Outcome, r.Cause = Failed, "files.unreadable"
		w.faults = append(w.faults, r)
		return
	}
	s, ok := w.files.Profile(name)
	if !ok {
		w.missing(name, from)
		return
	}
	again := slices.Contains(w.names, name)
	w.names = append(w.names, name)
	have := ways(s)
	if again && !slices.ContainsFunc(have, func(way Way) bool { return way != WayRole }) {
		w.fault(Failed, "loop", "the profiles go round in a loop: "+strings.Join(w.names, " -> "), from, "source_profile = "+from.Text,
			Fix{Text: "name a profile with credentials of its own"})
		return
	}
	w.steps = append(w.steps, Evidence{Where: fmt.Sprintf("%s:%d", s.File, s.Line), Text: "the profile " + name})
	w.values(s)
	if again || len(w.names) > 1 && slices.Contains(have, WayKeys) {
		w.own(s, have)
		return
	}
	if v, ok := s.Get("role_arn"); ok {
		w.role(s, v)
	}
	if source, ok := s.Get("source_profile"); ok && source.Text != "" {
		w.step("source_profile", source)
		if s.Text("role_arn") == "" {
			w.fault(Failed, "incomplete", fmt.Sprintf("the profile %s has source_profile and no role_arn", name), source, "source_profile = "+source.Text,
				Fix{Text: "add role_arn = arn:aws:iam::ACCOUNT:role/NAME"})
		}
		w.conflict(s)
		w.follow(source.Text, source)
		return
	}
	w.own(s, have)
}

func (w *profileWalk) missing(name string, from awsconfig.Value) {
	cause, summary := "missing", "there is no profile "+quote(name)
	if from.File != "" {
		cause, summary = "source-missing", "source_profile names "+quote(name)+", which is not there"
	}
	fixes := w.headers(name)
	if near := shellword.Nearest(name, w.files.Names()); near != "" {
		fixes = append(fixes, Fix{Text: "it may be meant for " + quote(near)})
	} else if len(fixes) == 0 {
		fixes = append(fixes, Fix{Text: "write the profile, or name another", Command: "aws configure --profile " + shellword.Word(name)})
	}
	w.fault(Failed, cause, summary, from, "source_profile = "+name, fixes...)
	r := &w.faults[len(w.faults)-1]
	if from.File == "" {
		r.Evidence = append(r.Evidence, w.holds(w.paths().Config))
	}
	r.Evidence = append(r.Evidence, w.inVain(name)...)
}

// holds is what profiles the files have, told of one of them.
func (v *view) holds(file string) Evidence {
	names := v.files.Names()
	_, err := v.stat(file)
	switch {
	case len(names) > 0:
		return Evidence{Where: file, Text: "has the profiles " + strings.Join(head(names, 8), ", ")}
	case err != nil:
		return Evidence{Where: file, Text: "is not there"}
	}
	return Evidence{Where: file, Text: "has no profiles"}
}

// inVain are lines of the files that mean nothing: those that are meant for the
// profile, else the first few.
func (v *view) inVain(profile string) (list []Evidence) {
	const few = 5
	faults := v.files.Faults()
	if meant := slices.DeleteFunc(slices.Clone(faults), func(f awsconfig.Fault) bool { return f.Profile != profile }); len(meant) > 0 {
		faults = meant
	}
	for i, f := range faults {
		if i == few {
			return append(list, Evidence{Text: fmt.Sprintf("and %d more lines that mean nothing", len(faults)-few)})
		}
		list = append(list, Evidence{Where: fmt.Sprintf("%s:%d", f.File, f.Line), Text: f.Msg})
	}
	return list
}

// values looks at what stands in any profile.
func (w *profileWalk) values(s *awsconfig.Section) {
	region, ok := s.Get("region")
	switch {
	case ok && regionSlip(region.Text):
		w.fault(Failed, "region", quote(region.Text)+" is no region", region, "region = "+region.Text, Fix{Text: "write it as in eu-west-1" + regionHint(region.Text)})
	case ok:
		w.step("region", region)
	case len(w.names) == 1:
		if _, text := w.Env.First("AWS_REGION", "AWS_DEFAULT_REGION"); text == "" {
			w.fault(Warning, "region-missing", fmt.Sprintf("the profile %s has no region, and no variable has one", s.Name),
				awsconfig.Value{File: s.File, Line: s.Line}, w.header(s.File, s.Name), Fix{Text: "add region = eu-west-1"})
		}
	}
	id, hasID := s.Get("aws_access_key_id")
	secret, hasSecret := s.Get("aws_secret_access_key")
	if hasID && id.Text != "" && (!hasSecret || secret.Secret.IsZero()) {
		w.fault(Failed, "half-keys", fmt.Sprintf("the profile %s has aws_access_key_id and no aws_secret_access_key", s.Name), id, "aws_access_key_id = (not shown)", Fix{Text: "add the secret, or remove the id"})
	}
	token, _ := s.Get("aws_session_token")
	if strings.HasPrefix(id.Text, "ASIA") && token.Secret.IsZero() && !secret.Secret.IsZero() {
		w.fault(Failed, "session-token-missing", "temporary keys without aws_session_token: AWS answers InvalidClientTokenId", id, "aws_access_key_id begins with ASIA", Fix{Text: "add aws_session_token, or take new keys"})
	}
}

// regionSlip says whether a region is meant to be one of AWS's and is misspelt. A
// single word (auto, local) is a name of another service that speaks like AWS's.
func regionSlip(text string) bool {
	return strings.ContainsAny(text, "-_ 0123456789") && !looksLikeRegion(text) && text != "aws-global"
}

func looksLikeRegion(text string) bool {
	parts := strings.Split(text, "-")
	last := parts[len(parts)-1]
	return len(parts) >= 3 && len(parts) <= 5 && len(last) >= 1 && strings.Trim(last, "0123456789") == "" &&
		strings.Trim(text, "abcdefghijklmnopqrstuvwxyz0123456789-") == "" && !slices.Contains(parts, "")
}

// header is a profile's first line, which differs between the two files.
func (v *view) header(file, name string) string {
	if file == v.paths().Config && name != "default" {
		return "[profile " + name + "]"
	}
	return "[" + name + "]"
}

// headers are what to write where a profile's first line is not as the file
// wants it.
func (v *view) headers(name string) (fixes []Fix) {
	if v.files == nil {
		return nil
	}
	for _, f := range v.files.Faults() {
		if f.Profile == name {
			fixes = append(fixes, Fix{Text: "write " + v.header(f.File, name), Where: fmt.Sprintf("%s:%d", f.File, f.Line)})
		}
	}
	return fixes
}

// regionHint says what a frequent slip was meant for.
func regionHint(text string) string {
	if n := len(text); n > 2 && text[n-1] >= 'a' && text[n-1] <= 'f' && looksLikeRegion(text[:n-1]) {
		return ": " + text + " is an availability zone of " + text[:n-1]
	}
	return ""
}

// role looks at a role's ARN.
func (w *profileWalk) role(s *awsconfig.Section, v awsconfig.Value) {
	if why := roleFault(v.Text); why != "" {
		w.fault(Failed, "role-arn", "role_arn is not the ARN of a role: "+why, v, "role_arn = "+v.Text, Fix{Text: "write arn:aws:iam::123456789012:role/NAME"})
		return
	}
	w.step("role_arn", v)
	if mfa, ok := s.Get("mfa_serial"); ok && mfa.Text != "" {
		w.step("mfa_serial", mfa)
	}
}

// roleFault says what is wrong with a role's ARN, "" for nothing.
func roleFault(arn string) string {
	parts := strings.SplitN(arn, ":", 6)
	switch {
	case strings.TrimSpace(arn) != arn || strings.ContainsAny(arn, "\"'"):
		return "it has blanks or quotes"
	case len(parts) != 6 || parts[0] != "arn":
		return "it needs six parts, with colons between"
	case !strings.HasPrefix(parts[1], "aws"):
		return "the partition " + quote(parts[1]) + " is unknown"
	case parts[2] == "sts" || strings.HasPrefix(parts[5], "assumed-role/"):
		return "it is the ARN of a session; that of the role has iam and role/"
	case parts[2] != "iam":
		return "the service is iam, and not " + quote(parts[2])
	case parts[3] != "":
		return "IAM has no region: two colons stand before the account"
	case len(parts[4]) != 12 || strings.Trim(parts[4], "0123456789") != "":
		return fmt.Sprintf("the account has %d characters, and not 12 digits", len(parts[4]))
	case strings.HasPrefix(parts[5], "user/"), strings.HasPrefix(parts[5], "instance-profile/"):
		return "it names " + strings.SplitN(parts[5], "/", 2)[0] + ", and not a role"
	case !strings.HasPrefix(parts[5], "role/") || len(parts[5]) == len("role/"):
		return "it must end with role/NAME"
	}
	return ""
}

// conflict finds a profile that names two ways.
func (w *profileWalk) conflict(s *awsconfig.Section) {
	for _, key := range []string{"credential_source", "credential_process", "web_identity_token_file"} {
		if v, ok := s.Get(key); ok && v.Text != "" {
			w.fault(Failed, "conflict", fmt.Sprintf("the profile %s has both source_profile and %s", s.Name, key), v, key+" = …", Fix{Text: "remove one of the two"})
		}
	}
}
