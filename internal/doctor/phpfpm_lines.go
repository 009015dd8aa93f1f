package doctor

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"rolecall/internal/phpfpm"
	"rolecall/internal/shellword"
)

// lines is about env[…] lines that do not do what they were written for.
func (p *fpmPool) lines(context.Context) []Result {
	var later []Result
	for _, name := range p.pool.EnvNames() {
		s, _ := p.pool.Env(name)
		r := Result{Outcome: Failed, Evidence: []Evidence{{Where: s.Place.String(), Text: p.shownLine(s)}}}
		ref := s.Reference()
		if !slices.Contains(phpfpm.Names(), name) {
			if meant := shellword.Nearest(name, phpfpm.Names()); meant != "" && strings.HasPrefix(strings.ToUpper(name), "AW") && p.lacks(meant) {
				r.Cause, r.Summary = "php-fpm.env-misspelled", "env["+name+"] is no name that SDKs look at: "+meant+" is meant"
				r.Fixes = []Fix{{Text: p.line(meant), Where: s.Place.String()}}
				return []Result{r}
			}
			continue
		}
		if ref == phpfpm.Hidden {
			continue
		}
		if set, known := p.sees(name); known && set && !p.copied(name, s) {
			continue
		}
		got, known := p.master.given(ref)
		_, had := p.master.whoHas(name)
		switch {
		case ref == "" && p.copied(name, s):
			r.Cause, r.Summary = "php-fpm.env-literal", "env["+name+"] is the text "+fmt.Sprintf("%q", s.Value)+", and not the value of a variable"
			r.Fixes = []Fix{{Text: p.line(name), Where: s.Place.String()}}
		case ref == "":
			continue
		case ref != name && (had || p.wouldSee(name)) && (known && got == "" || p.emptied(name)):
			r.Cause, r.Summary = "php-fpm.env-typo", "env["+name+"] takes its value from "+ref+", which php-fpm does not have"
			r.Fixes = []Fix{{Text: p.line(name), Where: s.Place.String()}}
		case known && got != "" && p.view != nil && !p.view.Vars[name].Empty:
			continue // the files say it, and workers do not have it: see hiddenVars
		case p.emptied(name) || known && got == "":
			if !had && name != varRelative && name != varFull {
				continue // an optional one, which is nowhere: workers see it empty, which the SDK takes as unset
			}
			if set, _ := p.seesAny(); set && !had {
				continue
			}
			r = p.unset(name, s)
			if !had {
				later = append(later, r)
				continue
			}
		default:
			continue
		}
		return []Result{r}
	}
	return later[:min(len(later), 1)]
}

// seesAny says whether workers have the deciding variable of any route.
func (p *fpmPool) seesAny() (set bool, by string) {
	for _, route := range routes() {
		if set, _ := p.sees(route[0]); set {
			return true, route[0]
		}
	}
	return false, ""
}

// emptied says that a worker has the variable, but empty.
func (p *fpmPool) emptied(name string) bool { return p.view != nil && p.view.Vars[name].Empty }

// wouldSee says whether the master may have the variable, as far as is known.
func (p *fpmPool) wouldSee(name string) bool {
	v, known := p.master.given(name)
	return !known || v != ""
}

// lacks says whether somebody has the variable and workers do not.
func (p *fpmPool) lacks(name string) bool {
	set, known := p.sees(name)
	_, has := p.master.whoHas(name)
	return known && !set && has
}

// copied says whether a value is the name of a variable, in a spelling that FPM
// does not resolve.
func (p *fpmPool) copied(name string, s phpfpm.Setting) bool {
	v := strings.Trim(s.Value, " \t%{}()`'\"")
	return s.Reference() == "" && (v == name || strings.Contains(s.Value, "$"+name) || strings.Contains(s.Value, "${"))
}

// unset is about env[X] = $X for a master that has no X.
func (p *fpmPool) unset(name string, s phpfpm.Setting) Result {
	r := Result{Outcome: Failed, Cause: "php-fpm.env-unset", Summary: "workers get " + name + " empty: the master php-fpm does not have it",
		Evidence: []Evidence{{Where: s.Place.String(), Text: p.shownLine(s)}}}
	return p.startedWithout(r, name)
}

