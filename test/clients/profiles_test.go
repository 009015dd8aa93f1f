package clients_test

import (
	"os/exec"
	"strings"
	"testing"

	"rolecall/internal/fakeaws"
	"rolecall/test/world"
)

// TestProfilesWritten: the aws CLI reads the profiles that rolecall writes, and
// gets credentials with them and the token that is cached.
func TestProfilesWritten(t *testing.T) {
	w := world.New(t, fakeaws.Config{})
	w.AWS.AddSSOAccount(fakeaws.SSOAccount{ID: "222222222222", Name: "Größe [eu] \"x\" #1", Roles: []string{"Read@Only+x"}})
	bin, err := world.Binary()
	if err != nil {
		t.Fatal(err)
	}
	write := exec.Command(bin, "profiles", "write", "--yes")
	write.Env = w.Environ()
	if out, err := write.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	names := []string{"Development:Developer", "Development:ReadOnly", "Größe--eu---x---1:Read@Only+x"}
	each(t, findAll("aws CLI", "aws", awsCLI), func(t *testing.T, s sdk) {
		env := append(w.Environ("PYTHONUTF8=1", "LANG=C.UTF-8"), s.env...)
		for _, name := range names {
			_, role, _ := strings.Cut(name, ":")
			if out, err := output(env, s.argv[0], "configure", "get", "sso_role_name", "--profile", name); err != nil || strings.TrimSpace(out) != role {
				t.Errorf("%s: sso_role_name is %q, %v", name, out, err)
			}
			if s.noEndpoint { // SSO's URL cannot be told to it
				continue
			}
			args := append(append([]string{}, s.argv...), "--profile", name)
			out, err := output(env, args...)
			if err != nil || !strings.Contains(out, role) {
				t.Errorf("%s: %v\n%s", name, err, out)
			}
		}
	})
}
