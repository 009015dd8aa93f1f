// Package phpfpm reads the configuration of PHP-FPM as FPM itself does, finds
// running masters, asks their pools over FastCGI what a worker sees of its
// environment, and changes pool files so that nothing is lost when that fails.
// It knows which variables AWS's SDKs look at, and nothing of credentials.
package phpfpm

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// Place is a line of a file, as the master sees the file.
type Place struct {
	File string
	Line int // from 1
}

func (p Place) String() string { return p.File + ":" + strconv.Itoa(p.Line) }

// Setting is one directive.
type Setting struct {
	Place
	Name  string   // in lower case, without [Key]
	Key   string   // X of env[X]
	Value string   // what FPM makes of it: yes is "1", no is ""; $NAME stays
	Refs  []string // names in ${NAME}
	Text  string   // the line as it stands there, without blanks around it
}

// Fault is something for which FPM refuses the configuration.
type Fault struct {
	Place
	Text string
}

// Include is an include line and what it matched.
type Include struct {
	Place
	Pattern string // absolute
	Files   []string
}

// Setup is what a master makes of its configuration.
type Setup struct {
	Path, Prefix string
	Files        []string // in the order in which they are read
	Unread       []string // that cannot be read
	Includes     []Include
	Global       []Setting
	Pools        []*Pool
	Faults       []Fault
}

// Pool is one pool of workers, with its settings from all files.
type Pool struct {
	Name     string
	Prefix   string
	Sections []Place // each [name]
	Settings []Setting
	Comments []Setting // commented out: clear_env, and env[AWS_…]
}

// Pool is the pool of that name, in any case, or nil.
func (s *Setup) Pool(name string) *Pool {
	for _, p := range s.Pools {
		if strings.EqualFold(p.Name, name) {
			return p
		}
	}
	return nil
}

// Incomplete is what FPM misses in a pool once all files are read: often a pool
// whose name is misspelled in one of them.
func (s *Setup) Incomplete() []Fault {
	var all []Fault
	if len(s.Pools) == 0 && len(s.Faults) == 0 {
		at, text := Place{s.Path, 1}, "there is no pool: no file has a section such as [www]"
		for _, in := range s.Includes {
			if len(in.Files) == 0 {
				at, text = in.Place, "there is no pool: "+clip(in.Pattern)+" matches no file"
			}
		}
		all = append(all, Fault{at, text})
	}
	for _, p := range s.Pools {
		switch {
		case p.Value("listen") == "":
			all = append(all, Fault{p.Sections[0], "pool " + quoteName(p.Name) + " has no listen: is its name misspelled?"})
		case p.Value("pm") == "":
			all = append(all, Fault{p.Sections[0], "pool " + quoteName(p.Name) + " has no pm (static, dynamic or ondemand)"})
		}
	}
	return all
}

// Last is the setting of that name which is in force.
func (p *Pool) Last(name string) (Setting, bool) {
	for i := len(p.Settings) - 1; i >= 0; i-- {
		if s := p.Settings[i]; s.Name == name && s.Key == "" {
			return s, true
		}
	}
	return Setting{}, false
}

// Value is the value in force, or "".
func (p *Pool) Value(name string) string {
	s, _ := p.Last(name)
	return s.Value
}

// PHP is a PHP setting that the pool makes with php_admin_value or php_value;
// the admin's wins.
func (p *Pool) PHP(name string) (Setting, bool) {
	for _, kind := range []string{"php_admin_value", "php_value"} {
		for i := len(p.Settings) - 1; i >= 0; i-- {
			if s := p.Settings[i]; s.Name == kind && s.Key == name {
				return s, true
			}
		}
	}
	return Setting{}, false
}

// ClearEnv says whether workers lose the environment of the master. Without a
// setting they do, in every distribution; then set is false.
func (p *Pool) ClearEnv() (clear bool, by Setting, set bool) {
	by, set = p.Last("clear_env")
	if !set {
		return true, by, false
	}
	clear, _ = boolean(by.Value)
	return clear, by, true
}

// boolean is as FPM reads it. Bare words in any case are 1 or nothing by then;
// what stood in quotation marks must be in lower case.
func boolean(value string) (yes, ok bool) {
	switch value {
	case "1", "yes", "on", "true":
		return true, true
	case "", "0", "no", "off", "false", "none":
		return false, true
	}
	return false, false
}

// Env is the env[key] that is in force. Where a pool has several, FPM takes the
// first of them.
func (p *Pool) Env(key string) (Setting, bool) {
	for _, s := range p.Settings {
		if s.Name == "env" && s.Key == key {
			return s, true
		}
	}
	return Setting{}, false
}

// EnvNames are the keys of all env[…], in order, each once.
func (p *Pool) EnvNames() []string {
	var names []string
	seen := map[string]bool{}
	for _, s := range p.Settings {
		if s.Name == "env" && !seen[s.Key] {
			seen[s.Key] = true
			names = append(names, s.Key)
		}
	}
	return names
}

// Reference is X where an env value is $X, which FPM resolves when it starts a
// pool, or "".
func (s Setting) Reference() string {
	name, _ := strings.CutPrefix(s.Value, "$")
	if name == s.Value {
		return ""
	}
	return name
}

// Listen is where the pool takes requests: network "unix" or "tcp", and the
// address; both are "" when it has none.
func (p *Pool) Listen() (network, address string) {
	v := strings.ReplaceAll(p.Value("listen"), "$pool", p.Name)
	switch {
	case v == "":
		return "", ""
	case strings.Trim(v, "0123456789") == "":
		return "tcp", "127.0.0.1:" + v
	case strings.Contains(v, ":"):
		host, port, _ := cutLast(v, ":")
		switch strings.Trim(host, "[]") {
		case "", "*", "0.0.0.0":
			host = "127.0.0.1"
		case "::":
			host = "[::1]"
		}
		return "tcp", host + ":" + port
	}
	return "unix", p.path(v)
}

// path is a path of the pool's settings, absolute.
func (p *Pool) path(v string) string {
	if path.IsAbs(v) {
		return path.Clean(v)
	}
	prefix := p.Prefix
	if own := strings.ReplaceAll(p.Value("prefix"), "$pool", p.Name); own != "" {
		if prefix = own; !path.IsAbs(own) {
			prefix = path.Join(p.Prefix, own)
		}
	}
	return path.Join(prefix, v)
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// Plain is an error about a file in words that fit into a sentence.
func Plain(err error) string {
	var pe *fs.PathError
	switch {
	case errors.As(err, &pe) && errors.Is(err, fs.ErrPermission):
		return pe.Path + " may not be read by this user"
	case errors.As(err, &pe) && errors.Is(err, fs.ErrNotExist):
		return pe.Path + " does not exist"
	case errors.As(err, &pe):
		return fmt.Sprintf("%s: %v", pe.Path, pe.Err)
	}
	return err.Error()
}

func quoteName(s string) string { return strconv.Quote(clip(s)) }

// clip keeps garbage from filling a report.
func clip(s string) string {
	if len(s) > 60 {
		return s[:60] + "…"
	}
	return s
}
