package doctor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"rolecall/internal/phpfpm"
	"rolecall/internal/privatefile"
	"rolecall/internal/shellword"
)

// FixOptions say what a fix shall do.
type FixOptions struct {
	AllEnv   bool      // clear_env = no, and not variable by variable
	Pool     string    // only this pool; "": each that needs it
	Rolecall *Rolecall // point the pools at a running rolecall; nil: give on what is there
}

// Rolecall is a running daemon, as a program reaches it.
type Rolecall struct {
	URL       string
	TokenFile string // holds the authorization token, for its owner alone
	Region    string // "": unknown
}

// FPMFix is what is to be done for one master. Apply does it.
type FPMFix struct {
	Target  string
	Changes []phpfpm.Change
	Tokens  []TokenCopy // made before the changes
	Refused string      // why it cannot be done from here; then nothing is
	Fixes   []Fix       // what a person can do about Refused
	Reload  bool        // the files are right, and the running master does not know them

	survey *PHPFPM
	master *fpmMaster
	want   map[string]phpfpm.Wanted // by pool
}

// TokenCopy is a copy of the authorization token for a pool's user alone.
type TokenCopy struct {
	From string `json:"from"`
	To   string `json:"to"`
	User string `json:"user"`
}

func (t TokenCopy) read() ([]byte, error) {
	b, err := privatefile.ReadSecret(t.From, 1<<16)
	return bytes.TrimSpace(b), err
}

// HasPool says whether some master has a pool of that name; "" is any.
func (s *PHPFPM) HasPool(name string) bool {
	return name == "" || slices.ContainsFunc(s.masters, func(m *fpmMaster) bool { return m.setup != nil && m.setup.Pool(name) != nil })
}

// PlanFixes works out what to do. It asks workers, and changes nothing.
func (s *PHPFPM) PlanFixes(ctx context.Context, o FixOptions) []*FPMFix {
	var all []*FPMFix
	for _, m := range s.masters {
		f := &FPMFix{Target: m.target(), survey: s, master: m, want: map[string]phpfpm.Wanted{}}
		if m.setup == nil {
			f.Refused = "its configuration cannot be read: " + phpfpm.Plain(m.err)
			all = append(all, f)
			continue
		}
		for _, p := range m.asked(ctx, o.Pool) {
			pool := p.pool
			if o.Rolecall != nil {
				f.useRolecall(p, *o.Rolecall)
				continue
			}
			names := p.fixable()
			if len(names) > 0 {
				f.want[pool.Name] = phpfpm.Wanted{Names: names, AllEnv: o.AllEnv}
			} else if clear, _, _ := pool.ClearEnv(); o.AllEnv && clear {
				f.want[pool.Name] = phpfpm.Wanted{AllEnv: true}
			}
		}
		if len(f.want) == 0 && len(m.setup.Faults) == 0 {
			continue
		}
		f.plan()
		all = append(all, f)
	}
	return all
}

// asked are the master's pools, or the one of that name, after a worker of each
// was asked.
func (m *fpmMaster) asked(ctx context.Context, name string) (all []*fpmPool) {
	ctx, cancel := context.WithTimeout(ctx, poolsLimit)
	defer cancel()
	var answers sync.WaitGroup
	for _, pool := range m.setup.Pools {
		if name == "" || strings.EqualFold(name, pool.Name) {
			p := &fpmPool{master: m, pool: pool}
			all = append(all, p)
			answers.Go(func() { p.ask(ctx) })
		}
	}
	answers.Wait()
	return all
}

