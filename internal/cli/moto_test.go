package cli

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// Scripts against moto, somebody else's idea of AWS, where it is installed
// (`pip install 'moto[server]'`).
func TestMotoScripts(t *testing.T) {
	t.Parallel()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("there is no python3")
	}
	if err := exec.CommandContext(t.Context(), python, "-c", "import moto.server, flask, boto3").Run(); err != nil {
		t.Skip("moto's server is not installed: pip install 'moto[server]'")
	}
	url := startMoto(t, python)
	testscript.Run(t, testscript.Params{
		Dir: "testdata/moto",
		Setup: func(e *testscript.Env) error {
			for name, value := range map[string]string{"AWS_ENDPOINT_URL": url, "AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-1",
				"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret"} {
				e.Setenv(name, value)
			}
			return ownHome(e)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exit": cmdExit, "envfile": cmdEnvFile},
	})
}

// envfile FILE: its NAME=VALUE lines.
func cmdEnvFile(ts *testscript.TestScript, neg bool, args []string) {
	for _, line := range strings.Fields(ts.ReadFile(args[0])) {
		name, value, _ := strings.Cut(line, "=")
		ts.Setenv(name, value)
	}
}

// startMoto starts moto at a free port of loopback and answers its URL.
func startMoto(t *testing.T, python string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), python, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0")
	cmd.Env = append(os.Environ(), "MOTO_IAM_LOAD_MANAGED_POLICIES=true", "PYTHONUNBUFFERED=1", "AWS_EC2_METADATA_DISABLED=true", "HOME="+t.TempDir())
	out, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("moto does not start: %v", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // ours, by its id
		_ = cmd.Wait()
	})
	found := make(chan string, 1)
	go func() {
		address := regexp.MustCompile(`http://127\.0\.0\.1:\d+`)
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if url := address.FindString(lines.Text()); url != "" {
				select {
				case found <- url:
				default:
				}
			}
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	select {
	case url := <-found:
		return url
	case <-ctx.Done():
		t.Fatal("moto did not start within two minutes")
	}
	return ""
}
