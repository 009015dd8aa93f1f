package clients_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"rolecall/internal/fakeaws"
	"rolecall/test/world"
)

// stale is what a user's shell may have from before, and which would win over
// the daemon were it left standing.
func stale() []string {
	return []string{"AWS_PROFILE=base", "AWS_ACCESS_KEY_ID=AKIASTALE00000000000", "AWS_SECRET_ACCESS_KEY=stale", "AWS_SESSION_TOKEN=stale",
		"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/stale", "AWS_CONTAINER_AUTHORIZATION_TOKEN=stale"}
}

// typed is the environment of a shell whose PATH has rolecall, and that aws CLI.
func (w serving) typed(t *testing.T, cli sdk) []string {
	t.Helper()
	dir := t.TempDir()
	script := fmt.Sprintf("#!/bin/sh\nexec '%s' \"$@\"", cli.argv[0])
	if cli.noEndpoint {
		script += ` --endpoint-url "$AWS_ENDPOINT_URL_STS"`
	}
	// Written by another program: one that this program has open for writing
	// cannot be run by a child, and neither while another child that starts
	// just now has inherited the file.
	write := exec.Command("sh", "-c", `cat >"$0" && chmod 755 "$0"`, filepath.Join(dir, "aws"))
	write.Stdin = strings.NewReader(script + "\n")
	if out, err := write.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := os.Symlink(binary(t), filepath.Join(dir, "rolecall")); err != nil {
		t.Fatal(err)
	}
	return w.Environ(append(stale(), "PATH="+dir+string(filepath.ListSeparator)+os.Getenv("PATH"), "AWS_DEFAULT_OUTPUT=json")...)
}

// The lines of the README, as they stand there, in every shell and with every
// aws CLI that is here.
func TestTypedInAShell(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("these lines are for Unix shells")
	}
	w := serve(t, fakeaws.Config{}, "--load", "dev", "--slot", "prod=profile:prod")
	const (
		eval = `eval "$(rolecall env)"; aws sts get-caller-identity`
		fish = `rolecall env --format fish | source; aws sts get-caller-identity`
	)
	lines := []struct{ shell, line, role string }{
		{"sh", eval, fakeaws.RoleDev},
		{"sh", `rolecall exec staging -- aws sts get-caller-identity`, fakeaws.RoleStaging},
		// From here on it makes no difference which aws CLI it is.
		{"bash", eval, fakeaws.RoleDev},
		{"zsh", eval, fakeaws.RoleDev},
		{"fish", fish, fakeaws.RoleDev},
		{"sh", `eval "$(rolecall env --slot prod)"; aws sts get-caller-identity`, fakeaws.RoleProd},
		{"sh", `rolecall exec --slot prod -- aws sts get-caller-identity`, fakeaws.RoleProd},
		{"sh", `rolecall exec -- aws sts get-caller-identity`, fakeaws.RoleDev},
	}
	n := 0
	for _, cli := range sdks() {
		if !cli.cli || cli.missing != "" {
			continue
		}
		if n++; n == 2 {
			lines = lines[:2]
		}
		for _, l := range lines {
			t.Run(cli.name+"/"+l.shell+" "+l.line, func(t *testing.T) {
				if cli.noTokenFile {
					needPeers(t)
				}
				w.mustBeTyped(t, cli, l.shell, l.line, l.role)
			})
		}
	}
	if n == 0 {
		t.Skip("there is no aws CLI")
	}
}

func (w serving) mustBeTyped(t *testing.T, cli sdk, shell, line, role string) {
	t.Helper()
	path, err := exec.LookPath(shell)
	if err != nil {
		t.Skipf("there is no %s", shell)
	}
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "-c", line)
	cmd.Env = w.typed(t, cli)
	if a := identityOf(t, cmd); a.Error != "" || !strings.HasPrefix(a.ARN, roleSession(role)) {
		t.Errorf("acts as %q, want %s…: %s", a.ARN, roleSession(role), a.Error)
	}
}

// Without a daemon, exec serves for the life of the program, any program.
func TestExecWithoutADaemon(t *testing.T) {
	t.Parallel()
	w := world.New(t, fakeaws.Config{})
	rolecall := binary(t)
	eachSDK(t, func(t *testing.T, s sdk) {
		s.argv = append([]string{rolecall, "exec", "chained", "--"}, s.argv...)
		s.mustBe(t, fakeaws.RoleChained, w.Environ(stale()...))
	})
	if _, err := os.Stat(filepath.Join(w.Dir(), "control.sock")); err == nil {
		t.Error("a control socket was left behind")
	}
}
