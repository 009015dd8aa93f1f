package phpfpm

import (
	"path"
	"slices"
	"strings"
)

// Unit is what a systemd service says about its environment.
type Unit struct {
	Name        string
	File        string   // the service's own file
	Files       []string // that, and its drop-ins, in the order in which they count
	Start       []string // ExecStart, split into words
	Environment map[string]string
	Pass        []string // PassEnvironment: from the service manager, which has little
	Notes       []string // what could not be read
}

// unitDirs are where services stand, the first winning.
func unitDirs() []string {
	return []string{"/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"}
}

// ReadUnit reads a service and its drop-ins from files; nil when there is none.
func ReadUnit(t *Tree, name string) *Unit {
	if name == "" || strings.ContainsAny(name, "/\x00") {
		return nil
	}
	u := &Unit{Name: name, Environment: map[string]string{}}
	drop := map[string]string{} // by name: one in /etc hides one in /usr/lib
	for _, dir := range unitDirs() {
		if file := path.Join(dir, name); u.File == "" && t.exists(file) {
			u.File = file
		}
		found, _ := t.Glob(path.Join(dir, strings.ReplaceAll(name, "*", `\*`)+".d") + "/*.conf")
		for _, f := range found {
			if drop[path.Base(f)] == "" {
				drop[path.Base(f)] = f
			}
		}
	}
	if u.File == "" && len(drop) == 0 {
		return nil
	}
	if u.File != "" {
		u.Files = append(u.Files, u.File)
	}
	var names []string
	for n := range drop {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, n := range names {
		u.Files = append(u.Files, drop[n])
	}
	var files, unset []string
	for _, f := range u.Files {
		b, err := t.ReadFile(f, 1<<20)
		if err != nil {
			u.Notes = append(u.Notes, Plain(err))
			continue
		}
		u.read(string(b), &files, &unset)
	}
	for _, f := range files { // they win over Environment=
		u.environmentFile(t, f)
	}
	for _, n := range unset {
		k, _, _ := strings.Cut(n, "=")
		delete(u.Environment, k)
	}
	return u
}

func (u *Unit) read(text string, files, unset *[]string) {
	section := ""
	for _, line := range strings.Split(strings.ReplaceAll(text, "\\\n", " "), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		if line[0] == '[' {
			section = line
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok || section != "[Service]" {
			continue
		}
		value = strings.TrimSpace(value)
		switch strings.TrimSpace(key) {
		case "Environment":
			if value == "" {
				u.Environment = map[string]string{}
			}
			for _, w := range words(value) {
				if k, v, ok := strings.Cut(w, "="); ok {
					u.Environment[k] = v
				}
			}
		case "EnvironmentFile":
			if value == "" {
				*files = nil
				continue
			}
			*files = append(*files, value)
		case "PassEnvironment":
			u.Pass = append(u.Pass, words(value)...)
		case "UnsetEnvironment":
			*unset = append(*unset, words(value)...)
		case "ExecStart":
			if w := words(value); len(w) > 0 {
				w[0] = strings.TrimLeft(w[0], "-@:+!")
				u.Start = w
			}
		}
	}
}

func (u *Unit) environmentFile(t *Tree, name string) {
	name, optional := strings.CutPrefix(name, "-")
	found := []string{name}
	if strings.ContainsAny(name, "*?[") {
		found, _ = t.Glob(name)
	}
	for _, f := range found {
		b, err := t.ReadFile(f, 1<<20)
		if err != nil {
			if !optional {
				u.Notes = append(u.Notes, Plain(err))
			}
			continue
		}
		for _, line := range strings.Split(strings.ReplaceAll(string(b), "\\\n", ""), "\n") {
			line = strings.TrimSpace(line)
			if line == "" || line[0] == '#' || line[0] == ';' {
				continue
			}
			if k, v, ok := strings.Cut(line, "="); ok {
				v = strings.TrimSpace(v)
				if len(v) > 1 && (v[0] == '"' || v[0] == '\'') && v[len(v)-1] == v[0] {
					v = v[1 : len(v)-1]
				}
				u.Environment[strings.TrimSpace(k)] = v
			}
		}
	}
}

// words splits as systemd does: at blanks, which quotation marks keep together.
func words(s string) []string {
	var all []string
	var b strings.Builder
	var quote byte
	in := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote, in = c, true
		case c == '\\' && i+1 < len(s) && quote != '\'':
			i++
			b.WriteByte(s[i])
			in = true
		case quote == 0 && (c == ' ' || c == '\t'):
			if in {
				all = append(all, b.String())
				b.Reset()
				in = false
			}
		default:
			b.WriteByte(c)
			in = true
		}
	}
	if in {
		all = append(all, b.String())
	}
	return all
}
