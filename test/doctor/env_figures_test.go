package diagnosis

import (
	"os"
	"path/filepath"
	"testing"

	"rolecall/internal/fakeaws"
	"rolecall/test/world"
)

// With everything unreachable (each server accepts and never answers) every run
// of doctor ends within 3 s, and finds that out.
func TestEverythingUnreachable(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args []string
		want string
	}{
		{nil, "container.timeout"}, {[]string{"ecs"}, "container.timeout"}, {[]string{"imds"}, "imds.timeout"},
		{[]string{"profile", "dev"}, "profile.unreachable"}, {[]string{"profile", "sso-dev"}, "profile.unreachable"},
	} {
		s := &Site{World: world.New(t, fakeaws.Config{}), T: t, Args: tt.args}
		if err := os.MkdirAll(s.World.Dir(), 0o700); err != nil {
			t.Fatal(err)
		}
		world.Silent(t, "unix", filepath.Join(s.World.Dir(), "control.sock"))
		out := "http://" + world.Silent(t, "tcp", "127.0.0.1:0")
		s.Env = s.Environ(uri+out+"/creds", "AWS_EC2_METADATA_SERVICE_ENDPOINT="+out, "AWS_EC2_METADATA_DISABLED=false",
			"AWS_ENDPOINT_URL_STS="+out, "AWS_ENDPOINT_URL_SSO="+out, "AWS_ENDPOINT_URL_SSO_OIDC="+out)
		a := s.Diagnose()
		if a.Cause != tt.want {
			t.Errorf("%v: %q, want %q: %s", tt.args, a.Cause, tt.want, a.Stdout)
		}
		t.Logf("doctor %v: all checks in %.2f s, the process in %s", tt.args, a.Seconds, a.Took)
	}
}
