package mock_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"rolecall/test/world"
)

const page = "../../docs/mock.md"

func text(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// recipe writes the files of a language on the page into a directory.
func recipe(t *testing.T, language string) string {
	t.Helper()
	dir := t.TempDir()
	files := 0
	for _, m := range regexp.MustCompile("(?ms)^```"+language+"\n((?:<\\?php\n)?(?:#|//) (\\S+)\n.*?)^```").FindAllStringSubmatch(text(t, page), -1) {
		if err := os.WriteFile(filepath.Join(dir, m[2]), []byte(m[1]), 0o600); err != nil {
			t.Fatal(err)
		}
		files++
	}
	if files == 0 {
		t.Fatalf("%s has no %s with a file's name in its first line", page, language)
	}
	return dir
}

// surroundings are a user's, with a rolecall in the PATH.
func surroundings(t *testing.T, extra ...string) []string {
	t.Helper()
	bin, err := world.Binary()
	if err != nil {
		t.Fatal(err)
	}
	env := append(world.Surroundings(t.TempDir()), "GORACE=atexit_sleep_ms=0")
	for i, e := range env {
		if path, ok := strings.CutPrefix(e, "PATH="); ok {
			env[i] = "PATH=" + filepath.Dir(bin) + string(filepath.ListSeparator) + path
		}
	}
	return append(env, extra...)
}

// passes runs a recipe's tests, of which there are so many.
func passes(t *testing.T, want, dir string, env []string, argv ...string) {
	t.Helper()
	out, err := output(t, dir, env, "", argv...)
	if err != nil || !regexp.MustCompile(want).MatchString(out) {
		t.Errorf("%v: %v, want %q in:\n%s", argv, err, want, out)
	}
}

func TestRecipePytest(t *testing.T) {
	t.Parallel()
	for _, python := range []string{"python3", "/usr/bin/python3"} {
		env := surroundings(t)
		if _, err := output(t, "", env, "", python, "-c", "import pytest, botocore"); err != nil {
			continue
		}
		passes(t, `4 passed`, recipe(t, "python"), env, python, "-m", "pytest", "-q", "-p", "no:cacheprovider")
		return
	}
	t.Skip("no python3 here has pytest and boto3: make setup")
}

func TestRecipeJest(t *testing.T) {
	t.Parallel()
	modules, err := filepath.Abs("js/node_modules")
	if err != nil {
		t.Fatal(err)
	}
	jest := filepath.Join(modules, "jest", "bin", "jest.js")
	if _, err := os.Stat(jest); err != nil {
		t.Skip("Jest is not installed here: make setup")
	}
	env := surroundings(t, "NODE_PATH="+modules)
	if out, err := output(t, "", env, "", "node", jest, "--version"); err != nil {
		t.Skip("Jest does not run with this node: " + out)
	}
	dir := recipe(t, "js")
	if err := os.WriteFile(filepath.Join(dir, "package.json"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	passes(t, `Tests: +4 passed, 4 total`, dir, env, "node", jest, "--ci", "--rootDir", dir)
}

func TestRecipePHPUnit(t *testing.T) {
	t.Parallel()
	env := surroundings(t)
	if out, err := output(t, "", env, "", "phpunit", "--version"); err != nil {
		t.Skip("there is no phpunit here, make setup: " + out)
	}
	passes(t, `OK \(7 tests`, recipe(t, "php"), env, "phpunit", "--do-not-cache-result", "CredentialsTest.php")
}

// The recipe for Go is a module of its own, with the versions of this one.
func TestRecipeGo(t *testing.T) {
	t.Parallel()
	dir := recipe(t, "go")
	mod := regexp.MustCompile(`(?m)^module .*$`).ReplaceAllString(text(t, "../../go.mod"), "module app")
	for name, content := range map[string]string{"go.mod": mod, "go.sum": text(t, "../../go.sum")} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	env := surroundings(t, "GOFLAGS=-mod=mod", "GOPROXY=off", "GOTOOLCHAIN=local")
	for _, name := range []string{"GOMODCACHE", "GOCACHE", "GOPATH", "GOROOT"} {
		out, err := output(t, "", os.Environ(), "", "go", "env", name)
		if err != nil {
			t.Fatal(err)
		}
		env = append(env, name+"="+strings.TrimSpace(out))
	}
	passes(t, `(?s)--- PASS: TestGood.*--- PASS: TestForgottenTokensAreFetchedAnew.*--- PASS: TestOutage`, dir, env, "go", "test", "-count=1", "-v", ".")
}

// The page tells of each outcome, and of nothing that is not tested.
func TestOutcomesAreOnThePage(t *testing.T) {
	t.Parallel()
	rows := ""
	for _, o := range outcomes() {
		faults := "none"
		if len(o.faults) > 0 {
			faults = "`" + strings.Join(o.faults, "`, `") + "`"
		}
		rows += "| " + strings.Join([]string{faults, said(o.imds), strings.ReplaceAll(o.imdsRequests, " ", " + "), said(o.ecs), o.ecsRequests}, " | ") + " |\n"
	}
	if rest := text(t, page); !strings.Contains(rest, "|---|---|---|---|---|\n"+rows) || !strings.HasSuffix(rest, rows) {
		t.Errorf("the table of %s is not\n%s", page, rows)
	}
}

// said is an outcome as the page has it.
func said(want string) string {
	if want == "" || want == good {
		return want
	}
	return `"` + strings.ReplaceAll(want, `\(?`, "") + `"`
}
