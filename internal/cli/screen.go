package cli

import (
	"bytes"
	"io"
	"os"
	"runtime"
)

// screen is where the picker reads and draws: stdin, and stderr, or the
// terminal itself where stderr is something else, since stdout is for the
// answer. nil: there is none.
func (a *app) screen() (in *os.File, out io.Writer, done func()) {
	if !terminal(a.stdin) {
		return nil, nil, func() {}
	}
	in = a.stdin.(*os.File)
	if terminal(a.stderr) {
		return in, a.stderr, func() {}
	}
	f, err := os.OpenFile(ttyName, os.O_RDWR, 0)
	if err != nil {
		return nil, nil, func() {}
	}
	return in, f, func() { _ = f.Close() }
}

// rawTerminal is a terminal in raw mode, which moves down at a line feed and
// not to the left as well.
type rawTerminal struct{ f *os.File }

// rawOutput is out for a renderer that has not set the mode itself and so
// writes line feeds for a terminal that is not raw.
func rawOutput(out io.Writer) io.Writer {
	if f, ok := out.(*os.File); ok && runtime.GOOS != "windows" {
		return rawTerminal{f}
	}
	return out
}

func (r rawTerminal) Write(p []byte) (int, error) {
	if _, err := r.f.Write(bytes.ReplaceAll(p, []byte("\n"), []byte("\r\n"))); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (r rawTerminal) Read(p []byte) (int, error) { return r.f.Read(p) }
func (r rawTerminal) Close() error               { return nil } // it is not ours
func (r rawTerminal) Fd() uintptr                { return r.f.Fd() }
