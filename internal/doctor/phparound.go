package doctor

import (
	"context"
	"path"
	"slices"
	"strings"

	"rolecall/internal/phpfpm"
)

// around are the checks of what stands around PHP-FPM: web servers, schedulers,
// supervisors, applications.
func (s *PHPFPM) around() []Check {
	check := func(name string, run func() []Result) Check {
		return Check{Name: name, Target: name, Run: func(context.Context) []Result { return run() }}
	}
	return []Check{
		check("nginx", s.nginx), check("apache", s.apache), check("supervisord", s.supervisord),
		check("cron", s.cron), check("systemd", s.systemd), check("laravel", s.laravel),
	}
}

const smallFile = 1 << 20

// has says who has a variable that programs of the container should have.
func (s *PHPFPM) has(name string) (phpfpm.Environment, bool) {
	for _, m := range s.masters {
		if e, ok := m.whoHas(name); ok {
			return e, true
		}
	}
	if one, err := s.config.Finder.Environ(1); err == nil && one[name] != "" {
		return phpfpm.Environment{Where: "pid 1", Vars: one, Certain: true}, true
	}
	return phpfpm.Environment{Where: "this shell", Vars: s.config.Environ}, s.config.Environ[name] != ""
}

// deciding are the variables that somebody has and that give credentials.
func (s *PHPFPM) deciding() (names []string, by phpfpm.Environment) {
	for _, route := range routes() {
		if e, ok := s.has(route[0]); ok {
			names, by = append(names, route[0]), e
		}
	}
	return names, by
}

func (s *PHPFPM) read(file string) (string, bool) {
	b, err := s.config.Tree.ReadFile(file, smallFile)
	return string(b), err == nil
}

func (s *PHPFPM) glob(patterns ...string) (found []string) {
	for _, p := range patterns {
		files, err := s.config.Tree.Glob(p)
		if err == nil {
			found = append(found, files...)
		}
	}
	return found[:min(len(found), 1000)]
}

// nginxFiles are its main file and what that includes, as far as names go.
func (s *PHPFPM) nginxFiles() []string {
	return s.glob("/etc/nginx/nginx.conf", "/etc/nginx/conf.d/*.conf", "/etc/nginx/http.d/*.conf", "/etc/nginx/sites-enabled/*",
		"/etc/nginx/snippets/*.conf", "/etc/nginx/fastcgi_params", "/etc/nginx/fastcgi.conf", "/etc/nginx/default.d/*.conf")
}

// fastcgiParam is a line such as fastcgi_param NAME "value" if_not_empty;
var fastcgiParam = lazily(`^\s*fastcgi_param\s+(AWS_[A-Z0-9_]+)\s+("[^"]*"|'[^']*'|[^\s;]*)\s*([a-z_]*)\s*;`)

func (s *PHPFPM) nginx() (all []Result) {
	for _, file := range s.nginxFiles() {
		text, _ := s.read(file)
		for n, line := range strings.Split(text, "\n") {
			m := fastcgiParam().FindStringSubmatch(line)
			if m == nil || !slices.Contains(phpfpm.Names(), m[1]) {
				continue
			}
			at := phpfpm.Place{File: file, Line: n + 1}.String()
			name, value := m[1], strings.Trim(m[2], `"'`)
			shown := "fastcgi_param " + name + " …;"
			if value == "" {
				shown = strings.TrimSpace(line)
			}
			r := Result{Evidence: []Evidence{{Where: at, Text: shown}}}
			switch {
			case value == "" && m[3] == "":
				r.Outcome, r.Cause = Failed, "nginx.empty-param"
				r.Summary = "nginx hands PHP an empty " + name + ", which hides the one in the environment"
				r.Fixes = []Fix{{Text: "remove the line", Where: at, Command: "nginx -t && nginx -s reload"}}
			case name == varKeyID || name == varSecret || name == varSession || name == varToken:
				r.Outcome, r.Cause = Warning, "nginx.secret-param"
				r.Summary = "nginx hands PHP " + name + ": it is in a file for all to read, in phpinfo() and in error pages"
				r.Fixes = []Fix{{Text: "give PHP-FPM a role, and remove the line", Where: at, Command: "rolecall doctor php-fpm --use-rolecall"}}
			default:
				r.Outcome, r.Cause = Warning, "nginx.fastcgi-param"
				r.Summary = "nginx hands PHP " + name + ": this is for web requests alone, and not for the command line, queues and cron, nor for programs that PHP starts"
				r.Fixes = []Fix{{Text: "put it into the pool   env[" + name + "] = …"}}
			}
			all = append(all, r)
		}
	}
	return all
}