// startedWithout says why the master has not what others have, and what to do.
func (p *fpmPool) startedWithout(r Result, name string) Result {
	m := p.master
	e, has := m.whoHas(name)
	unit := m.Master != nil && m.Unit != ""
	var starter *phpfpm.Environment
	for i := range m.envs {
		if m.envs[i].Certain {
			starter = &m.envs[i]
			break
		}
	}
	switch {
	case unit && (!has || e.Where != m.Unit):
		r.Cause = "systemd.no-environment"
		if u := phpfpm.ReadUnit(m.tree, m.Unit); u != nil && u.File != "" {
			r.Evidence = append(r.Evidence, Evidence{Where: u.File, Text: "no Environment= or EnvironmentFile= gives " + name})
		}
		if has {
			r.Evidence = append(r.Evidence, Evidence{Text: who(e) + ", and a service gets nothing from there"})
		}
		r.Fixes = []Fix{{Text: "add below [Service]   Environment=" + name + "=VALUE   and restart it: a reload does not change the master's environment",
			Command: "systemctl edit " + m.Unit + " && systemctl restart " + m.Unit}}
	case has && e.Certain && starter != nil && starter.Where != e.Where:
		r.Cause = "php-fpm.starter-drops"
		r.Evidence = append(r.Evidence, Evidence{Text: who(e) + "; " + starter.Where + ", which starts php-fpm, does not"})
		r.Fixes = []Fix{{Text: "have what starts php-fpm hand it on (no env -i, no su -), and restart php-fpm"}}
	case has && e.Certain && !unit:
		r.Cause = "php-fpm.starter-drops"
		r.Evidence = append(r.Evidence, Evidence{Text: who(e) + ", and php-fpm was started without it: what stands between them drops it"})
		r.Fixes = []Fix{{Text: "have what starts php-fpm hand it on (no env -i, no unset, no su -), and restart php-fpm"}}
	case has && e.Certain:
		r.Cause = "php-fpm.restart-needed"
		r.Evidence = append(r.Evidence, Evidence{Text: who(e) + ", but php-fpm was started before; a reload keeps its old environment"})
		r.Fixes = []Fix{{Text: "restart php-fpm", Command: restart(m)}}
	case has:
		r.Evidence = append(r.Evidence, Evidence{Text: who(e) + ", but what starts php-fpm does not"})
		r.Fixes = []Fix{{Text: "give it to the container or service that starts php-fpm, and restart that"}}
	default:
		r.Evidence = append(r.Evidence, Evidence{Text: "nobody around has it: neither the processes above php-fpm nor this shell"})
		r.Fixes = []Fix{{Text: "give it to the container or service that starts php-fpm, and restart that"},
			{Command: "rolecall doctor php-fpm --use-rolecall"}}
	}
	return r
}

func restart(m *fpmMaster) string {
	if m.Master != nil && m.Unit != "" {
		return "systemctl restart " + m.Unit
	}
	return ""
}

// line is how a variable is given on.
func (p *fpmPool) line(name string) string {
	return "env[" + name + "] = $" + name
}

// shownLine is a line without what must not be shown.
func (p *fpmPool) shownLine(s phpfpm.Setting) string {
	if s.Name != "env" || s.Reference() != "" || phpfpm.Shown(s.Key) && s.Key != varFull || p.copied(s.Key, s) {
		return s.Text
	}
	if s.Key == varFull {
		return "env[" + s.Key + "] = " + shownURL(s.Value)
	}
	return "env[" + s.Key + "] = …"
}

// hiddenVars is about what somebody around has and workers do not see.
func (p *fpmPool) hiddenVars(context.Context) []Result {
	missing := p.missing()
	if len(missing) == 0 {
		return nil
	}
	name := missing[0]
	e, _ := p.master.whoHas(name)
	r := Result{Outcome: Failed, Summary: "workers do not see " + strings.Join(missing, " and ")}
	if should, known := p.should(name); known && should {
		if p.master.loaded() {
			r.Cause = "php-fpm.not-given"
			return []Result{p.startedWithout(r, name)}
		}
		return []Result{p.notReloaded(r, missing)}
	}
	clear, by, set := p.pool.ClearEnv()
	if !clear {
		r.Cause = "php-fpm.not-given"
		return []Result{p.startedWithout(r, name)}
	}
	r.Cause = "php-fpm.clear-env"
	drop := "php-fpm drops it: clear_env is on by default"
	var before *phpfpm.Setting
	for i, s := range p.pool.Settings {
		if s.Name == "clear_env" && s.Key == "" && s.Place != by.Place && s.Value != "1" {
			before = &p.pool.Settings[i]
		}
	}
	switch {
	case set && before != nil:
		r.Cause, drop = "php-fpm.clear-env-again", "php-fpm drops it: clear_env is off, and then on again, and the last one counts"
		r.Evidence = append(r.Evidence, Evidence{Where: before.Place.String(), Text: before.Text}, Evidence{Where: by.Place.String(), Text: by.Text})
	case set:
		drop = "php-fpm drops it: clear_env is on"
		r.Evidence = append(r.Evidence, Evidence{Where: by.Place.String(), Text: by.Text})
	default:
		r = p.byDefault(r, missing)
	}
	if e.Where == p.master.here.Where {
		drop = "what starts php-fpm must have it, too; " + drop
	}
	r.Evidence = slices.Insert(r.Evidence, 0, Evidence{Text: who(e) + ", " + drop})
	if leads := p.leadsTo(name); leads != "" {
		r.Evidence = append(r.Evidence, Evidence{Text: leads})
	}
	if by, _ := p.seesAny(); by && (slices.Contains(missing, varTokenFile) || slices.Contains(missing, varToken)) {
		r.Cause = "php-fpm.token-not-passed"
	}
	for _, n := range missing {
		r.Fixes = append(r.Fixes, Fix{Text: "add to [" + p.pool.Name + "]   " + p.line(n)})
	}
	if p.master.Master == nil || !p.master.Elsewhere {
		r.Fixes = append(r.Fixes, Fix{Command: p.fixCommand()})
	}
	return []Result{r}
}

