package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"slices"
	"strings"

	"rolecall/internal/shellword"
)

// enough SDKs that a fault of theirs is a fault of the set-up, and not a quirk
// to know of.
const enough = 3

// breaks finds the steps that cannot work, grouped by cause, in the order of
// the chains.
func (v *view) breaks(walks []Walk) []Result {
	var causes []string
	steps := map[string][]Step{}
	who := map[string][]string{}
	for _, w := range walks {
		seen := map[string]bool{}
		for _, s := range w.Steps {
			if s.State != Broken || seen[s.Cause] {
				continue
			}
			seen[s.Cause] = true
			if steps[s.Cause] == nil {
				causes = append(causes, s.Cause)
			}
			steps[s.Cause] = append(steps[s.Cause], s)
			who[s.Cause] = append(who[s.Cause], w.SDK.Name)
		}
	}
	var results []Result
	for _, c := range causes {
		r := v.explainBreak(steps[c][0])
		r.Check, r.Cause, r.Outcome = string(steps[c][0].Kind), c, Failed
		if len(who[c]) < enough && len(who[c]) < len(walks) {
			r.Outcome = Warning
		}
		if len(who[c]) < len(walks) {
			r.Evidence = append(r.Evidence, Evidence{Text: "this hits " + strings.Join(who[c], ", ") + "; not " + strings.Join(others(walks, who[c]), ", ")})
		}
		if stops := stopping(steps[c]); stops > 0 && stops == len(steps[c]) {
			r.Evidence = append(r.Evidence, Evidence{Text: "the SDK stops there with an error and looks nowhere else"})
		}
		results = append(results, r)
	}
	return results
}

func stopping(steps []Step) (n int) {
	for _, s := range steps {
		if s.Stops {
			n++
		}
	}
	return n
}

func others(walks []Walk, names []string) (rest []string) {
	for _, w := range walks {
		if !slices.Contains(names, w.SDK.Name) {
			rest = append(rest, w.SDK.Name)
		}
	}
	return rest
}

// explainBreak is what is said of a broken step: summary, evidence and fixes.
func (v *view) explainBreak(s Step) Result {
	switch s.Cause {
	case "env.partial-keys":
		return Result{Summary: "half a key pair: " + s.Note, Evidence: []Evidence{v.isSet(varKeyID), v.isSet(varSecret)},
			Fixes: []Fix{{Text: "set both " + varKeyID + " and " + varSecret + ", or neither", Command: "unset " + varKeyID + " " + varSecret + " " + varSession}}}
	case "web-identity.no-role":
		return Result{Summary: varIdentity + " is set without " + varRole, Evidence: []Evidence{v.value(varIdentity), v.isSet(varRole)},
			Fixes: []Fix{{Text: "set " + varRole + " to the ARN of the role, on Kubernetes by the annotation eks.amazonaws.com/role-arn of the service account"}}}
	case "web-identity.file", "web-identity.empty":
		return Result{Summary: "the web identity token cannot be used: " + s.Note, Evidence: []Evidence{v.value(varIdentity)},
			Fixes: []Fix{{Text: "mount the token and let the program's user read it (on Kubernetes: fsGroup)"}, {Text: "unset both variables", Command: "unset " + varIdentity + " " + varRole}}}
	case "profile.missing":
		return v.missingProfile(s)
	case "files.unreadable":
		fix := Fix{Text: "make it a file of plain text, or name another with AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE"}
		if errors.Is(v.filesErr, fs.ErrPermission) {
			fix = Fix{Text: "let the program's user read the file (mode 0600, owned by that user)"}
		}
		return Result{Summary: "the AWS files cannot be read", Evidence: []Evidence{{Text: v.filesErr.Error()}}, Fixes: []Fix{fix}}
	case "files.strict":
		return Result{Summary: "an AWS file has a line that Python and the AWS CLI refuse to read: it " + v.strict.Text, Evidence: []Evidence{{Where: s.From, Text: v.strict.Text}},
			Fixes: []Fix{{Text: "correct the line, or take it out", Where: s.From}}}
	case "container.relative-empty":
		return Result{Summary: s.Note, Evidence: []Evidence{v.value(varRelative), v.value(varFull)},
			Fixes: []Fix{{Text: "unset it instead of setting it to nothing", Command: "unset " + varRelative}}}
	case "container.relative-slash":
		return Result{Summary: s.Note + ": it is appended to " + relativeBase, Evidence: []Evidence{v.value(varRelative)},
			Fixes: []Fix{{Text: "write it with a / at the beginning; a whole URL belongs into " + varFull}}}
	case "container.url-invalid", "container.host":
		return v.badHost(s)
	case "container.token-file-missing", "container.token-file-unreadable", "container.token-file-empty", "container.token-newline":
		return v.badToken(s)
	case "imds.mode-invalid":
		return Result{Summary: varIMDSMode + " is wrong: " + s.Note, Evidence: []Evidence{{Where: s.From, Text: s.Note}},
			Fixes: []Fix{{Text: "write IPv4 or IPv6, in this spelling"}}}
	}
	return Result{Summary: "the instance metadata endpoint cannot be used: " + s.Note, Evidence: []Evidence{{Where: s.From, Text: shownURL(s.URL)}},
		Fixes: []Fix{{Text: "write http:// and the host, e.g. http://127.0.0.1:1338"}}}
}

