//go:build unix

package source

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rolecall/internal/creds"
	"rolecall/internal/fakeaws"
)

// Whoever can write the AWS files must not learn SSO tokens by naming another
// host to send them to.
func TestEndpointOfUntrustedFile(t *testing.T) {
	for name, config := range map[string]string{
		"endpoint_url": "[profile x]\nendpoint_url = https://evil.example\nsource_profile = base\nrole_arn = " + fakeaws.RoleDev + "\n",
		"services":     "[profile x]\nservices = s\nsource_profile = base\nrole_arn = " + fakeaws.RoleDev + "\n[services s]\nsts =\n  endpoint_url = https://evil.example\n",
	} {
		t.Run(name, func(t *testing.T) {
			g := newRig(t, fakeaws.Config{})
			delete(g.env, "AWS_ENDPOINT_URL_STS")
			g.add("%s", config)
			path := filepath.Join(g.home, ".aws", "config")
			if _, err := g.r.Resolve("x"); err != nil {
				t.Fatalf("a file of our own: %v", err)
			}
			if err := os.Chmod(path, 0o666); err != nil {
				t.Fatal(err)
			}
			g.fails("x", creds.NotConfigured, "endpoint_url is not followed", path, "chmod")
			g.env["AWS_ENDPOINT_URL_STS"] = g.fake.URL() // goes before the file
			g.must("x")
		})
	}
	g := newRig(t, fakeaws.Config{})
	delete(g.env, "AWS_ENDPOINT_URL_STS")
	g.add("[profile x]\nendpoint_url = %s\nsource_profile = base\nrole_arn = %s\n", g.fake.URL(), fakeaws.RoleDev)
	if err := os.Chmod(filepath.Join(g.home, ".aws", "config"), 0o666); err != nil {
		t.Fatal(err)
	}
	g.must("x") // this machine's own: nothing leaves it
}

// TestSSOReadOnlyCache: a token that cannot be kept is used and told.
func TestSSOReadOnlyCache(t *testing.T) {
	if os.Geteuid() == 0 { // who sees through modes
		asAnotherUser(t)
		return
	}
	g := newRig(t, fakeaws.Config{})
	path := signIn(g, time.Now().Add(-time.Minute), nil)
	if err := os.Chmod(filepath.Dir(path), 0o500); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(filepath.Dir(path), 0o700)
	g.must("sso-dev")
	if len(g.warned) != 1 || !strings.Contains(g.warned[0], "cannot be kept") {
		t.Errorf("warned: %q", g.warned)
	}
}

// asAnotherUser runs the test once more, as a user whom modes bind.
func asAnotherUser(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("setpriv"); err != nil {
		t.Skip("there is no setpriv, and this is root")
	}
	dir, err := os.MkdirTemp("", "source-") // t.TempDir's parents are root's alone
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	program, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{os.WriteFile(filepath.Join(dir, "test"), program, 0o755), os.Mkdir(filepath.Join(dir, "tmp"), 0o700),
		os.Chown(filepath.Join(dir, "tmp"), 65534, 65534), os.Chmod(dir, 0o755)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	c := exec.Command("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--", filepath.Join(dir, "test"), "-test.run=^"+t.Name()+"$", "-test.v")
	c.Env, c.Dir = append(os.Environ(), "TMPDIR="+filepath.Join(dir, "tmp"), "HOME="+filepath.Join(dir, "tmp")), filepath.Join(dir, "tmp")
	if out, err := c.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("%v\n%s", err, out)
	}
}
