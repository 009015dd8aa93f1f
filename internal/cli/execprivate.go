package cli

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"strings"

	"rolecall/internal/config"
	"rolecall/internal/daemon"
	"rolecall/internal/source"
)

// execPrivate runs a program beside a daemon of its own, which ends with it.
func (a *app) execPrivate(ctx context.Context, o execOptions, path string) error {
	here := a.resolver()
	s, err := here.Resolve(o.source)
	if err != nil {
		return err
	}
	kept := here.Sessions()
	if len(s.Devices) > 0 {
		// A code is asked for before the program has the terminal.
		if err := a.withCodes(ctx, mfaOptions{}, giveHere(here, o.source, false), func() error {
			_, err := s.Provider.Retrieve(ctx)
			return err
		}); err != nil {
			return err
		}
	}
	// The program decides when to end: signals go to it, and the daemon stays
	// until it has.
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	ready := make(chan daemon.Ready, 1)
	ended := make(chan error, 1)
	go func() { ended <- daemon.Run(serving, a.privateDaemon(o.source, kept, ready)) }()
	defer func() { stop(); <-ended }()
	var r daemon.Ready
	select {
	case r = <-ready:
	case err := <-ended:
		ended <- nil // for the deferred wait
		if err == nil {
			err = errors.New("the server of the program ended at once")
		}
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
	h := handout{URL: strings.TrimSuffix(r.URLs[0], "/") + pathOf("", ""), Token: r.AuthorizationToken, Region: s.Region, NoFiles: o.noFiles}
	if err := a.mustAnswer(ctx, h.URL, r.AuthorizationToken); err != nil {
		return err
	}
	a.warnOfDefault(h)
	a.remember(s.Profile)
	cmd := exec.Command(path, o.command[1:]...)
	cmd.Args[0] = o.command[0]
	cmd.Env = h.environ(a.environ())
	cmd.Stdin, cmd.Stdout, cmd.Stderr = a.stdin, a.stdout, a.stderr
	return runChild(cmd)
}

// privateDaemon serves one source to whoever has the token of ready.
func (a *app) privateDaemon(text string, kept source.Sessions, ready chan<- daemon.Ready) daemon.Config {
	return daemon.Config{
		Settings: func() (config.Config, error) {
			c := config.Default()
			addr, err := config.ParseListen("127.0.0.1:0")
			if err != nil {
				return c, err
			}
			c.Listen = []config.ListenAddr{addr}
			c.Load = text
			c.Auth.Mode = config.AuthToken
			c.Log.Level = slog.LevelError
			return c, c.Check()
		},
		Getenv: a.getenv, Environ: a.environ, Home: a.home(), SSOSessions: a.ssoSessionsFile(),
		Stderr: a.stderr, Terminal: terminal(a.stderr),
		Ready:    func(r daemon.Ready) { ready <- r },
		Version:  a.version.Version,
		Private:  true,
		Sessions: kept,
	}
}

// runChild runs the program to its end and gives its exit code.
func runChild(cmd *exec.Cmd) error {
	signals, restore := takeSignals()
	defer restore()
	if err := cmd.Start(); err != nil {
		return &failure{code: exitCannotRun, msg: "the program cannot be started: " + err.Error(), err: err}
	}
	done := make(chan struct{})
	go func() {
		for {
			select {
			case s := <-signals:
				if forwards(s) {
					_ = cmd.Process.Signal(s) // it may have ended just now
				}
			case <-done:
				return
			}
		}
	}()
	err := cmd.Wait()
	close(done)
	var e *exec.ExitError
	if errors.As(err, &e) {
		return silent{exitCode(e.ProcessState)}
	}
	return err
}

// exitCode of a program as a shell gives it.
func exitCode(s *os.ProcessState) int {
	if n := signalOf(s); n > 0 {
		return 128 + n
	}
	if c := s.ExitCode(); c >= 0 {
		return c
	}
	return exitFailed
}
