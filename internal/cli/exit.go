package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"

	"rolecall/internal/control"
	"rolecall/internal/usererr"
)

// Exit codes. A program run by exec ends with its own; 126 and 127 say, as in a
// shell, that it could not be run or found, and 130 that Ctrl-C ended rolecall.
const (
	exitFine        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitNoDaemon    = 3
	exitLogin       = 4
	exitCannotRun   = 126
	exitNotFound    = 127
	exitInterrupted = 130
)

// failure is an error with all that the user sees of it.
type failure struct {
	code int
	msg  string // lower case, no full stop
	hint string // the next command to type; "" where none helps
	err  error
}

func (f *failure) Error() string { return f.msg }
func (f *failure) Unwrap() error { return f.err }

func failed(msg, hint string) error { return &failure{code: exitFailed, msg: msg, hint: hint} }

// wrongUsage is the error of a command line that makes no sense.
func wrongUsage(msg, hint string) error { return &failure{code: exitUsage, msg: msg, hint: hint} }

// silent ends with a code when all has been said already.
type silent struct{ code int }

func (s silent) Error() string { return fmt.Sprintf("exit code %d", s.code) }

var errInterrupted = &failure{code: exitInterrupted, msg: "interrupted"}

const hintServe = "rolecall serve --load PROFILE"

// exit says on stderr what went wrong, and returns the exit code. It is the
// only place that does.
func exit(ctx context.Context, stderr io.Writer, err error) int {
	var quiet silent
	switch {
	case err == nil:
		return exitFine
	case errors.As(err, &quiet):
		return quiet.code
	}
	f := asFailure(ctx, err)
	fmt.Fprintf(stderr, "rolecall: error: %s\n", visible(f.msg))
	if f.hint != "" {
		fmt.Fprintf(stderr, "hint: %s\n", visible(f.hint))
	}
	return f.code
}

// asFailure maps every error that the rooms below know to text and exit code.
func asFailure(ctx context.Context, err error) *failure {
	var f *failure
	var r *usererr.Error
	var hinted interface{ Hint() string }
	switch {
	case errors.As(err, &f):
		return f
	case errors.Is(err, control.ErrNoDaemon):
		return &failure{code: exitNoDaemon, msg: "no daemon is running", hint: hintServe}
	case ctx.Err() != nil && !errors.Is(context.Cause(ctx), context.DeadlineExceeded):
		return errInterrupted
	case errors.As(err, &r):
		code := exitFailed
		if r.Code == usererr.LoginRequired {
			code = exitLogin
		}
		return &failure{code: code, msg: r.Msg, hint: r.Hint}
	case errors.As(err, &hinted):
		return &failure{code: exitFailed, msg: err.Error(), hint: hinted.Hint()}
	}
	return &failure{code: exitFailed, msg: err.Error()}
}

// visible keeps text that others chose (names, messages of a server) from
// moving the cursor or looking like something else. Line breaks stay.
func visible(s string) string {
	plain := true
	for i := range len(s) {
		plain = plain && (s[i] >= ' ' && s[i] <= '~' || s[i] == '\n')
	}
	if plain {
		return s
	}
	return strings.Map(func(r rune) rune {
		if r != '\n' && (unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) || r == unicode.ReplacementChar) {
			return '?'
		}
		return r
	}, s)
}

// warn says something that does not stop the command.
func (a *app) warn(msg, hint string) {
	fmt.Fprintf(a.stderr, "rolecall: warning: %s\n", visible(msg))
	if hint != "" {
		fmt.Fprintf(a.stderr, "hint: %s\n", visible(hint))
	}
}

// warnOf says that a failure does not stop the command, and what it does.
func (a *app) warnOf(what string, err error) {
	f := asFailure(context.Background(), err)
	a.warn(what+": "+f.msg, f.hint)
}
