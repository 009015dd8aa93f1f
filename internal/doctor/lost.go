package doctor

import (
	"fmt"
	"path/filepath"
	"strings"
)

// granting are variables that bring credentials to a program.
var granting = []string{varRelative, varFull, varIdentity, varKeyID, "AWS_PROFILE"}

// lost finds a variable that an ancestor has and the program does not: somebody
// between them has dropped it.
func (v *view) lost() (Result, bool) {
	if v.Env.Wiped {
		return Result{}, false
	}
	for _, name := range granting {
		if v.Env.Get(name) != "" {
			return Result{}, false
		}
	}
	for i, a := range v.Ancestors {
		for _, name := range granting {
			if a.Env.Get(name) == "" {
				continue
			}
			dropper := v.Name
			if i > 0 {
				dropper = fmt.Sprintf("pid %d (%s)", v.Ancestors[i-1].PID, v.Ancestors[i-1].Name)
			}
			r := Result{Check: "ancestors", Outcome: Failed, Cause: "env.lost",
				Summary: fmt.Sprintf("%s does not reach the program: pid %d (%s) has it", name, a.PID, a.Name),
				Evidence: []Evidence{
					{Where: fmt.Sprintf("pid %d", a.PID), Text: a.Name + " has " + name},
					{Where: v.Name, Text: "does not have it"},
					{Text: "it was dropped on the way to " + dropper},
				}}
			between := a.Name
			if i > 0 {
				between = v.Ancestors[i-1].Name
			}
			r.Fixes = append(r.Fixes, dropperFix(between, a, name))
			return r, true
		}
	}
	return Result{}, false
}

// dropperFix is how the program that starts others is told to hand a variable on.
func dropperFix(starter string, from Ancestor, name string) Fix {
	switch base := strings.ToLower(filepath.Base(starter)); {
	case strings.Contains(base, "cron"):
		return Fix{Text: "cron starts jobs with an empty environment: read it in the job", Command: exportFrom(from.PID, name)}
	case strings.Contains(base, "supervisor"):
		return Fix{Text: "add to the program's section: environment=" + name + `="%(ENV_` + name + `)s"`}
	case strings.Contains(base, "systemd"):
		return Fix{Text: "add to the unit: PassEnvironment=" + name + " (or EnvironmentFile=), then daemon-reload and restart"}
	case base == "sudo":
		return Fix{Text: "sudo drops variables", Command: "sudo --preserve-env=" + name + " COMMAND"}
	case base == "su":
		return Fix{Text: "su - drops variables: su without the -, or", Command: "su -w " + name + " - USER"}
	case strings.HasPrefix(base, "php-fpm"):
		return Fix{Command: "rolecall doctor php-fpm"}
	case base == "sshd":
		return Fix{Text: "a login by ssh has an environment of its own", Command: exportFrom(from.PID, name)}
	}
	return Fix{Text: "hand it on where the program is started, or take it from there", Command: exportFrom(from.PID, name)}
}

func exportFrom(pid int, name string) string {
	return fmt.Sprintf("export \"$(tr '\\0' '\\n' </proc/%d/environ | grep ^%s=)\"", pid, name)
}

// laravel looks at the .env file of a Laravel application in the working
// directory.
func (v *view) laravel() (Result, bool) {
	if v.Dir == "" {
		return Result{}, false
	}
	if _, err := v.stat("artisan"); err != nil {
		return Result{}, false
	}
	text, err := v.readSmall(".env")
	if err != nil {
		return Result{}, false
	}
	name, line := emptyKey(text)
	if name == "" {
		return Result{}, false
	}
	r := emptyKeyFound(name, fmt.Sprintf("%s:%d", filepath.Join(v.Dir, ".env"), line))
	if _, err := v.stat("bootstrap/cache/config.php"); err == nil {
		r.Evidence = append(r.Evidence, Evidence{Where: filepath.Join(v.Dir, "bootstrap/cache/config.php"), Text: "the configuration is cached: changes count after config:clear"})
	}
	r.Check = "laravel"
	return r, true
}
