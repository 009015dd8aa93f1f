package phpfpm

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Wanted is what a pool's workers shall see.
type Wanted struct {
	Names  []string          // given on from the master: env[X] = $X
	AllEnv bool              // everything the master has: clear_env = no
	Values map[string]string // set by the pool file itself: env[X] = "value"
	Hide   []string          // that the master has, and workers shall not take as set
}

// Hidden is a name that no master has: env[X] = $Hidden makes X empty, which the
// AWS SDK for PHP takes as unset. FPM refuses an empty value written as one.
const Hidden = "ROLECALL_UNSET"

// Change is one file before and after.
type Change struct {
	File          string // without links, as the master sees it
	Before, After []byte
}

// ErrByHand says that a change cannot be made safely.
var ErrByHand = errors.New("the files cannot be changed safely: change them by hand")

// Plan works out which lines of which files to change for a pool. No change: it
// is so already. What comes of it is read again as FPM will read it, and held
// against what is wanted, so that no other pool is touched.
func Plan(c Config, s *Setup, pool *Pool, w Wanted) ([]Change, error) {
	return plan(c, s, map[string]Wanted{pool.Name: w})
}

// PlanAll is Plan for several pools of one master, by name: they may stand in
// the same file.
func PlanAll(c Config, want map[string]Wanted) ([]Change, error) {
	s, err := Load(c)
	if err != nil {
		return nil, err
	}
	return plan(c, s, want)
}

func plan(c Config, s *Setup, want map[string]Wanted) ([]Change, error) {
	e := editor{config: c, setup: s, lines: map[string][]string{}, before: map[string][]byte{}}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if e.pool = s.Pool(name); e.pool == nil {
			return nil, fmt.Errorf("there is no pool %s", name)
		}
		if err := e.plan(want[name]); err != nil {
			return nil, fmt.Errorf("pool %s: %w", name, err)
		}
	}
	changes := e.changes()
	if len(changes) == 0 {
		return nil, nil
	}
	return changes, check(c, s, want, changes)
}

// plan edits the lines of one pool.
func (e *editor) plan(w Wanted) error {
	if w.AllEnv {
		if clear, by, set := e.pool.ClearEnv(); clear {
			if err := e.clearEnv(by, set); err != nil {
				return err
			}
		}
	}
	var add []string
	want := w.settings()
	for _, name := range want.order {
		line := "env[" + name + "] = " + want.text[name]
		if w.AllEnv && want.text[name] == "$"+name {
			if _, set := e.pool.Env(name); !set {
				continue
			}
		}
		old, set := e.pool.Env(name)
		switch {
		case set && old.Value == want.value[name]:
		case set:
			if err := e.replace(old.Place, line); err != nil {
				return err
			}
		default:
			add = append(add, line)
		}
	}
	if len(add) > 0 {
		return e.insert(e.anchor(), add)
	}
	return nil
}

type settings struct {
	order       []string
	text, value map[string]string // as written, and as FPM reads it
}

func (w Wanted) settings() settings {
	s := settings{text: map[string]string{}, value: map[string]string{}}
	put := func(name, text, value string) {
		if _, has := s.text[name]; !has {
			s.order = append(s.order, name)
		}
		s.text[name], s.value[name] = text, value
	}
	for _, n := range w.Names {
		put(n, "$"+n, "$"+n)
	}
	var own []string
	for n := range w.Values {
		own = append(own, n)
	}
	slices.Sort(own)
	for _, n := range own {
		put(n, `"`+strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(w.Values[n])+`"`, w.Values[n])
	}
	for _, n := range w.Hide {
		put(n, "$"+Hidden, "$"+Hidden)
	}
	return s
}

// Snippet is what Wanted adds to a pool, for a person to type.
func (w Wanted) Snippet() []string {
	var lines []string
	if w.AllEnv {
		lines = append(lines, "clear_env = no")
	}
	s := w.settings()
	for _, n := range s.order {
		if !w.AllEnv || s.text[n] != "$"+n {
			lines = append(lines, "env["+n+"] = "+s.text[n])
		}
	}
	return lines
}

type editor struct {
	config Config
	setup  *Setup
	pool   *Pool
	before map[string][]byte
	lines  map[string][]string // each with its line break; one entry may become several lines
}

