package mock_test

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"rolecall/internal/mock"
	"rolecall/test/world"
)

//go:embed testdata/client.py
var pythonClient string

// client is boto3 or the aws CLI of this machine.
type client struct {
	name string
	path string
	cli  bool
}

// clients are those on PATH, and the system's own.
func clients(t *testing.T) (found []client) {
	env := world.Surroundings(t.TempDir())
	seen := map[string]bool{}
	for _, path := range []string{"aws", "/usr/bin/aws", "python3", "/usr/bin/python3"} {
		at, err := exec.LookPath(path)
		if err != nil {
			continue
		}
		real, err := filepath.EvalSymlinks(at)
		if err != nil {
			continue
		}
		c := client{path: at, cli: filepath.Base(path) == "aws"}
		argv := []string{at, "-c", "import boto3; print('boto3', boto3.__version__)"}
		if c.cli {
			argv = []string{at, "--version"}
		}
		out, err := output(t, "", env, "", argv...)
		if c.name = strings.Join(strings.Fields(out)[:min(2, len(strings.Fields(out)))], " "); c.cli {
			c.name, _, _ = strings.Cut(out, " ")
		}
		if err != nil || seen[real+c.name] {
			continue
		}
		seen[real+c.name] = true
		found = append(found, c)
	}
	return found
}

// start returns a function that lets c ask STS who it is, each time as if it had just started.
func (c client) start(t *testing.T, sts string, set map[string]string) func() string {
	t.Helper()
	env := append(world.Surroundings(t.TempDir()), "AWS_REGION=eu-west-1", "AWS_DEFAULT_REGION=eu-west-1", "AWS_MAX_ATTEMPTS=1", "STS="+sts)
	for name, value := range set {
		env = append(env, name+"="+value)
	}
	if c.cli {
		return func() string {
			out, err := output(t, "", env, "", c.path, "sts", "get-caller-identity", "--endpoint-url", sts, "--output", "text", "--query", "Arn")
			if err != nil {
				return "error: " + strings.TrimSpace(out)
			}
			return strings.TrimSpace(out)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	cmd := exec.CommandContext(ctx, c.path, "-c", pythonClient)
	cmd.Env = env
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
		cancel()
	})
	d := json.NewDecoder(out)
	return func() string {
		var answer struct{ ARN, Error string }
		_, err := io.WriteString(in, "\n")
		if err = errors.Join(err, d.Decode(&answer)); err != nil {
			t.Fatal(err)
		}
		if answer.Error != "" {
			return "error: " + answer.Error
		}
		return answer.ARN
	}
}

// Every fault, with each client, both ways.
func TestEveryFaultWithRealClients(t *testing.T) {
	all := clients(t)
	for _, cli := range []bool{true, false} {
		if !slices.ContainsFunc(all, func(c client) bool { return c.cli == cli }) {
			t.Run(map[bool]string{true: "aws CLI", false: "boto3"}[cli], func(t *testing.T) { t.Skip("it is not installed here") })
		}
	}
	full := false
	for _, c := range all {
		every := 1
		if c.cli && full { // half a second of work for each: a second aws CLI is tried with every fourth
			every = 4
		}
		full = full || c.cli
		for _, way := range []string{mock.OnIMDS, mock.OnECS} {
			t.Run(c.name+" "+way, func(t *testing.T) {
				t.Parallel()
				p, to := run(t, "--seed", "1"), sts(t)
				set := map[string]string{"AWS_EC2_METADATA_DISABLED": "false", "AWS_EC2_METADATA_SERVICE_ENDPOINT": p.imds + "/"} // aws CLI 2.9 needs the slash
				if way == mock.OnECS {
					set = map[string]string{"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONTAINER_CREDENTIALS_FULL_URI": p.ecs}
				}
				who := c.start(t, to, set)
				for i, o := range outcomes() {
					if i%every != 0 {
						continue
					}
					want, requests := o.imds, o.imdsRequests
					if way == mock.OnECS {
						want, requests = o.ecs, o.ecsRequests
					}
					if want == "" { // the fault is not of that endpoint
						continue
					}
					if _, err := p.Clear(t.Context()); err != nil {
						t.Fatal(err)
					}
					if len(o.faults) > 0 {
						if _, err := p.Set(t.Context(), o.faults, false); err != nil {
							t.Fatal(err)
						}
					}
					got := who()
					s, err := p.Status(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					asked := fmt.Sprintf("%d", s.Requests["container:credentials"])
					if way == mock.OnIMDS {
						asked = fmt.Sprintf("%d %d %d", s.Requests["imds:token"], s.Requests["imds:list"], s.Requests["imds:credentials"])
					}
					fine := got == whoami
					if fine != (want == good) || !fine && !regexp.MustCompile(want).MatchString(got) || asked != requests {
						t.Errorf("%q: %s after %s requests; want %s after %s", o.faults, got, asked, want, requests)
					}
				}
			})
		}
	}
}