func (p *fpmPool) fixCommand() string {
	c := "rolecall doctor php-fpm --fix"
	if !p.master.alone {
		c += " --fpm-config " + shellword.Word(p.master.config.Path)
	}
	return c
}

// byDefault looks for the line that was meant to turn clear_env off, or to give
// the variable on: in another pool, in a file that is not read, in a comment.
func (p *fpmPool) byDefault(r Result, missing []string) Result {
	if f, s := p.unread(missing); f != "" {
		r.Cause = "php-fpm.not-included"
		r.Evidence = append(r.Evidence, Evidence{Where: s.Place.String(), Text: p.shownLine(s) + "   (no include reads this file)"})
		return r
	}
	for _, other := range p.master.setup.Pools {
		if clear, by, set := other.ClearEnv(); other != p.pool && set && !clear {
			r.Cause = "php-fpm.other-pool"
			r.Evidence = append(r.Evidence, Evidence{Where: by.Place.String(), Text: by.Text + "   (this is for pool " + other.Name + " alone)"})
			return r
		}
		if s, ok := other.Env(missing[0]); other != p.pool && ok {
			r.Cause = "php-fpm.other-pool"
			r.Evidence = append(r.Evidence, Evidence{Where: s.Place.String(), Text: p.shownLine(s) + "   (this is for pool " + other.Name + " alone)"})
			return r
		}
	}
	for _, c := range p.pool.Comments {
		if c.Name == "clear_env" {
			r.Evidence = append(r.Evidence, Evidence{Where: c.Place.String(), Text: c.Text})
			return r
		}
	}
	r.Evidence = append(r.Evidence, Evidence{Where: p.pool.Sections[0].String(), Text: "[" + p.pool.Name + "]"})
	return r
}

// unread finds a file beside those that are read, which would have helped.
func (p *fpmPool) unread(missing []string) (string, phpfpm.Setting) {
	setup := p.master.setup
	for _, in := range setup.Includes {
		beside, err := p.master.tree.Glob(path.Join(path.Dir(in.Pattern), "*"))
		if err != nil || len(beside) > 1000 {
			continue
		}
		for _, file := range beside {
			if slices.Contains(setup.Files, file) {
				continue
			}
			other, err := phpfpm.Load(phpfpm.Config{Path: file, Tree: p.master.tree})
			if err != nil {
				continue
			}
			for _, pool := range other.Pools {
				if !strings.EqualFold(pool.Name, p.pool.Name) {
					continue
				}
				if clear, by, set := pool.ClearEnv(); set && !clear {
					return file, by
				}
				if s, ok := pool.Env(missing[0]); ok {
					return file, s
				}
			}
		}
	}
	return "", phpfpm.Setting{}
}

// leadsTo is what the SDK does without the variable.
func (p *fpmPool) leadsTo(name string) string {
	switch name {
	case varRelative, varFull:
		if set, _ := p.seesAny(); !set {
			return "so the AWS SDK for PHP falls through to " + imdsBase + " and fails (cURL error 7 or 28)"
		}
	case varTokenFile, varToken:
		return "so the AWS SDK for PHP asks without an authorization token, and is refused"
	}
	return ""
}

// loaded says whether the running master has read its files as they are now: it
// writes its pid file each time. The kernel tells the machine's start in whole
// seconds, and so a process's.
func (m *fpmMaster) loaded() bool {
	read := m.Started.Add(2 * time.Second)
	for _, s := range m.setup.Global {
		if s.Name == "pid" {
			if info, err := m.tree.Stat(s.Value); err == nil && info.ModTime().After(read) {
				read = info.ModTime()
			}
		}
	}
	for _, f := range m.setup.Files {
		if info, err := m.tree.Stat(f); err == nil && info.ModTime().After(read) {
			return false
		}
	}
	return true
}

// notReloaded is about files that are right, and workers that do not know it.
func (p *fpmPool) notReloaded(r Result, missing []string) Result {
	name := missing[0]
	s, isEnv := p.pool.Env(name)
	if !isEnv {
		_, s, _ = p.pool.ClearEnv()
	}
	r.Evidence = append(r.Evidence, Evidence{Where: s.Place.String(), Text: p.shownLine(s)},
		Evidence{Text: "the file says so, and the workers that run do not know it: php-fpm was not reloaded since"})
	r.Cause = "php-fpm.not-reloaded"
	r.Fixes = []Fix{{Text: "reload php-fpm", Command: fmt.Sprintf("kill -USR2 %d", p.master.PID)}}
	return r
}
