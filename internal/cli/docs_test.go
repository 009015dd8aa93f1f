package cli

import (
	"bytes"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"rolecall/internal/control"
)

const repository = "../.."

// commandLine is the whole command line of a program that is never run.
func commandLine() *cobra.Command {
	a := &app{stdin: bytes.NewReader(nil), stdout: io.Discard, stderr: io.Discard,
		getenv: func(string) string { return "" }, environ: func() []string { return nil }}
	return a.root()
}

// eachCommand calls f with every command that a user can type.
func eachCommand(c *cobra.Command, f func(*cobra.Command)) {
	f(c)
	for _, sub := range c.Commands() {
		eachCommand(sub, f)
	}
}

func document(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(repository, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// pages are README.md, CHANGELOG.md and everything in docs.
func pages(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(repository, "docs", "*.md"))
	if err != nil || len(found) == 0 {
		t.Fatalf("docs/*.md: %v, %v", found, err)
	}
	all := []string{"README.md", "CHANGELOG.md"}
	for _, f := range found {
		all = append(all, filepath.Join("docs", filepath.Base(f)))
	}
	return all
}

func TestEveryCommandAndFlagIsDocumented(t *testing.T) {
	t.Parallel()
	sections := sectionsOf(document(t, "docs/commands.md"))
	eachCommand(commandLine(), func(c *cobra.Command) {
		words := strings.Fields(c.CommandPath())[1:]
		if len(words) == 0 || words[0] == "help" {
			return
		}
		text := sections[words[0]]
		if text == "" {
			t.Errorf("docs/commands.md has no section %q", "## "+words[0])
			return
		}
		for _, w := range words {
			if !mentions(text, w) {
				t.Errorf("docs/commands.md, section %s, does not name %q", words[0], c.CommandPath())
			}
		}
		same := ""
		if words[0] == "ecs" { // the flags of the commands that those of ecs stand for
			same = sections["serve"] + sections["load"] + sections["profile"]
		}
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if f.Name != "help" && !strings.Contains(text+same, "--"+f.Name) {
				t.Errorf("docs/commands.md, section %s, does not name --%s", words[0], f.Name)
			}
		})
	})
}

// sectionsOf are the texts below the second-level headings, by heading.
func sectionsOf(text string) map[string]string {
	sections := map[string]string{}
	for _, part := range strings.Split(text, "\n## ")[1:] {
		heading, body, _ := strings.Cut(part, "\n")
		sections[heading] = heading + "\n" + body
	}
	return sections
}

func mentions(text, word string) bool {
	return regexp.MustCompile(`(^|[^\w-])` + regexp.QuoteMeta(word) + `($|[^\w-])`).MatchString(text)
}

func TestEveryJSONFieldIsDocumented(t *testing.T) {
	t.Parallel()
	text := sectionsOf(document(t, "docs/commands.md"))["JSON"]
	for _, v := range []any{control.Slot{}, control.Error{}, control.Status{}, control.Listener{}} {
		shape := reflect.TypeOf(v)
		for i := range shape.NumField() {
			name, _, _ := strings.Cut(shape.Field(i).Tag.Get("json"), ",")
			if !strings.Contains(text, "`"+name+"`") && !strings.Contains(text, `"`+name+`"`) {
				t.Errorf("docs/commands.md, section JSON, does not name %q of %s", name, shape)
			}
		}
	}
}

// What stands in a block marked sh is meant to be typed: commands and flags
// must be there, and the arguments in order.
func TestCommandsInDocsParse(t *testing.T) {
	t.Parallel()
	targets := makeTargets(document(t, "Makefile"))
	seen := 0
	for _, page := range pages(t) {
		for _, line := range shellLines(document(t, page)) {
			for _, words := range simpleCommands(line) {
				switch filepath.Base(words[0]) {
				case "make":
					if !slices.Contains(targets, words[1]) {
						t.Errorf("%s: the Makefile has no target %q", page, words[1])
					}
				case "rolecall":
					seen++
					if err := parses(words[1:]); err != nil {
						t.Errorf("%s: %s: %v", page, line, err)
					}
				}
			}
		}
	}
	if seen < 50 {
		t.Errorf("only %d commands were found in the documents", seen)
	}
}

// parses is cobra's way to a command, up to the point where it would run.
func parses(words []string) error {
	c, rest, err := commandLine().Find(words)
	if err != nil {
		return err
	}
	if err := c.ParseFlags(rest); err != nil {
		return err
	}
	if c.HasSubCommands() && c.Flags().NArg() > 0 && c.ArgsLenAtDash() != 0 {
		return unknownCommand(c, c.Flags().Arg(0))
	}
	return c.ValidateArgs(c.Flags().Args())
}

func makeTargets(makefile string) (names []string) {
	for _, m := range regexp.MustCompile(`(?m)^([a-z-]+):`).FindAllStringSubmatch(makefile, -1) {
		names = append(names, m[1])
	}
	return names
}

// shellLines are the lines of blocks marked sh.
func shellLines(text string) (lines []string) {
	for _, m := range regexp.MustCompile("(?ms)^```sh\n(.*?)^```").FindAllStringSubmatch(text, -1) {
		lines = append(lines, strings.Split(strings.TrimSpace(m[1]), "\n")...)
	}
	return lines
}

// simpleCommands splits a shell line into its commands, as far as the documents
// go: pipes, &&, $(…), <(…), variables before the command, redirections.
func simpleCommands(line string) (commands [][]string) {
	for _, part := range regexp.MustCompile(`\|\||&&|\||;|<\(|"?\$\(`).Split(line, -1) {
		part = regexp.MustCompile(`\s(#|2?>).*$`).ReplaceAllString(part, "")
		part = strings.TrimRight(strings.TrimSpace(part), `)"`)
		var words []string
		for _, quoted := range regexp.MustCompile(`'[^']*'|"[^"]*"|\S+`).FindAllString(part, -1) {
			words = append(words, strings.Trim(quoted, `'"`))
		}
		for len(words) > 0 && regexp.MustCompile(`^[A-Z_]+=`).MatchString(words[0]) {
			words = words[1:]
		}
		if len(words) > 0 {
			commands = append(commands, words)
		}
	}
	return commands
}

func TestLinksBetweenDocs(t *testing.T) {
	t.Parallel()
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	for _, page := range pages(t) {
		for _, m := range link.FindAllStringSubmatch(document(t, page), -1) {
			u, err := url.Parse(m[1])
			if err != nil {
				t.Errorf("%s: %s: %v", page, m[1], err)
				continue
			}
			if u.IsAbs() {
				continue
			}
			to := page
			if u.Path != "" {
				to = filepath.Join(filepath.Dir(page), u.Path)
			}
			b, err := os.ReadFile(filepath.Join(repository, to))
			if err != nil {
				t.Errorf("%s links to %s, which is not there", page, to)
				continue
			}
			if u.Fragment != "" && !slices.Contains(anchors(string(b)), u.Fragment) {
				t.Errorf("%s links to %s#%s, and there is no such heading", page, to, u.Fragment)
			}
		}
	}
}

// anchors are what the headings of a page are reached by.
func anchors(text string) (found []string) {
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(text, -1) {
		heading := regexp.MustCompile(`[^\w\- ]`).ReplaceAllString(strings.ToLower(m[1]), "")
		found = append(found, strings.ReplaceAll(heading, " ", "-"))
	}
	return found
}
