//go:build !windows

package cli

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"
)

// become makes this process the program, which keeps terminal, job control and
// exit code as they are.
func become(_ context.Context, path string, args, env []string) error {
	err := syscall.Exec(path, args, env)
	return &failure{code: exitCannotRun, msg: "the program cannot be run: " + err.Error(), err: err}
}

// takeSignals gives the signals that are for the program. SIGTSTP and SIGCONT
// are not among them: they stop and continue rolecall and program alike.
func takeSignals() (<-chan os.Signal, func()) {
	c := make(chan os.Signal, 16)
	signal.Notify(c, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2)
	return c, func() { signal.Stop(c) }
}

// forwards: what a person types at a terminal has reached the program already,
// as it is of the same process group.
func forwards(s os.Signal) bool {
	typed := s == syscall.SIGINT || s == syscall.SIGQUIT
	return !typed || !term.IsTerminal(int(os.Stdin.Fd()))
}

// signalOf is the number of the signal that ended a process; 0: none did.
func signalOf(s *os.ProcessState) int {
	if w, ok := s.Sys().(syscall.WaitStatus); ok && w.Signaled() {
		return int(w.Signal())
	}
	return 0
}

// hangups gives a value for each SIGHUP.
func hangups() (<-chan struct{}, func()) {
	in := make(chan os.Signal, 1)
	out := make(chan struct{}, 1)
	done := make(chan struct{})
	signal.Notify(in, syscall.SIGHUP)
	go func() {
		for {
			select {
			case <-in:
				select {
				case out <- struct{}{}:
				default: // one is waiting already
				}
			case <-done:
				return
			}
		}
	}()
	return out, func() { signal.Stop(in); close(done) }
}
