package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"rolecall/internal/phpfpm"
)

// PHPFPMConfig says where to look for PHP-FPM.
type PHPFPMConfig struct {
	Tree    *phpfpm.Tree      // the machine's files; nil: those of this process
	Finder  phpfpm.Finder     // of running masters
	Main    string            // only the master with this main file; "": all that run
	Binary  string            // php-fpm itself; "": what the master runs
	Environ map[string]string // of this process: what works by hand
	Apps    []string          // directories of Laravel applications; those of nginx's roots are looked at anyway
	Offline bool              // ask no worker and no endpoint
}

// PHPFPM is what was found on a machine.
type PHPFPM struct {
	config  PHPFPMConfig
	masters []*fpmMaster
	missing string // why there is nothing to look at
	close   []func() error
}

// fpmMaster is one master, running or only configured.
type fpmMaster struct {
	*phpfpm.Master // nil: none runs
	tree           *phpfpm.Tree
	config         phpfpm.Config
	setup          *phpfpm.Setup
	err            error                // why there is no setup
	envs           []phpfpm.Environment // the nearest to the master first
	here           phpfpm.Environment   // of this process
	notes          []string
	alone          bool
	offline        bool
	named          bool          // by --fpm-config
	turns          chan struct{} // of those who ask workers; see askedAtOnce
}

// SurveyPHPFPM finds masters and reads their files. Close gives back what it holds.
func SurveyPHPFPM(c PHPFPMConfig) (*PHPFPM, error) {
	s := &PHPFPM{config: c}
	if s.config.Tree == nil {
		tree, err := phpfpm.OpenTree("")
		if err != nil {
			return nil, err
		}
		s.config.Tree = tree
		s.close = append(s.close, tree.Close)
	}
	running, err := c.Finder.Masters()
	if err != nil && c.Main == "" {
		s.missing = err.Error()
	}
	for _, m := range running {
		s.close = append(s.close, m.Tree.Close)
		if c.Main == "" || m.Path == c.Main && !m.Elsewhere {
			s.add(m, m.Tree, m.Path, m.Prefix)
		}
	}
	switch {
	case len(s.masters) > 0:
	case c.Main != "":
		s.add(nil, s.config.Tree, c.Main, "")
	default:
		for _, main := range phpfpm.FindMain(s.config.Tree) {
			s.add(nil, s.config.Tree, main, "")
		}
		if len(s.masters) == 0 && s.missing == "" {
			s.missing = "no php-fpm is running, and no configuration stands where distributions put it; name it with --fpm-config FILE"
		}
	}
	return s, nil
}

func (s *PHPFPM) add(m *phpfpm.Master, tree *phpfpm.Tree, main, prefix string) {
	f := &fpmMaster{Master: m, tree: tree, config: phpfpm.Config{Path: main, Prefix: prefix, Tree: tree}, offline: s.config.Offline, named: s.config.Main != "", turns: make(chan struct{}, askedAtOnce)}
	if m != nil {
		f.envs, f.notes = s.config.Finder.Surroundings(m)
		f.notes = append(slices.Clone(m.Notes), f.notes...)
		if m.PID == 1 { // we are in its container, whose engine gave us the same variables
			f.envs = append(f.envs, phpfpm.Environment{Where: "the container", Vars: s.config.Environ, Certain: true})
		}
	} else if one, err := s.config.Finder.Environ(1); err == nil && one != nil {
		f.envs = []phpfpm.Environment{{Where: "pid 1", Vars: one}}
	}
	f.here = phpfpm.Environment{Where: "this shell", Vars: s.config.Environ}
	f.config.Getenv = func(name string) (string, bool) {
		v, known := f.given(name)
		return v, known && v != ""
	}
	f.setup, f.err = phpfpm.Load(f.config)
	s.masters = append(s.masters, f)
	for _, other := range s.masters {
		other.alone = len(s.masters) == 1
	}
}

// Close gives back what the survey holds.
func (s *PHPFPM) Close() {
	for _, c := range s.close {
		_ = c()
	}
}