var (
	envvarsUnset  = lazily(`^\s*unset\s+.*\b(AWS_[A-Z0-9_]+)`)
	envvarsExport = lazily(`^\s*(?:export\s+)?(AWS_[A-Z0-9_]+)=(.*)$`)
)

// apache is about mod_php, which has the environment that Apache was started
// with: its service's, and what envvars adds.
func (s *PHPFPM) apache() []Result {
	module := s.glob("/etc/apache2/mods-enabled/php*.load", "/etc/httpd/conf.modules.d/*-php.conf", "/etc/apache2/conf.d/php*-module.conf")
	if len(module) == 0 {
		return nil
	}
	given := map[string]bool{}
	for _, file := range s.glob("/etc/apache2/envvars", "/etc/sysconfig/httpd", "/etc/default/apache2") {
		text, _ := s.read(file)
		for n, line := range strings.Split(text, "\n") {
			at := phpfpm.Place{File: file, Line: n + 1}.String()
			name, empty := "", false
			if m := envvarsUnset().FindStringSubmatch(line); m != nil {
				name, empty = m[1], true
			} else if m := envvarsExport().FindStringSubmatch(line); m != nil {
				name, empty = m[1], strings.Trim(strings.TrimSpace(m[2]), `"'`) == ""
			}
			if empty && slices.Contains(phpfpm.Names(), name) {
				return []Result{{Outcome: Failed, Cause: "apache.envvars", Summary: "Apache's start takes " + name + " away from mod_php",
					Evidence: []Evidence{{Where: at, Text: strings.TrimSpace(line)}}, Fixes: []Fix{{Text: "remove the line, and restart Apache", Where: at}}}}
			}
			given[name] = given[name] || name != ""
		}
	}
	unit := s.unit("apache2.service", "httpd.service")
	names, by := s.deciding()
	for _, name := range names {
		if unit == nil || given[name] || unit.Environment[name] != "" || by.Certain && by.Where == "pid 1" {
			continue
		}
		return []Result{{Outcome: Failed, Cause: "apache.envvars", Summary: "mod_php does not get " + name + ": neither Apache's service nor envvars gives it",
			Evidence: []Evidence{{Text: who(by)}, {Where: module[0]}, {Where: unit.File}},
			Fixes:    []Fix{{Text: "add to /etc/apache2/envvars   export " + name + "=VALUE   and restart Apache"}}}}
	}
	return []Result{{Outcome: OK, Summary: "nothing takes variables away from mod_php"}}
}

func (s *PHPFPM) unit(names ...string) *phpfpm.Unit {
	for _, n := range names {
		if u := phpfpm.ReadUnit(s.config.Tree, n); u != nil {
			return u
		}
	}
	return nil
}

var (
	withoutEnviron  = lazily(`(^|[\s/])(env\s+(-i|-)|su\s+(-l|-|--login))\s`)
	emptyAssignment = lazily(`(AWS_[A-Z0-9_]+)=(?:""|''|(?:$|,))`)
	cronVariable    = lazily(`^(AWS_[A-Z0-9_]+)\s*=\s*\S`)
	cronJob         = lazily(`^([0-9*@]|\*/)`)
	readsEnviron    = lazily(`(^|[\s;&])(\.|source|rolecall)\s`)
)

// runsPHP says whether a command line starts PHP in any form.
var runsPHP = lazily(`(^|[\s/"'])(php(-fpm)?[0-9.]*|artisan)($|[\s"'])`)

// supervisord is about its programs: environment= adds to what supervisord has.
func (s *PHPFPM) supervisord() (all []Result) {
	for _, file := range s.glob("/etc/supervisord.conf", "/etc/supervisor/supervisord.conf", "/etc/supervisor/conf.d/*.conf", "/etc/supervisord.d/*.ini", "/etc/supervisor.d/*.ini") {
		text, _ := s.read(file)
		section, command := "", ""
		for n, line := range strings.Split(text, "\n") {
			line = strings.TrimSpace(line)
			if strings.HasPrefix(line, "[") {
				section, command = strings.Trim(line, "[]"), ""
				continue
			}
			key, value, _ := strings.Cut(line, "=")
			at := phpfpm.Place{File: file, Line: n + 1}.String()
			value = strings.TrimSpace(value)
			switch strings.TrimSpace(key) {
			case "command":
				command = value
				names, by := s.deciding()
				if strings.HasPrefix(section, "program:") && runsPHP().MatchString(command) && withoutEnviron().MatchString(command) && len(names) > 0 {
					all = append(all, Result{Outcome: Failed, Cause: "supervisord.command", Summary: "supervisord starts " + section[len("program:"):] + " without the environment, so without " + names[0],
						Evidence: []Evidence{{Text: who(by)}, {Where: at, Text: "command=" + masked(value)}}, Fixes: []Fix{{Text: "start it without env -i or su -, with user= where another user is meant", Where: at}}})
				}
			case "environment":
				for _, m := range emptyAssignment().FindAllStringSubmatch(value, -1) {
					if slices.Contains(phpfpm.Names(), m[1]) {
						all = append(all, Result{Outcome: Failed, Cause: "supervisord.environment", Summary: "supervisord gives " + section + " an empty " + m[1],
							Evidence: []Evidence{{Where: at, Text: m[1] + "=\"\""}}, Fixes: []Fix{{Text: "remove it from environment=", Where: at, Command: "supervisorctl reread && supervisorctl update"}}})
					}
				}
			}
		}
	}
	return all
}

