package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os/exec"
	"strings"
	"time"

	"rolecall/internal/doctor"
)

// doctorConfig is what the checks of a program of this user need.
func (a *app) doctorConfig(f *doctorFlags) doctor.Config {
	c := doctor.Config{Offline: f.offline}
	if dirs, err := a.dirs(); err == nil {
		c.Daemon = dirs.Socket
	}
	return c
}

// shell is the program "this shell".
func (a *app) shell(f *doctorFlags) doctor.Program {
	p := doctor.Self("this shell", a.environ(), a.home())
	p.SDK = f.sdk
	return p
}

func (a *app) doctorShell(ctx context.Context, f *doctorFlags) error {
	return a.diagnose(ctx, doctor.Inspect(a.shell(f), a.doctorConfig(f)), f)
}

func (a *app) doctorPID(ctx context.Context, pid int, f *doctorFlags) error {
	if pid <= 0 {
		return wrongUsage("--pid takes the number of a process", "rolecall doctor --pid N")
	}
	p, err := doctor.Process(pid)
	if err != nil {
		return err
	}
	if f.sdk != "" {
		p.SDK = f.sdk
	}
	return a.diagnose(ctx, doctor.Inspect(p, a.doctorConfig(f)), f)
}

// maxSaid is how much of the end of a program's output is explained.
const maxSaid = 64 << 10

// doctorRun runs a program, with its output on stderr, looks at what it (or
// what it runs in turn) has for an environment, and explains what it said.
func (a *app) doctorRun(ctx context.Context, args []string, f *doctorFlags) error {
	said := &tail{max: maxSaid}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env, cmd.Stdin = a.environ(), a.stdin
	out := io.MultiWriter(a.stderr, said)
	cmd.Stdout, cmd.Stderr = out, out // the same writer: one goroutine copies both
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		return failed(fmt.Sprintf("%s cannot be run: %s", quoted(args[0]), plainExec(err)), "rolecall doctor -- CMD ARG...")
	}
	p := a.shell(f)
	p.Name = args[0]
	seen := watchProgram(cmd.Process.Pid, p)
	err := cmd.Wait()
	p = seen()
	if err := ctx.Err(); err != nil {
		return err
	}
	switch {
	case f.sdk != "":
		p.SDK = f.sdk
	case p.SDK == "":
		p.SDK = doctor.SDKOf(args[0])
	}
	// The process is gone, and with it the way to a root or network of its own.
	p.Root, p.NoFiles = "", p.NoFiles || p.Root != ""
	if p.Elsewhere != "" {
		p.Elsewhere = "the program had a network of its own, which is gone"
	}
	how := ""
	var ended *exec.ExitError
	if errors.As(err, &ended) {
		how = strings.Replace(ended.String(), "exit status", "exit code", 1)
	}
	return a.diagnose(ctx, append(doctor.Inspect(p, a.doctorConfig(f)), doctor.Ended(args[0], how, said.String())), f)
}

// watchProgram looks again and again at a running program; the function it
// returns ends that, and gives what was seen last, or p when nothing was.
func watchProgram(pid int, p doctor.Program) func() doctor.Program {
	stop, seen := make(chan struct{}), make(chan doctor.Program)
	go func() {
		pause := 5 * time.Millisecond
		last := p
		for {
			if now, err := doctor.Deepest(pid); err == nil && len(now.Env.Names()) > 0 {
				last = now
			}
			select {
			case <-stop:
				seen <- last
				return
			case <-time.After(pause):
			}
			pause = min(2*pause, 200*time.Millisecond)
		}
	}()
	return func() doctor.Program { close(stop); return <-seen }
}

func plainExec(err error) string {
	if errors.Is(err, exec.ErrNotFound) {
		return "there is no such program"
	}
	var where *fs.PathError
	if errors.As(err, &where) {
		return where.Err.Error()
	}
	return err.Error()
}

// tail keeps the last max bytes of what is written.
type tail struct {
	b   bytes.Buffer
	max int
}

func (t *tail) Write(p []byte) (int, error) {
	t.b.Write(p)
	if over := t.b.Len() - t.max; over > 0 {
		t.b.Next(over)
	}
	return len(p), nil
}

func (t *tail) String() string { return t.b.String() }
