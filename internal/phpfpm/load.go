package phpfpm

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"path"
	"strings"
)

// Bounds on what is read. FPM itself has only maxIncludes.
const (
	maxIncludes = 5        // files within files, as FPM counts them
	maxFiles    = 10000    // over all includes
	maxFile     = 16 << 20 // bytes of one file
	maxTotal    = 64 << 20 // bytes of all files
	maxFaults   = 20
)

// Config says where a master's configuration begins.
type Config struct {
	Path   string // of the main file, absolute, as the master sees it
	Prefix string // what relative paths are relative to ("": guessed from Path)
	Tree   *Tree  // the file system that the master sees
	// Getenv is the environment that the master was started with, for ${NAME};
	// nil: it is not known, and each such name counts as unset.
	Getenv func(string) (string, bool)

	changed map[string][]byte // what files hold in place of what they do hold
}

// Load reads a master's configuration as FPM does: files within files, a pool's
// settings from any of them, the last one in force. A Setup is returned
// even where FPM would refuse the configuration; its Faults say why. The error
// is for a main file that cannot be read at all.
func Load(c Config) (*Setup, error) {
	prefix := c.Prefix
	if prefix == "" {
		prefix = PrefixOf(c.Path)
	}
	l := loader{config: c, setup: &Setup{Path: c.Path, Prefix: prefix}}
	err := l.file(c.Path, 1)
	if len(l.setup.Files) == 0 {
		return nil, err
	}
	return l.setup, nil
}

type loader struct {
	config Config
	setup  *Setup
	pool   *Pool // whose section we are in; nil: [global]
	total  int
}

// errStop says that FPM reads no further, which the faults explain.
var errStop = errors.New("the configuration ends here")

func (l *loader) file(name string, depth int) error {
	data, err := l.config.read(name)
	if err != nil {
		return err
	}
	if l.total += len(data); l.total > maxTotal || len(l.setup.Files) >= maxFiles {
		return fmt.Errorf("%s: the configuration %w", name, errSize)
	}
	l.setup.Files = append(l.setup.Files, name)
	for line := 1; len(data) > 0; line++ {
		text, rest, _ := bytes.Cut(data, []byte{'\n'})
		data = rest
		if text = bytes.TrimLeft(text, " \t"); len(text) == 0 || text[0] == ';' && !bytes.Contains(text, []byte("env")) {
			continue
		}
		at := Place{name, line}
		statements, err := scan(string(text), l.config.Getenv)
		for _, s := range statements {
			if err := l.statement(s, at, string(text), depth); err != nil {
				return err
			}
		}
		if err != nil && !l.fault(at, "%s", err.Error()) {
			return errStop
		}
	}
	return nil
}

// read is what a file holds, or shall hold.
func (c Config) read(name string) ([]byte, error) {
	if len(c.changed) > 0 {
		if real, err := c.Tree.Real(name); err == nil {
			if data, ok := c.changed[real]; ok {
				return data, nil
			}
		}
	}
	return c.Tree.ReadFile(name, maxFile)
}

// with is c after the changes.
func (c Config) with(changes []Change) Config {
	c.changed = maps.Clone(c.changed)
	if c.changed == nil {
		c.changed = map[string][]byte{}
	}
	for _, ch := range changes {
		c.changed[ch.File] = ch.After
	}
	return c
}

// fault notes what FPM would refuse, and says whether to go on.
func (l *loader) fault(at Place, format string, args ...any) bool {
	l.setup.Faults = append(l.setup.Faults, Fault{at, fmt.Sprintf(format, args...)})
	return len(l.setup.Faults) < maxFaults
}

func (l *loader) statement(s statement, at Place, line string, depth int) error {
	switch {
	case s.comment != "":
		l.comment(s.comment, at)
		return nil
	case s.section != "":
		l.section(s.section, at)
		return nil
	case s.name == "":
		return nil
	case s.name == "include" && !s.array && s.hasValue:
		return l.include(s.value, at, depth)
	}
	msg := l.misplaced(s)
	if msg == "" {
		l.set(Setting{Place: at, Name: strings.ToLower(s.name), Key: s.key, Value: s.value, Refs: s.refs, Text: strings.TrimSpace(line)})
		return nil
	}
	if !l.fault(at, "%s", msg) {
		return errStop
	}
	return nil
}