// fixable are variables that lines of the pool's files can give to its workers.
func (p *fpmPool) fixable() []string {
	names := p.missing()
	for _, name := range p.pool.EnvNames() {
		s, _ := p.pool.Env(name)
		set, known := p.sees(name)
		ref := s.Reference()
		switch {
		case !slices.Contains(phpfpm.Names(), name):
			if meant := shellword.Nearest(name, phpfpm.Names()); meant != "" && strings.HasPrefix(strings.ToUpper(name), "AW") && p.lacks(meant) {
				names = append(names, meant)
			}
		case p.copied(name, s), ref != "" && ref != name && ref != phpfpm.Hidden && known && !set && p.wouldSee(name):
			names = append(names, name)
		}
	}
	for _, n := range regionNames() {
		if set, known := p.sees(n); known && !set && len(names) > 0 {
			if _, has := p.master.whoHas(n); has {
				names = append(names, n)
			}
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	// What the master is known not to have, no line can give.
	return slices.DeleteFunc(names, func(n string) bool { v, known := p.master.given(n); return known && v == "" })
}

// useRolecall is what points a pool at a running rolecall.
func (f *FPMFix) useRolecall(p *fpmPool, r Rolecall) {
	w := phpfpm.Wanted{Values: map[string]string{varFull: r.URL}}
	if r.TokenFile != "" {
		file := r.TokenFile
		if user := p.user(); user != "" {
			file = path.Join(path.Dir(f.master.config.Path), "rolecall-"+p.pool.Name+".token")
			f.Tokens = append(f.Tokens, TokenCopy{From: r.TokenFile, To: file, User: user})
		}
		w.Values[varTokenFile] = file
	}
	if r.Region != "" {
		w.Values["AWS_REGION"] = r.Region
		w.Values["AWS_DEFAULT_REGION"] = r.Region
	}
	// What the SDK looks at before the URL must not reach workers.
	for _, n := range []string{varKeyID, varSecret, varSession, varIdentity, "AWS_PROFILE", varRelative} {
		if set, _ := p.sees(n); set || p.hidden(n) {
			w.Hide = append(w.Hide, n)
		}
	}
	f.want[p.pool.Name] = w
}

// user is who runs the pool's workers, where that is not us: they cannot read
// what is ours alone. A master that is not root's ignores what its pools say.
func (p *fpmPool) user() string {
	user := p.pool.Value("user")
	if m := p.master.Master; m != nil && m.UID > 0 {
		user = strconv.Itoa(m.UID)
	}
	if uid, ok := p.master.tree.UID(user); user == "" || ok && uid == os.Geteuid() {
		return ""
	}
	return user
}

// Snippets are the lines for each pool, for a person to put in.
func (f *FPMFix) Snippets() string {
	var b strings.Builder
	for _, pool := range f.master.setup.Pools {
		if w, ok := f.want[pool.Name]; ok {
			fmt.Fprintf(&b, "; %s\n[%s]\n%s\n", pool.Sections[0].File, pool.Name, strings.Join(w.Snippet(), "\n"))
		}
	}
	return b.String()
}

func (f *FPMFix) plan() {
	m := f.master
	switch {
	case m.Master != nil && m.Elsewhere:
		f.Refused = "it runs in a container: change the files where the image is made, or run rolecall inside the container"
		return
	case len(m.setup.Faults) > 0:
		fault := m.setup.Faults[0]
		if faultCause(fault.Text) == "php-fpm.unreadable" {
			f.Refused = "not all of its configuration can be read: " + fault.Text
			f.Fixes = []Fix{{Text: "run rolecall as root"}}
			return
		}
		f.Refused = "php-fpm refuses its configuration as it is: " + fault.Text
		f.Fixes = []Fix{{Text: "correct it first", Where: fault.Place.String()}}
		return
	}
	changes, err := phpfpm.PlanAll(m.config, f.want)
	if err != nil {
		f.Refused = phpfpm.Plain(err)
		return
	}
	f.Changes = changes
	f.Reload = m.Master != nil
	f.Tokens = slices.DeleteFunc(f.Tokens, func(t TokenCopy) bool {
		b, err := t.read()
		return err == nil && phpfpm.HasSecret(m.tree, t.To, t.User, b)
	})
	if why := f.untrusted(); why != nil {
		f.Refused = phpfpm.Plain(why)
		return
	}
	if _, err := f.binary(); err != nil && len(f.Changes) > 0 {
		f.Refused = phpfpm.Plain(err)
		f.Fixes = []Fix{{Text: "name php-fpm with --binary FILE; root sees which one runs"}}
	}
}

// untrusted is why nothing must be written, or handed out, for the master: its
// files are not root's nor ours, or it has another view of them and is another
// user's. Who may call a process php-fpm must not have root work for them.
func (f *FPMFix) untrusted() error {
	m := f.master
	if m.Master != nil && m.tree.Outside("/") != "/" && m.UID != 0 && m.UID != os.Geteuid() {
		return fmt.Errorf("it belongs to another user (uid %d), with mounts of its own: run rolecall as that user", m.UID)
	}
	for _, file := range append([]string{m.config.Path}, f.files()...) {
		if err := m.tree.Trusted(path.Dir(file)); err != nil {
			return err
		}
	}
	return nil
}

func (f *FPMFix) files() (all []string) {
	for _, c := range f.Changes {
		all = append(all, c.File)
	}
	return all
}

// Diff shows all changes.
func (f *FPMFix) Diff() string {
	var b strings.Builder
	for _, c := range f.Changes {
		b.WriteString(c.Diff())
	}
	return b.String()
}

// Apply does it: tokens, files, php-fpm -t, reload, and a question to a worker of
// each pool. The results say what came of it. say is told of each step. Where ctx
// ends before the reload, all is as it was.
func (f *FPMFix) Apply(ctx context.Context, say func(string)) []Result {
	failed := func(cause, summary string, fixes ...Fix) []Result {
		return []Result{{Check: "php-fpm --fix", Target: f.Target, Outcome: Failed, Cause: cause, Summary: summary, Fixes: fixes}}
	}
	if f.Refused != "" {
		return failed("php-fpm.not-fixed", "nothing was changed: "+f.Refused, f.Fixes...)
	}
	changed, err := f.write(ctx, say)
	var refused *phpfpm.RefusedError
	var undone *unwritten
	switch {
	case err == nil:
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return failed("php-fpm.not-fixed", "nothing was changed: it was interrupted")
	case errors.As(err, &refused):
		return failed("php-fpm.not-fixed", refused.Error())
	case errors.As(err, &undone):
		return failed("php-fpm.not-fixed", "nothing was changed: "+phpfpm.Plain(undone.err))
	default:
		return failed("php-fpm.not-fixed", phpfpm.Plain(err))
	}
	if !f.Reload {
		return []Result{{Check: "php-fpm --fix", Target: f.Target, Outcome: OK, Summary: "the files are right; php-fpm does not run, so nothing could be asked"}}
	}
	if !changed && f.proved(ctx) == nil {
		summary := "all is so already: nothing was changed"
		if len(f.Tokens) > 0 { // workers read it anew for each request
			summary = "the authorization token is up to date, and no file of php-fpm needs a change"
		}
		return []Result{{Check: "php-fpm --fix", Target: f.Target, Outcome: OK, Summary: summary}}
	}
	if err := f.survey.config.Finder.Reload(f.master.Master); err != nil {
		fix := Fix{Text: "start php-fpm again: it reads the files then"} // its pid may be another's soon
		if errors.Is(err, fs.ErrPermission) {
			fix = Fix{Text: "reload it, as root or as its user", Command: fmt.Sprintf("kill -USR2 %d", f.master.PID)}
		}
		return failed("php-fpm.not-reloaded", "the files are changed, and php-fpm was not reloaded: "+err.Error(), fix)
	}
	say(fmt.Sprintf("reloaded php-fpm (pid %d)", f.master.PID))
	return f.prove(ctx, failed)
}

// unwritten is why nothing was written, or remained.
type unwritten struct{ err error }

func (u *unwritten) Error() string { return u.err.Error() }

// write changes the files (and says whether it did), and puts the tokens in their places once php-fpm has
// taken the files: where anything fails, neither is left behind.
func (f *FPMFix) write(ctx context.Context, say func(string)) (changed bool, err error) {
	put := false
	test := func(context.Context) error { return nil }
	if len(f.Changes) > 0 {
		binary, err := f.binary()
		if err != nil {
			return false, &unwritten{err}
		}
		test = phpfpm.Tester(f.master.tree, binary, f.master.setup)
	}
	ready := make([]*phpfpm.Secret, len(f.Tokens))
	for i, t := range f.Tokens {
		b, err := t.read()
		if err == nil {
			ready[i], err = phpfpm.PrepareSecret(f.master.tree, t.To, t.User, b)
		}
		if err != nil {
			return false, &unwritten{fmt.Errorf("the pool's copy of the authorization token cannot be made: %s", phpfpm.Plain(err))}
		}
		defer ready[i].Discard()
	}
	kept, err := phpfpm.Apply(ctx, f.master.tree, f.Changes, time.Now(), func(ctx context.Context) error {
		if err := test(ctx); err != nil {
			return err
		}
		for i, t := range f.Tokens {
			if err := ready[i].Put(); err != nil {
				return err
			}
			put = true
			say("wrote " + t.To + " for the user " + t.User)
		}
		return nil
	})
	var refused *phpfpm.RefusedError
	switch {
	case err == nil:
	case len(kept) == 0 && !put && !errors.As(err, &refused) && ctx.Err() == nil:
		return false, &unwritten{err}
	default:
		return false, err
	}
	for _, k := range kept {
		changed = true
		say("changed " + k.File + "; the old one is " + k.Backup)
	}
	return changed, nil
}

// binary is the php-fpm that tests the files.
func (f *FPMFix) binary() (string, error) {
	b := f.survey.config.Binary
	if b == "" && f.master.Master != nil {
		b = f.master.Binary
	}
	if b == "" {
		b = f.master.tree.FindBinary(f.master.config.Path)
	}
	if b == "" {
		return "", errors.New("php-fpm itself, which must test the files, was not found")
	}
	return b, f.master.tree.Trusted(b)
}
