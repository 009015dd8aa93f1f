package clients_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// answer is a line of a client: who it is, or why it could not say.
type answer struct {
	ARN   string `json:"arn"`
	Error string `json:"error"`
}

// command is the program with an environment of serving.program or World.Environ.
func (s sdk) command(ctx context.Context, env []string) *exec.Cmd {
	argv := s.argv
	if s.cli && s.noEndpoint {
		for _, e := range env {
			if url, found := strings.CutPrefix(e, "AWS_ENDPOINT_URL_STS="); found {
				argv = append(append([]string{}, argv...), "--endpoint-url", url)
			}
		}
	}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(append([]string{}, env...), s.env...)
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// identity is who the program is, started anew, or why it cannot say.
func (s sdk) identity(t *testing.T, env []string) answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	defer cancel()
	return identityOf(t, s.command(ctx, env))
}

func identityOf(t *testing.T, cmd *exec.Cmd) answer {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdin = strings.NewReader("\n")
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return answer{Error: fmt.Sprintf("%v: %s", err, &stderr)}
	}
	var a answer // encoding/json also takes the CLI's "Arn" for it
	if err := json.Unmarshal(stdout.Bytes(), &a); err != nil {
		t.Fatalf("it said %q, and %q", &stdout, &stderr)
	}
	return a
}

// conversation is a client that stays and answers for every line.
type conversation struct {
	in  io.Writer
	out chan answer
}

// converse starts a client that lives until the test ends.
func (s sdk) converse(t *testing.T, env []string) *conversation {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := s.command(ctx, env)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr := &bytes.Buffer{}
	cmd.Stderr = stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := &conversation{in, make(chan answer)}
	go func() {
		defer close(c.out)
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			var a answer
			if err := json.Unmarshal(lines.Bytes(), &a); err != nil {
				a.Error = "it said " + lines.Text()
			}
			select {
			case c.out <- a:
			case <-ctx.Done():
				return
			}
		}
	}()
	t.Cleanup(func() {
		_ = in.Close()
		cancel()
		_ = cmd.Wait() // it was killed, unless it went by itself
		if t.Failed() {
			t.Logf("%s on stderr: %s", s.name, stderr) // complete: Wait has returned
		}
	})
	return c
}

func (c *conversation) ask() answer {
	if _, err := io.WriteString(c.in, "\n"); err != nil {
		return answer{Error: err.Error()}
	}
	select {
	case a, ok := <-c.out:
		if !ok {
			a.Error = "the client has ended"
		}
		return a
	case <-time.After(30 * time.Second):
		return answer{Error: "no answer within 30 s"}
	}
}
