package cli

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"
)

// mocked is a `rolecall mock` behind a script.
type mocked struct {
	cmd    *exec.Cmd
	stdin  io.Closer
	out    bytes.Buffer // stdout after the first two lines
	errs   bytes.Buffer
	ending chan error // stdout has been read to its end
}

type mockKey struct{}

// mockup [ARG]...: `rolecall mock` in the background; sets $IMDS and $ECS.
func cmdMockUp(ts *testscript.TestScript, neg bool, args []string) {
	m := &mocked{cmd: command(ts, "rolecall", append([]string{"mock"}, args...)...), ending: make(chan error, 1)}
	m.cmd.Stderr = &m.errs
	stdin, err := m.cmd.StdinPipe()
	ts.Check(err)
	stdout, err := m.cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(m.cmd.Start())
	m.stdin = stdin
	ts.Defer(func() { _ = m.cmd.Process.Kill() })
	r := bufio.NewReader(stdout)
	for _, name := range []string{"imds", "ecs"} {
		line, err := r.ReadString('\n')
		url, ok := strings.CutPrefix(line, name+" ")
		if err != nil || !ok || !strings.HasPrefix(url, "http://") {
			_ = m.cmd.Wait()
			ts.Fatalf("the line for %s is %q\n%s", name, line, &m.errs)
		}
		ts.Setenv(strings.ToUpper(name), strings.TrimSuffix(url, "\n"))
	}
	go func() {
		_, err := io.Copy(&m.out, r)
		m.ending <- err
	}()
	*ts.Value(mockKey{}).(**mocked) = m
}

// mockend TERM|INT|stdin: ends the mock, with exit code 0; its lines are in mock.out.
func cmdMockEnd(ts *testscript.TestScript, neg bool, args []string) {
	m := *ts.Value(mockKey{}).(**mocked)
	switch args[0] {
	case "TERM":
		ts.Check(m.cmd.Process.Signal(syscall.SIGTERM))
	case "INT":
		ts.Check(m.cmd.Process.Signal(os.Interrupt))
	default:
		ts.Check(m.stdin.Close())
	}
	ts.Check(<-m.ending)
	err := m.cmd.Wait()
	ts.Check(os.WriteFile(ts.MkAbs("mock.out"), m.out.Bytes(), 0o600))
	if err != nil || m.errs.Len() > 0 {
		ts.Fatalf("mock: %v\n%s", err, &m.errs)
	}
}
