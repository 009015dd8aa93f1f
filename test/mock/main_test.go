// Package mock_test runs unmodified clients against a real `rolecall mock`: boto3
// and the aws CLI under every fault, and the recipes of docs/mock.md.
package mock_test

import (
	"bufio"
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"rolecall/internal/mock"
	"rolecall/test/world"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil { // most of the time is spent waiting
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(world.Main(m.Run))
}

// process is a running `rolecall mock`.
type process struct {
	*mock.Client
	imds, ecs string
}

// started is a mock that ends with its stdin.
func started(t *testing.T, args ...string) (cmd *exec.Cmd, stdin io.Closer, stdout io.ReadCloser, stderr *bytes.Buffer) {
	t.Helper()
	bin, err := world.Binary()
	if err != nil {
		t.Fatal(err)
	}
	cmd = exec.Command(bin, append([]string{"mock", "--exit-with-stdin"}, args...)...)
	cmd.Env = append(world.Surroundings(t.TempDir()), "GORACE=atexit_sleep_ms=0")
	stderr = &bytes.Buffer{}
	cmd.Stderr = stderr
	if stdin, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if stdout, err = cmd.StdoutPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, stdin, stdout, stderr
}

// run starts a mock that ends with the test.
func run(t *testing.T, args ...string) process {
	t.Helper()
	cmd, stdin, stdout, stderr := started(t, args...)
	t.Cleanup(func() {
		_ = stdin.Close()
		kill := time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() })
		defer kill.Stop()
		if err := cmd.Wait(); err != nil || stderr.Len() > 0 {
			t.Errorf("the mock ended with %v: %s", err, stderr)
		}
	})
	r := bufio.NewReader(stdout)
	var p process
	for _, first := range []struct {
		name string
		url  *string
	}{{"imds ", &p.imds}, {"ecs ", &p.ecs}} {
		line, err := r.ReadString('\n')
		url, ok := strings.CutPrefix(strings.TrimSpace(line), first.name)
		if err != nil || !ok {
			t.Fatalf("the first lines: %q, %v", line, err)
		}
		*first.url = url
	}
	go func() { _, _ = io.Copy(io.Discard, r) }()
	client, err := mock.NewClient(p.imds)
	if err != nil {
		t.Fatal(err)
	}
	p.Client = client
	return p
}

const whoami = "arn:aws:sts::123456789012:assumed-role/mock-role/i-0fa4e0fa4e0fa4e0f"

// sts answers whoever signs with temporary credentials.
func sts(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/xml")
		if r.Header.Get("X-Amz-Security-Token") == "" || !strings.Contains(r.Header.Get("Authorization"), "Credential=ASIA") {
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, `<ErrorResponse><Error><Code>Unsigned</Code><Message>no temporary credentials</Message></Error></ErrorResponse>`)
			return
		}
		_, _ = io.WriteString(w, `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>`+
			`<Arn>`+whoami+`</Arn><UserId>AROA:i</UserId><Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// output is what a program says, within a time that no right one needs.
func output(t *testing.T, dir string, env []string, stdin string, argv ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env, cmd.Dir, cmd.WaitDelay = env, dir, 5*time.Second
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	return string(out), err
}