// Checks are the questions to all that was found: each configuration, each
// pool, and what stands around PHP-FPM.
func (s *PHPFPM) Checks() []Check {
	var all []Check
	if s.missing != "" {
		all = append(all, Check{Name: "php-fpm", Target: "php-fpm", Run: func(context.Context) []Result {
			return []Result{{Outcome: Failed, Cause: "php-fpm.not-found", Summary: "there is nothing to look at: " + s.missing}}
		}})
	}
	for _, m := range s.masters {
		all = append(all, Check{Name: "php-fpm configuration", Target: m.target(), Run: func(context.Context) []Result { return m.files() }})
		if m.setup == nil {
			continue
		}
		for _, p := range m.setup.Pools {
			all = append(all, Check{Name: "php-fpm pool", Target: m.poolTarget(p), Limit: poolsLimit,
				Run: func(ctx context.Context) []Result { return (&fpmPool{master: m, pool: p}).check(ctx) }})
		}
	}
	return append(all, s.around()...)
}

func (m *fpmMaster) target() string {
	if m.Master != nil {
		return fmt.Sprintf("php-fpm (pid %d, %s)", m.PID, m.config.Path)
	}
	return "php-fpm (" + m.config.Path + ")"
}

func (m *fpmMaster) poolTarget(p *phpfpm.Pool) string {
	switch {
	case m.alone:
		return "pool " + p.Name
	case m.Master != nil:
		return fmt.Sprintf("pool %s of pid %d", p.Name, m.PID)
	}
	return "pool " + p.Name + " of " + m.config.Path
}

// given is what the master got when it was started, as far as that is known.
func (m *fpmMaster) given(name string) (value string, known bool) {
	for _, e := range m.envs {
		if e.Certain {
			return e.Vars[name], true
		}
	}
	return "", false
}

// around is who has a variable, and is not the master itself: a process above
// it, the container, this shell.
func (m *fpmMaster) whoHas(name string) (e phpfpm.Environment, ok bool) {
	for _, e := range append(slices.Clone(m.envs), m.here) {
		if e.Vars[name] != "" {
			return e, true
		}
	}
	return e, false
}

// files is about the configuration as a whole.
func (m *fpmMaster) files() []Result {
	if m.err != nil {
		return []Result{{Outcome: Failed, Cause: "php-fpm.unreadable", Summary: "its configuration cannot be read: " + phpfpm.Plain(m.err),
			Fixes: []Fix{{Text: "run rolecall as root, or as php-fpm's user"}}}}
	}
	var all []Result
	for i, f := range append(slices.Clone(m.setup.Faults), m.setup.Incomplete()...) {
		if i == 5 {
			break
		}
		r := Result{Outcome: Failed, Cause: faultCause(f.Text), Summary: "php-fpm refuses its configuration: " + f.Text,
			Evidence: []Evidence{{Where: f.Place.String(), Text: f.Text}}}
		switch r.Cause {
		case "php-fpm.misplaced":
			r.Fixes = []Fix{{Text: "put the line below the header of a pool, such as [www]; a file without a header continues the file before it", Where: f.Place.String()}}
		case "php-fpm.unreadable":
			r.Outcome, r.Fixes = Warning, []Fix{{Text: "run rolecall as root, which sees all files"}}
			r.Summary = "not all of its configuration can be read: " + f.Text
		default:
			r.Fixes = []Fix{{Text: "correct the line", Where: f.Place.String(), Command: "php-fpm -t"}}
		}
		all = append(all, r)
	}
	if m.Master == nil && len(all) == 0 {
		all = append(all, Result{Outcome: m.notRunning(), Cause: "php-fpm.not-running", Summary: "no php-fpm runs with this configuration, so only its files were looked at",
			Evidence: []Evidence{{Where: m.config.Path}}})
	}
	if len(all) == 0 {
		all = append(all, Result{Outcome: OK, Summary: fmt.Sprintf("php-fpm takes its configuration (files: %d, pools: %d)", len(m.setup.Files), len(m.setup.Pools))})
	}
	if len(m.notes) > 0 {
		all = append(all, Result{Outcome: Skipped, Summary: "root would see more", Why: "root would also see " + strings.Join(m.notes, "; ")})
	}
	return all
}

// notRunning warns, unless the configuration was named, and may be meant for
// elsewhere.
func (m *fpmMaster) notRunning() Outcome {
	if m.named {
		return Skipped
	}
	return Warning
}

func faultCause(text string) string {
	switch {
	case strings.Contains(text, "belongs into a pool's section"), strings.Contains(text, "not allowed in [global]"):
		return "php-fpm.misplaced"
	case strings.Contains(text, "include each other"):
		return "php-fpm.include-cycle"
	case strings.Contains(text, "may not be read"):
		return "php-fpm.unreadable"
	case strings.Contains(text, "has no listen"):
		return "php-fpm.pool-name"
	case strings.Contains(text, "empty value"):
		return "php-fpm.env-empty"
	}
	return "php-fpm.configuration"
}
