package cli

import (
	"context"
	"os"
	"os/exec"
	"os/signal"
)

// become runs the program to its end: Windows cannot replace a process.
func become(_ context.Context, path string, args, env []string) error {
	cmd := exec.Command(path, args[1:]...)
	cmd.Args[0] = args[0]
	cmd.Env = env
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	return runChild(cmd)
}

// takeSignals keeps Ctrl-C from ending rolecall before the program, which the
// console tells itself.
func takeSignals() (<-chan os.Signal, func()) {
	c := make(chan os.Signal, 16)
	signal.Notify(c, os.Interrupt)
	return c, func() { signal.Stop(c) }
}

func forwards(os.Signal) bool { return false }

func signalOf(*os.ProcessState) int { return 0 }

// hangups: Windows has no SIGHUP; `rolecall reload` does the same.
func hangups() (<-chan struct{}, func()) { return nil, func() {} }
