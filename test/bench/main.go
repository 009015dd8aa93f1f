// Command bench measures rolecall beside a baseline in the same run and writes
// the figures as a page: go run ./test/bench [-out FILE] [-rounds N] [-only WORD].
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// bench is one run.
type bench struct {
	dir     string // for binaries, homes and logs; removed at the end
	self    string // this program, which is also the baseline
	binary  string // rolecall as it is shipped
	rounds  int
	burst   time.Duration // of load in one round
	figures []figure
}

// figure is one line of the page.
type figure struct {
	what, reach, got, spread, baseline string
	missed                             bool
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "bare" {
		exit(bare())
	}
	out := flag.String("out", "", "write the page to this file as well")
	rounds := flag.Int("rounds", 7, "rounds of each measurement; at least five")
	burst := flag.Duration("burst", 2*time.Second, "load in one round")
	only := flag.String("only", "", "only measurements whose name has this word")
	flag.Parse()
	exit(run(*out, *only, *rounds, *burst))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func run(out, only string, rounds int, burst time.Duration) error {
	dir, err := os.MkdirTemp("", "rolecall-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{dir: dir, rounds: max(5, rounds), burst: burst, binary: filepath.Join(dir, "rolecall")}
	if b.self, err = os.Executable(); err != nil {
		return err
	}
	if err := b.build(b.binary, "rolecall"); err != nil {
		return err
	}
	for _, m := range []struct {
		name string
		f    func() error
	}{
		{"warm", func() error { return b.warm(false) }},
		{"fresh", func() error { return b.warm(true) }},
		{"imds", func() error { return b.imds(false) }},
		{"imds-fresh", func() error { return b.imds(true) }},
		{"allocations", b.allocations},
		{"cold", b.cold},
		{"memory", b.memory},
		{"start", b.start},
		{"metadata", b.metadata},
		{"stored", b.stored},
		{"process", b.process},
		{"herd", b.herd},
		{"daemons", b.daemons},
		{"machines", b.machines},
		{"policy", b.policy},
		{"roles", b.roles},
	} {
		if !strings.Contains(m.name, only) {
			continue
		}
		if err := m.f(); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
	}
	page := b.page()
	fmt.Println(page)
	if out == "" {
		return nil
	}
	return os.WriteFile(out, []byte(page), 0o644)
}

// build makes a program as it is installed: copied, its file written once from
// beginning to end. The linker's own file is in pieces in the page cache for as
// long as it stays there, which costs each start of a large program a
// millisecond that no installed one has.
func (b *bench) build(to, what string) error {
	linked := to + ".linked"
	c := exec.Command("go", "build", "-trimpath", "-o", linked, what)
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s: %w\n%s", what, err, text)
	}
	if text, err := exec.Command("cp", linked, to).CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, text)
	}
	return os.Remove(linked)
}

// add notes a figure and prints it at once.
func (b *bench) add(f figure) {
	b.figures = append(b.figures, f)
	mark := "ok"
	if f.missed {
		mark = "MISSED"
	}
	fmt.Printf("%-7s %s: %s (to reach %s) %s\n", mark, f.what, f.got, f.reach, f.spread)
}

// home makes a user with nothing but rolecall.
func (b *bench) home() (env []string, dir string, err error) {
	dir, err = os.MkdirTemp(b.dir, "h")
	if err != nil {
		return nil, "", err
	}
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "AWS_") && !strings.HasPrefix(kv, "ROLECALL_") && !strings.HasPrefix(kv, "XDG_") {
			env = append(env, kv)
		}
	}
	return append(env, "HOME="+dir, "ROLECALL_DIR="+dir, "AWS_EC2_METADATA_DISABLED=true"), dir, nil
}

// rolecall starts a daemon of that user's.
func (b *bench) rolecall(env []string, dir string, args ...string) (*server, error) {
	return startServer(env, dir, b.binary, append([]string{"serve", "--listen", "127.0.0.1:0", "--log-format", "json"}, args...)...)
}
