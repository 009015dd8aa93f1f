// Package diagnosis is the suite of broken and healthy set-ups that rolecall
// doctor is measured by. Each is built from real components (files, processes,
// servers, the fake AWS) and looked at by the real binary; a broken one has one
// known cause, which doctor must name first, a healthy one has none.
package diagnosis

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rolecall/internal/fakeaws"
	"rolecall/test/world"
)

// Case is one set-up.
type Case struct {
	Name string // what it is, in words; unique
	Want string // the cause to be named first; "": it is healthy
	// Setup builds it and says how doctor is called.
	Setup func(*Site)
}

// Site is where a set-up stands: a fake AWS, a home of its own, and the call of
// doctor that Setup describes.
type Site struct {
	*world.World
	T *testing.T

	Args   []string // of rolecall, after "doctor"
	Env    []string // the whole environment of the call; begins as Plain()
	Prefix []string // a command that runs rolecall, such as unshare -n
	Cwd    string   // working directory; "": Home
	Stdin  io.Reader
	Secret []string // further texts that must not be shown
}

// Plain is an environment that tells of no credentials at all: a home without
// AWS files, and no metadata service.
func (s *Site) Plain() []string {
	return append(world.Surroundings(s.Home+"/nobody"), "ROLECALL_DIR="+s.World.Dir(), "AWS_REGION=eu-west-1", "NO_COLOR=1", "GORACE=atexit_sleep_ms=0")
}

// Set adds variables, "NAME=value"; later ones win.
func (s *Site) Set(vars ...string) { s.Env = append(s.Env, vars...) }

// Write writes a file below Home, makes its directories and returns its path.
func (s *Site) Write(name, text string, mode os.FileMode) string {
	s.T.Helper()
	path := s.Home + "/" + name
	if err := os.MkdirAll(path[:strings.LastIndexByte(path, '/')], 0o700); err != nil {
		s.T.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		s.T.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // whatever the umask
		s.T.Fatal(err)
	}
	return path
}

// Answer is what doctor said.
type Answer struct {
	Healthy bool
	Summary string
	Cause   string
	Seconds float64
	Results []struct {
		Check, Target, Outcome, Cause, Summary, Why string
		Evidence                                    []struct{ Where, Text string }
		Fixes                                       []struct{ Text, Where, Command string }
	}

	Code           int // exit code
	Stdout, Stderr string
	Took           time.Duration
}

// Diagnose calls `rolecall doctor --json` as the site describes. It fails the
// test when the answer is no JSON, shows a secret, or took more than 3 s.
func (s *Site) Diagnose() Answer {
	s.T.Helper()
	bin, err := world.Binary()
	if err != nil {
		s.T.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(s.T.Context(), time.Minute)
	defer cancel()
	line := append(append(append([]string{}, s.Prefix...), bin, "doctor", "--json"), s.Args...)
	c := exec.CommandContext(ctx, line[0], line[1:]...)
	var out, errs bytes.Buffer
	c.Env, c.Dir, c.Stdin, c.Stdout, c.Stderr = s.Env, cmp.Or(s.Cwd, s.Home), s.Stdin, &out, &errs
	began := time.Now()
	err = c.Run()
	a := Answer{Stdout: out.String(), Stderr: errs.String(), Took: time.Since(began), Code: c.ProcessState.ExitCode()}
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) {
		s.T.Fatal(err)
	}
	if err := json.Unmarshal(out.Bytes(), &a); err != nil {
		s.T.Fatalf("doctor's answer is no JSON: %v\n%s\n%s", err, out.String(), errs.String())
	}
	if a.Seconds > 3 {
		s.T.Errorf("all checks together took %.1f s", a.Seconds)
	}
	text := a.Stdout + a.Stderr
	for _, leak := range s.Leaks(text) {
		s.T.Errorf("doctor shows %s", leak)
	}
	for _, secret := range s.Secret {
		if strings.Contains(text, secret) {
			s.T.Errorf("doctor shows a secret of the set-up")
		}
	}
	return a
}

// Try builds the set-up, calls doctor and records the outcome.
func Try(t *testing.T, c Case) {
	t.Run(c.Name, func(t *testing.T) {
		s := &Site{World: world.New(t, fakeaws.Config{}), T: t}
		s.Env = s.Plain()
		c.Setup(s)
		a := s.Diagnose()
		Record(c, a.Cause, a.Took)
		code := 0
		if !a.Healthy {
			code = 1
		}
		if a.Cause != c.Want || a.Code != code {
			t.Errorf("doctor names %q with exit code %d, want %q\n%s%s", a.Cause, a.Code, c.Want, a.Stdout, a.Stderr)
		}
	})
}

// outcome is one line of the table.
type outcome struct {
	name, want, got string
	took            time.Duration
}

var table struct {
	mu   sync.Mutex
	rows []outcome
}

// Record notes what doctor named first, for a set-up that Try cannot run.
func Record(c Case, got string, took time.Duration) {
	table.mu.Lock()
	defer table.mu.Unlock()
	table.rows = append(table.rows, outcome{c.Name, c.Want, got, took})
}

// Main is for TestMain: it runs the tests and then writes the table of outcomes
// to stdout, or to the file that ROLECALL_DIAGNOSES names.
func Main(run func() int) int {
	code := world.Main(run)
	text := outcomes()
	if file := os.Getenv("ROLECALL_DIAGNOSES"); file != "" {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			fmt.Println(err)
			return 1
		}
		return code
	}
	fmt.Print(text)
	return code
}

// outcomes is the table, broken set-ups first, as Markdown.
func outcomes() string {
	table.mu.Lock()
	defer table.mu.Unlock()
	slices.SortFunc(table.rows, func(a, b outcome) int {
		if broken := strings.Compare(kind(a), kind(b)); broken != 0 {
			return broken
		}
		return cmp.Or(strings.Compare(a.want, b.want), strings.Compare(a.name, b.name))
	})
	var b strings.Builder
	right := map[string]int{}
	all := map[string]int{}
	b.WriteString("| set-up | its cause | doctor names first | ms |\n|---|---|---|---|\n")
	for _, r := range table.rows {
		fmt.Fprintf(&b, "| %s | %s | %s | %d |\n", r.name, word(r.want), word(r.got), r.took.Milliseconds())
		all[kind(r)]++
		if r.want == r.got {
			right[kind(r)]++
		}
	}
	fmt.Fprintf(&b, "\n%d of %d broken set-ups named rightly, %d of %d healthy ones without a fault\n",
		right["broken"], all["broken"], right["healthy"], all["healthy"])
	return b.String()
}

func kind(o outcome) string {
	if o.want == "" {
		return "healthy"
	}
	return "broken"
}

func word(cause string) string {
	if cause == "" {
		return "none"
	}
	return "`" + cause + "`"
}