func (v *view) missingProfile(s Step) Result {
	_, name := v.Env.First(s.From)
	r := Result{Summary: fmt.Sprintf("%s names the profile %s, which is not there", s.From, quote(name)), Evidence: []Evidence{v.value(s.From)}}
	if v.files != nil {
		paths := v.paths()
		r.Evidence = append(append(r.Evidence, v.holds(paths.Config), v.holds(paths.Credentials)), v.inVain(name)...)
		r.Fixes = v.headers(name)
		if near := shellword.Nearest(name, v.files.Names()); near != "" {
			r.Fixes = append(r.Fixes, Fix{Text: "it may be meant for " + quote(near), Command: "export " + s.From + "=" + shellword.Word(near)})
		}
	}
	r.Fixes = append(r.Fixes, Fix{Text: "name a profile that is there, or none", Command: "unset " + s.From})
	return r
}

func (v *view) badHost(s Step) Result {
	r := Result{Summary: "no SDK asks that URL: " + s.Note, Evidence: []Evidence{v.value(s.From)}}
	if s.Cause == "container.host" {
		r.Summary = "the host of " + s.From + " is refused: " + s.Note
	}
	r.Fixes = []Fix{{Text: "use http://127.0.0.1:PORT/…, which every SDK takes, or https://"}}
	if u, err := url.Parse(v.Env.Get(varFull)); err == nil && strings.HasSuffix(u.Hostname(), ".internal") {
		r.Fixes = append(r.Fixes, Fix{Text: "from a container: let it share the host's network, or give it 169.254.170.2 in its own"})
	}
	return r
}

func (v *view) badToken(s Step) Result {
	file := v.Env.Get(varTokenFile)
	r := Result{Summary: s.Note}
	switch {
	case s.Cause != "container.token-newline":
		r.Evidence = []Evidence{{Where: varTokenFile, Text: file}}
		r.Fixes = []Fix{{Text: "put the token there, for the program's user to read (mode 0640 and its group)", Where: file}}
	case file != "":
		r.Summary = "the authorization token file ends with a line break: the header cannot be sent"
		r.Evidence = []Evidence{{Where: varTokenFile, Text: file}}
		r.Fixes = []Fix{{Text: "write it without one", Command: fmt.Sprintf(`printf %%s "$(tr -d '\r\n' < %[1]s)" > %[1]s`, shellword.Word(file))}}
	default:
		r.Summary = varToken + " has a line break: the header cannot be sent"
		r.Evidence = []Evidence{v.isSet(varToken)}
		r.Fixes = []Fix{{Text: "set it without one"}}
	}
	return r
}

// isSet is a variable whose value is not shown.
func (v *view) isSet(name string) Evidence {
	value, there := v.Env.Lookup(name)
	switch {
	case !there:
		return Evidence{Where: name, Text: "is not set"}
	case value == "":
		return Evidence{Where: name, Text: "is set to nothing"}
	}
	return Evidence{Where: name, Text: "is set"}
}

// value is a variable with its value, which is no secret.
func (v *view) value(name string) Evidence {
	e := v.isSet(name)
	if e.Text == "is set" {
		e.Text = v.Env.Get(name)
		if name == varRelative || name == varFull {
			e.Text = shownURL(e.Text)
		}
		e.Text = quote(e.Text)
	}
	return e
}

// shownURL is a URL without what may be a secret: user, query, and the id of a
// task's credentials. A proxy may be written without http://.
func shownURL(text string) string {
	scheme, rest, ok := strings.Cut(text, "://")
	if scheme += "://"; !ok {
		scheme, rest = "", text
	}
	if strings.Contains(rest, "@") { // a password may hold any character, if only by mistake
		u, err := url.Parse("http://" + rest)
		if err != nil || u.User == nil || strings.Contains(u.Path+u.RawQuery+u.Fragment, "@") {
			return scheme + "…"
		}
		rest = "…@" + u.Host + u.Path
	}
	rest, _, _ = strings.Cut(rest, "?")
	if head, _, ok := strings.Cut(rest, "/credentials/"); ok {
		rest = head + "/credentials/…"
	}
	return scheme + rest
}