var inlineValue = lazily(`\b([A-Za-z_][A-Za-z0-9_]*)=("[^"]*"|'[^']*'|\S+)`)

// masked is a command line without the values that it sets.
func masked(line string) string { return inlineValue().ReplaceAllString(line, "$1=…") }

// cron is about jobs that run PHP: cron gives them an environment of its own.
func (s *PHPFPM) cron() []Result {
	names, by := s.deciding()
	if len(names) == 0 {
		return nil
	}
	for _, file := range s.glob("/etc/crontab", "/etc/cron.d/*", "/var/spool/cron/crontabs/*", "/var/spool/cron/*", "/etc/crontabs/*") {
		text, ok := s.read(file)
		if !ok || strings.HasPrefix(path.Base(file), ".") {
			continue
		}
		set := map[string]bool{}
		for n, line := range strings.Split(text, "\n") {
			line = strings.TrimSpace(line)
			if m := cronVariable().FindStringSubmatch(line); m != nil {
				set[m[1]] = true
			}
			if line == "" || line[0] == '#' || !cronJob().MatchString(line) || !runsPHP().MatchString(line) {
				continue
			}
			if strings.Contains(line, "/proc/1/environ") || readsEnviron().MatchString(line) || slices.ContainsFunc(names, func(n string) bool { return set[n] || strings.Contains(line, " "+n+"=") }) {
				continue
			}
			return []Result{{Outcome: Failed, Cause: "cron.environment", Summary: "cron starts PHP with an environment of its own, without " + names[0],
				Evidence: []Evidence{{Text: who(by)}, {Where: phpfpm.Place{File: file, Line: n + 1}.String(), Text: clipLine(masked(line))}},
				Fixes: []Fix{{Text: "have the entrypoint write the variables into a file, and the job read it first   . /run/container.env;"},
					{Text: "or start it with   rolecall exec SOURCE -- php …"}}}}
		}
	}
	return nil
}

func clipLine(line string) string {
	if len(line) > 160 {
		return line[:160] + "…"
	}
	return line
}

// systemd is about services that run PHP and are not PHP-FPM masters that run,
// such as queue workers.
func (s *PHPFPM) systemd() (all []Result) {
	names, by := s.deciding()
	if len(names) == 0 || by.Where != s.hereName() {
		return nil
	}
	seen := map[string]bool{}
	_, err := s.config.Tree.Stat("/run/systemd/system") // sd_booted(3)
	booted := err == nil
	for _, file := range s.glob("/etc/systemd/system/*.service", "/usr/lib/systemd/system/php*-fpm.service", "/lib/systemd/system/php*-fpm.service") {
		name := path.Base(file)
		u := phpfpm.ReadUnit(s.config.Tree, name)
		if seen[name] || u == nil || !runsPHP().MatchString(strings.Join(u.Start, " ")) {
			continue
		}
		seen[name] = true
		if !strings.HasPrefix(file, "/etc/") && !booted {
			continue // it came with the package, and nothing starts it here
		}
		given := slices.ContainsFunc(routes(), func(r []string) bool { return u.Environment[r[0]] != "" || slices.Contains(u.Pass, r[0]) })
		if given || s.runs(name) {
			continue
		}
		all = append(all, Result{Outcome: Failed, Cause: "systemd.no-environment", Summary: name + " gives its PHP no " + names[0],
			Evidence: []Evidence{{Text: who(by) + ", and a service gets nothing from there"}, {Where: u.File, Text: "no Environment= or EnvironmentFile= gives it"}},
			Fixes: []Fix{{Text: "add below [Service]   Environment=" + names[0] + "=VALUE   and restart it",
				Command: "systemctl edit " + name + " && systemctl restart " + name}}})
	}
	return all
}

func (s *PHPFPM) hereName() string { return "this shell" }

// runs says whether a master of the service is looked at anyway.
func (s *PHPFPM) runs(unit string) bool {
	return slices.ContainsFunc(s.masters, func(m *fpmMaster) bool { return m.Master != nil && m.Unit == unit })
}
