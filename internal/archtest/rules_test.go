package archtest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// module is the import path of the module, and of main at its root.
const module = "rolecall"

// floors says on which floor each package stands. A package may import only
// from floors below its own, so that packages of one floor never import each
// other, and nothing points up. Packages that are not there yet do no harm.
func floors() map[string]int {
	return map[string]int{
		// What even the leaves may use: words as people type them.
		"internal/shellword": 0,
		"internal/usererr":   0,

		// Leaves: they import nothing of ours but that.
		"internal/privatefile": 10,
		"internal/harden":      10,
		"internal/footprint":   10,
		"internal/fileedit":    10,
		"internal/notify":      10,
		"internal/exposition":  10,
		"internal/linklocal":   10,
		"internal/environ":     10,

		"internal/creds":     20,
		"internal/peercred":  20,
		"internal/awsconfig": 20,
		"internal/config":    20,
		"internal/sso":       20,

		"internal/slot":     30,
		"internal/source":   30,
		"internal/store":    30,
		"internal/endpoint": 30,
		"internal/control":  30,
		"internal/phpfpm":   30,
		"internal/login":    30,
		"internal/roles":    30,

		"internal/doctor": 40,
		"internal/daemon": 40,

		"internal/demo": 50,
		"internal/mock": 50,

		"internal/cli": 60,

		"": 70, // main
	}
}

// standIn is the fake AWS. It stands on no floor: it imports nothing of ours,
// and only tests, demo and mock may import it.
const standIn = "internal/fakeaws"

// exceptions are imports within one floor that are allowed all the same, each
// with its reason: importer → imported → reason. A new one needs a better
// reason than convenience, and one that nobody uses any more fails the test.
func exceptions() map[string]map[string]string {
	return map[string]map[string]string{
		"internal/awsconfig": {"internal/creds": "only its Secret, so that a key read from a file cannot print itself"},
		"internal/sso": {
			"internal/creds":     "only its Secret, so that a token read from a file cannot print itself",
			"internal/awsconfig": "which sessions there are stands in the AWS files",
		},
	}
}

// only says who alone may import a package, or anything below it.
type only struct {
	imported string   // path, or the beginning of paths if it ends in /
	by       []string // packages of ours
	reason   string
}

func onlys() []only {
	return []only{
		{"github.com/aws/", []string{"internal/source", "internal/login", "internal/roles"},
			"the AWS SDK changes often, and its errors may hold secrets: one room turns its answers into creds"},
		{"github.com/aws/aws-sdk-go-v2/feature/ec2/imds", nil, "internal/source speaks to the metadata service itself: the SDK's client asks IMDSv1 and proxies by itself, and gives up after half a second"},
		{"github.com/spf13/", []string{"internal/cli"}, "flags are the command line's business"},
		{"charm.land/", []string{"internal/cli"}, "only the command line draws on a terminal"},
		{module + "/internal/mock", []string{"internal/cli"}, "a mock is run by its command, and by tests as a process"},
		{"golang.org/x/term", []string{"internal/cli"}, "only the command line speaks to a terminal"},
		{"github.com/BurntSushi/toml", []string{"internal/config"}, "only config knows how the configuration file is written"},
		{"github.com/redis/", []string{"internal/store"}, "where shared credentials are kept is the store's business"},
		{module + "/internal/cli", []string{""}, "the command line is the top: nobody asks it for anything"},
	}
}

