//go:build unix

package attack_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rolecall/internal/fakeaws"
	"rolecall/test/world"
)

// program writes a credential_process that notes its environment and arguments.
func program(t *testing.T, w *world.World) (path, notes string) {
	t.Helper()
	path, notes = filepath.Join(w.Home, "get-credentials"), filepath.Join(w.Home, "notes")
	text := fmt.Sprintf(`#!/bin/sh
{ env; cat /proc/$$/cmdline | tr '\0' '\n'; } >>%s
echo '{"Version":1,"AccessKeyId":"AKIAFAKEPROGRAM0","SecretAccessKey":"s"}'
`, notes)
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path, notes
}

func add(t *testing.T, w *world.World, format string, args ...any) (path string) {
	t.Helper()
	path = filepath.Join(w.Home, ".aws", "config")
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if _, err := fmt.Fprintf(f, "\n"+format+"\n", args...); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCredentialProcessOfOthersIsNotRun(t *testing.T) {
	type change func(path string) error
	chmod := func(mode os.FileMode) change { return func(path string) error { return os.Chmod(path, mode) } }
	for name, hostile := range map[string]change{
		"others may write": chmod(0o602), "the group may write": chmod(0o620), "all may write": chmod(0o666), "all may do everything": chmod(0o777),
		"another user's": func(path string) error { return os.Chown(path, nobody, nobody) },
		"a link to another user's": func(path string) error {
			if err := os.Rename(path, path+".real"); err != nil {
				return err
			}
			if err := os.Chown(path+".real", nobody, nobody); err != nil {
				return err
			}
			return os.Symlink(path+".real", path)
		},
	} {
		t.Run(name, func(t *testing.T) {
			if os.Geteuid() != 0 && strings.Contains(name, "another user") {
				t.Skip("only root can give files away")
			}
			w := world.New(t, fakeaws.Config{})
			path, notes := program(t, w)
			config := add(t, w, "[profile hostile]\ncredential_process = %s", path)
			if err := hostile(config); err != nil {
				t.Fatal(err)
			}
			d := w.Serve()
			for _, path := range []string{"/source/profile:hostile", "/source/hostile"} {
				if status, answer, err := d.Get(path); err != nil || status != 404 || !strings.Contains(fmt.Sprint(answer["message"]), "credential_process is not run") {
					t.Errorf("%s: %d %v %v", path, status, answer, err)
				}
			}
			if _, err := os.Stat(notes); err == nil {
				t.Error("it was run")
			}
		})
	}
}

// What a child gets: its words, and nothing of rolecall's own. No shell reads
// them.
func TestChildOfCredentialProcess(t *testing.T) {
	w := world.New(t, fakeaws.Config{})
	path, notes := program(t, w)
	touched := filepath.Join(w.Home, "touched")
	add(t, w, "[profile p]\ncredential_process = %s --a \"b c\" $(touch %s) `touch %s` && touch %s | touch %s > %s", path, touched, touched, touched, touched, touched)
	d := w.ServeWith(world.Options{Env: []string{"ROLECALL_LOG=CANARYone", "rolecall_x=CANARYtwo", "AWS_CONTAINER_AUTHORIZATION_TOKEN=CANARYthree", "KEPT=yes"}}, "--load", "dev", "--slot", "p=p")
	works(t, d)
	filled(t, d, "p")
	text, err := os.ReadFile(notes)
	if err != nil || !strings.Contains(string(text), "KEPT=yes") {
		t.Fatalf("%q %v", text, err)
	}
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, "CANARY") || len(w.Leaks(line)) > 0 || strings.HasPrefix(strings.ToUpper(line), "ROLECALL_") {
			name, _, _ := strings.Cut(line, "=")
			t.Errorf("the child got what is rolecall's own: %s", name)
		}
	}
	if !strings.Contains(string(text), "\nb c\n$(touch\n") {
		t.Errorf("the child's words: %q", text)
	}
	if _, err := os.Stat(touched); err == nil {
		t.Error("a shell read the words")
	}
}

func TestHostileEndpoints(t *testing.T) {
	w := world.New(t, fakeaws.Config{})
	plain := w.AWS.URL()
	role := "source_profile = base\nrole_arn = " + fakeaws.RoleDev
	endpoints := map[string]string{"evil": "http://evil.example", "address": "http://192.0.2.1:80", "name": "http://localhost.evil.example", "user": "https://user:pass@127.0.0.1", "scheme": "ftp://127.0.0.1", "file": "file:///etc/passwd", "gopher": "gopher://127.0.0.1:1"}
	for name, url := range endpoints {
		add(t, w, "[profile %s]\n%s\nendpoint_url = %s", name, role, url)
		add(t, w, "[profile services-%s]\n%s\nservices = s-%s\n[services s-%s]\nsts =\n  endpoint_url = %s", name, role, name, name, url)
	}
	add(t, w, "[profile fine]\n%s\nendpoint_url = %s", role, plain)
	d := w.ServeWith(world.Options{Env: []string{"AWS_ENDPOINT_URL_STS="}})
	for name := range endpoints {
		for _, profile := range []string{name, "services-" + name} {
			status, answer, err := d.Get("/source/profile:" + profile)
			if err != nil || status != 404 || answer["Code"] != "not_configured" {
				t.Errorf("%s: %d %v %v", profile, status, answer, err)
			}
			if strings.Contains(fmt.Sprint(answer), "pass@") {
				t.Errorf("%s: the answer has the password of the URL", profile)
			}
		}
	}
	if status, answer, err := d.Get("/source/profile:fine"); err != nil || status != 200 {
		t.Errorf("an endpoint on this machine: %d %v %v", status, answer, err)
	}
}