func (l *loader) set(s Setting) {
	if l.pool == nil {
		l.setup.Global = append(l.setup.Global, s)
		return
	}
	l.pool.Settings = append(l.pool.Settings, s)
}

// misplaced is why FPM refuses a statement, or "".
func (l *loader) misplaced(s statement) string {
	name := strings.ToLower(s.name)
	switch {
	case s.array && l.pool == nil:
		return "arrays such as " + quoteName(s.name) + "[…] are not allowed in [global]"
	case s.array && s.key == "" && name != "access.suppress_path":
		return quoteName(s.name) + "[] has no key"
	case s.array && !among(poolArrays, s.name):
		return "unknown directive " + quoteName(s.name)
	case s.array && s.name == "env" && s.value == "":
		return "env[" + clip(s.key) + "] has an empty value, which FPM refuses"
	case s.array:
		return ""
	case !s.hasValue:
		return quoteName(s.name) + " has no value"
	case l.pool == nil && !among(globalEntries, name):
		if among(poolEntries, name) {
			return name + " belongs into a pool's section, and not into [global]"
		}
		return "unknown entry " + quoteName(s.name)
	case l.pool != nil && !among(poolEntries, name):
		return "unknown entry " + quoteName(s.name)
	case name == "clear_env":
		if _, ok := boolean(s.value); !ok {
			return "clear_env takes yes or no"
		}
	}
	return ""
}

func (l *loader) section(name string, at Place) {
	if strings.EqualFold(name, "global") {
		l.pool = nil
		return
	}
	for _, p := range l.setup.Pools {
		if strings.EqualFold(p.Name, name) {
			p.Sections = append(p.Sections, at)
			l.pool = p
			return
		}
	}
	l.pool = &Pool{Name: name, Prefix: l.setup.Prefix, Sections: []Place{at}}
	l.setup.Pools = append(l.setup.Pools, l.pool)
}

// comment keeps what looks like a setting that somebody commented out.
func (l *loader) comment(text string, at Place) {
	if !strings.Contains(text, "=") {
		return
	}
	all, err := scan(strings.TrimLeft(text, "; \t"), nil)
	if err != nil || len(all) != 1 || all[0].section != "" || l.pool == nil {
		return
	}
	if s := all[0]; s.name == "clear_env" && !s.array || s.name == "env" && s.array && strings.HasPrefix(s.key, "AWS_") {
		l.pool.Comments = append(l.pool.Comments, Setting{Place: at, Name: s.name, Key: s.key, Value: s.value, Text: ";" + text})
	}
}

// include reads what a pattern matches; relative patterns are relative to the
// prefix, and never to the file they stand in.
func (l *loader) include(pattern string, at Place, depth int) error {
	if pattern == "" {
		l.fault(at, "include has no value")
		return errStop
	}
	if !path.IsAbs(pattern) {
		pattern = path.Join(l.setup.Prefix, pattern)
	}
	in := Include{Place: at, Pattern: pattern}
	found, err := l.config.Tree.Glob(pattern)
	if err != nil {
		l.fault(at, "include=%s: %s", clip(pattern), Plain(err))
		return errStop
	}
	defer func() { l.setup.Includes = append(l.setup.Includes, in) }()
	for _, name := range found {
		if info, err := l.config.Tree.Stat(name); err == nil && info.IsDir() {
			continue
		}
		if depth >= maxIncludes {
			l.fault(at, "more than %d files include each other: %s", maxIncludes, clip(name))
			return errStop
		}
		in.Files = append(in.Files, name)
		if err := l.file(name, depth+1); err != nil {
			if !errors.Is(err, errStop) {
				l.fault(at, "unable to include: %s", Plain(err))
				l.setup.Unread = append(l.setup.Unread, name)
			}
			return errStop
		}
	}
	return nil
}