// forbidden are imports that a package must not have although its floor would
// allow them: package → import (or the beginning of one, ending in /) → reason.
func forbidden() map[string]map[string]string {
	const (
		http   = "net/http"
		ours   = module + "/internal/"
		sdk    = "slot keeps credentials fresh wherever they come from"
		places = "a slot does not know who asks, nor over what"
		users  = "the demo must see what programs see: over HTTP, and over the control socket"
		behind = "wire details and locks are behind daemon, control and demo"
	)
	return map[string]map[string]string{
		"internal/creds": {
			http:      "credentials are values; how they travel is for endpoint, control and source",
			"os":      "credentials are values; files and environment are for source and store",
			"log":     "what cannot log cannot log a secret (log/slog is allowed for LogValue)",
			"os/exec": "helper programs are for source",
		},
		"internal/peercred": {
			ours + "creds": "who asks has nothing to do with what is handed out",
			http:           "it tells about connections, whatever is spoken on them",
		},
		"internal/awsconfig": {
			http:      "it reads files and never the network",
			"net":     "it reads files and never the network",
			"os/exec": "it tells which helper programs are named, and runs none",
		},
		"internal/sso": {
			http:      "it reads files and never the network",
			"net":     "it reads files and never the network",
			"os/exec": "signing in is for login",
		},
		"internal/login": {
			ours + "awsconfig": "it is told which session to sign in to",
		},
		"internal/config": {
			http: "settings are data: the daemon makes servers of them",
		},
		"internal/slot": {
			http:               places,
			ours + "peercred":  places,
			ours + "config":    "a slot is told what it needs by its Config struct",
			ours + "awsconfig": sdk,
			"os":               sdk,
			"os/exec":          sdk,
		},
		"internal/store": {
			http: "the store is asked by slots, not by clients",
		},
		"internal/endpoint": {
			ours + "config":    "the endpoint is told what it needs by its Config struct, not by the configuration file",
			ours + "awsconfig": "the endpoint serves what it is given",
			"os":               "a request must cost no disk, and no name from a request may become a path",
			"os/exec":          "nothing that comes over HTTP may start a program",
		},
		"internal/phpfpm": {
			ours + "creds": "it reads pool files, and has no business with credentials",
		},
		"internal/doctor": {
			ours + "slot":     "the doctor must see what users see: through control and the endpoints",
			ours + "endpoint": "the doctor must see what users see: through control and the endpoints",
		},
		"internal/demo": {
			ours + "slot":     users,
			ours + "endpoint": users,
		},
		"internal/cli": {
			ours + "slot":     behind,
			ours + "endpoint": behind,
			http:              behind,
			"sync":            behind,
			"sync/":           behind,
		},
	}
}

// importFaults is what is wrong with the imports of p's files other than tests.
func importFaults(p pkg) (faults []string) {
	if p.testOnly() || belowTest(p.path) {
		return nil
	}
	floor, onFloor := floors()[p.path]
	if !onFloor && p.path != standIn {
		return []string{fmt.Sprintf("%s: this package is on no floor: put it on a floor in internal/archtest/rules_test.go", p.name())}
	}
	for _, imported := range p.imports {
		if reason := forbiddenFor(p.path, imported); reason != "" {
			faults = append(faults, fmt.Sprintf("%s must not import %s: %s", p.name(), imported, reason))
		}
		for _, o := range onlys() {
			if covers(o.imported, imported) && !slices.Contains(o.by, p.path) {
				faults = append(faults, fmt.Sprintf("%s must not import %s: %s", p.name(), imported, o.reason))
			}
		}
		if ours, ok := relative(imported); ok {
			if reason := floorFault(p.path, floor, ours); reason != "" {
				faults = append(faults, fmt.Sprintf("%s must not import %s: %s", p.name(), imported, reason))
			}
		}
	}
	return faults
}

// belowTest says whether a package serves only tests and measurements. Such
// programs drive rolecall from outside and may use anything of ours; nothing
// may use them, as they are on no floor.
func belowTest(path string) bool { return strings.HasPrefix(path, "test/") }

// floorFault says why the package from may not import our package to, or "".
func floorFault(from string, floor int, to string) string {
	if from == standIn {
		return "the fake AWS must stand for AWS, so it knows nothing of ours"
	}
	if to == standIn {
		if from == "internal/demo" || from == "internal/mock" {
			return ""
		}
		return "only tests, demo, and mock may use the fake AWS"
	}
	if from == "" && to != "internal/cli" {
		return "main only hands over to cli"
	}
	toFloor, ok := floors()[to]
	switch {
	case !ok:
		return "it is on no floor"
	case toFloor < floor || exceptions()[from][to] != "":
		return ""
	case toFloor == floor:
		return fmt.Sprintf("both are on floor %d, and packages of one floor meet only above it", floor)
	}
	return fmt.Sprintf("dependencies point down, and it is on floor %d, above floor %d", toFloor, floor)
}

func forbiddenFor(path, imported string) string {
	rules := forbidden()[path]
	for _, r := range slices.Sorted(maps.Keys(rules)) {
		if covers(r, imported) {
			return rules[r]
		}
	}
	return ""
}

// covers says whether the rule speaks of the imported package.
func covers(rule, imported string) bool {
	return rule == imported || strings.HasSuffix(rule, "/") && strings.HasPrefix(imported, rule)
}

// relative is the path below the module's root of a package of ours.
func relative(imported string) (string, bool) {
	if imported == module {
		return "", true
	}
	return strings.CutPrefix(imported, module+"/")
}
