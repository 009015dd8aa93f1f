package awsconfig

import (
	"maps"
	"slices"
	"strings"

	"rolecall/internal/creds"
)

// Files is what both files say together. It is not changed after Load.
type Files struct {
	Paths       Paths
	Fingerprint Fingerprint // of the files as read; zero after Parse

	names    []string // profiles in the order of the files, config first
	profiles map[string]*Section
	sessions map[string]*Section
	services map[string]*Section
	faults   []Fault
}

// Parse makes Files of the two texts as if they had been read from p. The error
// names a file that is no text at all.
func Parse(p Paths, config, credentials []byte) (*Files, error) {
	f := &Files{
		Paths:    p,
		profiles: map[string]*Section{},
		sessions: map[string]*Section{},
		services: map[string]*Section{},
	}
	c, err := parseFile(p.Config, config)
	if err != nil {
		return nil, err
	}
	f.addConfig(c)
	c, err = parseFile(p.Credentials, credentials)
	if err != nil {
		return nil, err
	}
	f.addCredentials(c)
	return f, nil
}

// Names lists all profiles in the order of the files, config first.
func (f *Files) Names() []string { return append([]string(nil), f.names...) }

// Profile returns a profile, merged from both files: where both have a key, the
// credentials file wins.
func (f *Files) Profile(name string) (*Section, bool) { return find(f.profiles, name) }

// SSOSession returns the section [sso-session name].
func (f *Files) SSOSession(name string) (*Section, bool) { return find(f.sessions, name) }

// SSOSessionNames lists the sections [sso-session], sorted.
func (f *Files) SSOSessionNames() []string { return slices.Sorted(maps.Keys(f.sessions)) }

// Services returns the section [services name].
func (f *Files) Services(name string) (*Section, bool) { return find(f.services, name) }

// Faults lists what the files say in vain, in the order of the files.
func (f *Files) Faults() []Fault { return append([]Fault(nil), f.faults...) }

func find(m map[string]*Section, name string) (*Section, bool) {
	s, ok := m[name]
	return s, ok
}

// addConfig takes the sections of the config file, where profiles other than
// default need the word "profile". [profile default] replaces [default], as in
// the SDK, wherever it stands.
func (f *Files) addConfig(p *parser) {
	f.faults = append(f.faults, p.faults...)
	profileDefault := p.byName["profile default"] != nil
	for _, raw := range p.sections {
		switch {
		case raw.typ == "profile" && raw.name != "":
			f.merge(ProfileKind, raw.name, p.file, raw)
		case f.addShared(p.file, raw):
		case raw.typ == "" && raw.name == "default" && profileDefault:
			f.faults = append(f.faults, Fault{File: p.file, Line: raw.line, Msg: "[default] is ignored: [profile default] is there too and goes first"})
		case raw.typ == "" && strings.EqualFold(raw.name, "default"):
			f.merge(ProfileKind, raw.name, p.file, raw)
		case raw.typ == "" && (raw.name == "plugins" || raw.name == "preview"): // the AWS CLI's own
		default:
			f.faults = append(f.faults, Fault{p.file, raw.line, "section is ignored: in this file a profile is written [profile NAME]", raw.name})
		}
	}
}

// addCredentials takes the sections of the credentials file, where every
// section is a profile and the word "profile" makes the SDKs ignore it.
func (f *Files) addCredentials(p *parser) {
	f.faults = append(f.faults, p.faults...)
	for _, raw := range p.sections {
		name := raw.name
		if raw.typ != "" {
			name = raw.typ + " " + raw.name
		}
		switch {
		case raw.typ == "profile":
			f.faults = append(f.faults, Fault{p.file, raw.line, "section is ignored: in this file a profile is written [NAME], without the word profile", raw.name})
		case f.addShared(p.file, raw):
		case name == "":
			f.faults = append(f.faults, Fault{File: p.file, Line: raw.line, Msg: "section without a name: ignored"})
		default:
			f.merge(ProfileKind, name, p.file, raw)
		}
	}
}

// addShared takes a section that is no profile in either file.
func (f *Files) addShared(file string, raw *rawSection) bool {
	if raw.name == "" {
		return false
	}
	switch Kind(raw.typ) {
	case SSOSessionKind:
		f.merge(SSOSessionKind, raw.name, file, raw)
	case ServicesKind:
		f.merge(ServicesKind, raw.name, file, raw)
	default:
		return false
	}
	return true
}

// merge adds a file's section to what is known, later files winning.
func (f *Files) merge(kind Kind, name, file string, raw *rawSection) {
	in := map[Kind]map[string]*Section{ProfileKind: f.profiles, SSOSessionKind: f.sessions, ServicesKind: f.services}[kind]
	s := in[name]
	if s == nil {
		s = &Section{Kind: kind, Name: name, File: file, Line: raw.line, values: map[string]Value{}}
		in[name] = s
		if kind == ProfileKind {
			f.names = append(f.names, name)
		}
	}
	for _, key := range raw.keys {
		e := raw.entries[key]
		v := newValue(key, e.text, file, e.line)
		for _, n := range e.nested {
			v.Nested = append(v.Nested, Nested{n.key, newValue(n.key, n.text, file, n.line)})
		}
		s.set(key, v)
	}
}

func newValue(key, text, file string, line int) Value {
	if secretKey(key) {
		return Value{Secret: creds.NewSecret(text), File: file, Line: line}
	}
	return Value{Text: text, File: file, Line: line}
}