// load gives the lines of a file and its name without links.
func (e *editor) load(file string) (string, error) {
	real, err := e.config.Tree.Real(file)
	if err != nil {
		return "", err
	}
	if e.lines[real] == nil {
		b, err := e.config.read(real)
		if err != nil {
			return "", err
		}
		e.before[real] = b
		e.lines[real] = strings.SplitAfter(string(b), "\n")
	}
	return real, nil
}

// replace puts text in the place of a line, whose line break stays.
func (e *editor) replace(at Place, text string) error {
	real, err := e.load(at.File)
	if err != nil || at.Line > len(e.lines[real]) {
		return err
	}
	old := e.lines[real][at.Line-1]
	e.lines[real][at.Line-1] = text + lineBreak(old)
	return nil
}

// insert adds lines after a line.
func (e *editor) insert(at Place, add []string) error {
	real, err := e.load(at.File)
	if err != nil {
		return err
	}
	if at.Line > len(e.lines[real]) {
		return ErrByHand
	}
	line := e.lines[real][at.Line-1]
	br := lineBreak(line)
	if br == "" { // the last line has none
		br = lineBreak(e.lines[real][0])
		if br == "" {
			br = "\n"
		}
		line += br
	}
	for _, a := range add {
		line += a + br
	}
	e.lines[real][at.Line-1] = line
	return nil
}

func lineBreak(line string) string {
	switch {
	case strings.HasSuffix(line, "\r\n"):
		return "\r\n"
	case strings.HasSuffix(line, "\n"):
		return "\n"
	}
	return ""
}

// clearEnv writes clear_env = no: over the line that is in force, over one that
// is commented out, or as a line of its own.
func (e *editor) clearEnv(by Setting, set bool) error {
	if set {
		return e.replace(by.Place, "clear_env = no")
	}
	for _, c := range e.pool.Comments {
		if c.Name == "clear_env" {
			return e.replace(c.Place, "clear_env = no")
		}
	}
	return e.insert(e.anchor(), []string{"clear_env = no"})
}

// anchor is a line of the pool after which another may stand: whatever is said
// right after a line that belongs to the pool belongs to it too. It is the
// last of the lines that speak of the environment, else the pool's last.
func (e *editor) anchor() Place {
	home := e.pool.Sections[0]
	best, about := home, false
	consider := func(s Setting) {
		speaks := s.Name == "env" || s.Name == "clear_env"
		if s.File != home.File || s.Line < home.Line || about && !speaks {
			return
		}
		if speaks && !about || s.Line > best.Line {
			best, about = s.Place, about || speaks
		}
	}
	for _, s := range e.pool.Settings {
		consider(s)
	}
	for _, c := range e.pool.Comments {
		consider(c)
	}
	return best
}

func (e *editor) changes() []Change {
	var all []Change
	for file, lines := range e.lines {
		after := []byte(strings.Join(lines, ""))
		if !bytes.Equal(after, e.before[file]) {
			all = append(all, Change{file, e.before[file], after})
		}
	}
	slices.SortFunc(all, func(a, b Change) int { return strings.Compare(a.File, b.File) })
	return all
}

// check reads the changed files as FPM will.
func check(c Config, s *Setup, wanted map[string]Wanted, changes []Change) error {
	now, err := Load(c.with(changes))
	if err != nil {
		return err
	}
	if len(now.Faults) > len(s.Faults) || len(now.Pools) != len(s.Pools) {
		return ErrByHand
	}
	for i, p := range now.Pools {
		w, ok := wanted[p.Name]
		if !ok {
			if !same(p, s.Pools[i]) {
				return fmt.Errorf("%w: they share a line with pool %s", ErrByHand, p.Name)
			}
			continue
		}
		if clear, _, _ := p.ClearEnv(); w.AllEnv && clear {
			return ErrByHand
		}
		want := w.settings()
		for _, n := range want.order {
			got, set := p.Env(n)
			if !set && w.AllEnv && want.value[n] == "$"+n {
				continue
			}
			if !set || got.Value != want.value[n] {
				return ErrByHand
			}
		}
	}
	return nil
}

// same says whether two readings of a pool say the same, wherever it stands.
func same(a, b *Pool) bool {
	return slices.EqualFunc(a.Settings, b.Settings, func(x, y Setting) bool {
		return x.Name == y.Name && x.Key == y.Key && x.Value == y.Value
	})
}
