//go:build unix

package source

import (
	"os"
	"path/filepath"
	"testing"

	"rolecall/internal/fakeaws"
	"rolecall/internal/usererr"
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
			g.fails("x", usererr.NotConfigured, "endpoint_url is not followed", path, "chmod")
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
