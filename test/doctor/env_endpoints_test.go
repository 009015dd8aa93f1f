package diagnosis

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"rolecall/internal/fakeaws"
	"rolecall/test/world"
)

// imds sets the fake's metadata service up to be asked by `doctor imds`.
func imds(s *Site, faults ...fakeaws.Fault) {
	s.AWS.Script(faults...)
	s.Set("AWS_EC2_METADATA_SERVICE_ENDPOINT="+s.AWS.URL(), "AWS_EC2_METADATA_DISABLED=false")
	s.Args = []string{"imds"}
}

// profile adds to the user's config and asks about one profile.
func profile(s *Site, name, more string) {
	path := filepath.Join(s.Home, ".aws", "config")
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.T.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if _, err := fmt.Fprint(f, "\n"+more); err != nil {
		s.T.Fatal(err)
	}
	s.Env = s.Environ("NO_COLOR=1")
	s.Args = []string{"profile", name}
}

// daemon serves a source with the real daemon, and gives the program its URL.
func daemon(s *Site, path string, args ...string) *world.Daemon {
	d := s.Serve(args...)
	s.Set(uri+d.URL+path, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE="+s.TokenFile())
	return d
}

func TestBrokenEndpoints(t *testing.T) {
	t.Parallel()
	for _, c := range []Case{
		{"a container behind a hop limit of 1", "imds.hop-limit", func(s *Site) { imds(s, fakeaws.Fault{Match: "imds:token", Hang: true}) }},
		{"an instance without a role", "imds.no-role", func(s *Site) { s.AWS.SetInstanceRole(""); imds(s) }},
		{"a metadata service that throttles", "imds.throttled", func(s *Site) { imds(s, fakeaws.Fault{Match: "imds:*", Status: 429}) }},
		{"a metadata service that is switched off", "imds.off", func(s *Site) { imds(s, fakeaws.Fault{Match: "imds:*", Status: 403}) }},
		{"a role that EC2 may not assume", "imds.role-refused", func(s *Site) {
			imds(s, fakeaws.Fault{Match: "imds:credentials", Code: "AssumeRoleUnauthorizedAccess"})
		}},
		{"a metadata endpoint where nobody listens", "imds.refused", func(s *Site) {
			s.Set("AWS_EC2_METADATA_SERVICE_ENDPOINT="+nobody(s), "AWS_EC2_METADATA_DISABLED=false")
		}},
		{"an emulator with keys of ten minutes", "imds.short-life", func(s *Site) {
			imds(s, fakeaws.Fault{Match: "imds:credentials", Lifetime: 10 * time.Minute})
		}},
		{"a clock that is an hour ahead", "clock.skew", func(s *Site) {
			late, err := fakeaws.Start(fakeaws.Config{Canary: world.Canary, Lifetime: 12 * time.Hour, Now: func() time.Time { return time.Now().Add(-time.Hour) }})
			if err != nil {
				s.T.Fatal(err)
			}
			s.T.Cleanup(func() { _ = late.Close() })
			s.Set("AWS_EC2_METADATA_SERVICE_ENDPOINT="+late.URL(), "AWS_EC2_METADATA_DISABLED=false")
		}},
		{"doctor ecs where nothing is set", "container.not-set", func(s *Site) { s.Args = []string{"ecs"} }},
		{"rolecall with a profile that needs a login", "daemon.login-required", func(s *Site) {
			s.Write(".aws/config", "[profile gone]\nregion = eu-west-1\nsso_start_url = https://example.invalid/start\nsso_region = eu-west-1\nsso_account_id = 111111111111\nsso_role_name = Developer\n", 0o600)
			daemon(s, "/creds")
			if rolecall(s, "load", "gone") == nil {
				s.T.Fatal("the load worked")
			}
		}},
		{"rolecall with an empty slot", "daemon.slot-empty", func(s *Site) { daemon(s, "/slot/prod", "--load", "dev") }},
		{"rolecall with a role that is denied since", "daemon.slot-failing", func(s *Site) {
			s.Write("rolecall/config.toml", "store = \"memory\"\n", 0o600) // a store would have an answer
			daemon(s, "/creds", "--load", "prod")
			s.AWS.AddRole(fakeaws.RoleProd, fakeaws.RoleConfig{Denied: true})
			if rolecall(s, "refresh") == nil {
				s.T.Fatal("the refresh worked")
			}
		}},
	} {
		Try(t, c)
	}
}

func TestBrokenProfiles(t *testing.T) {
	t.Parallel()
	const role = "role_arn = arn:aws:iam::111111111111:role/dev\n"
	for _, c := range []Case{
		{"a slip in the profile's name", "profile.missing", func(s *Site) { profile(s, "devv", "") }},
		{"a source_profile that is not there", "profile.source-missing", func(s *Site) { profile(s, "x", "[profile x]\n"+role+"source_profile = bsae\n") }},
		{"profiles that go round in a loop", "profile.loop", func(s *Site) {
			profile(s, "x", "[profile x]\n"+role+"source_profile = y\n[profile y]\n"+role+"source_profile = x\n")
		}},
		{"a role's ARN with one colon", "profile.role-arn", func(s *Site) {
			profile(s, "x", "[profile x]\nrole_arn = arn:aws:iam:111111111111:role/dev\nsource_profile = base\n")
		}},
		{"an availability zone for a region", "profile.region", func(s *Site) { profile(s, "x", "[profile x]\nregion = eu-west-1a\n"+role+"source_profile = base\n") }},
		{"a credential_process that is not installed", "profile.process-not-found", func(s *Site) { profile(s, "x", "[profile x]\ncredential_process = nosuch-tool --token CANARYworld\n") }},
		{"a credential_process that writes a greeting", "profile.process-not-json", func(s *Site) {
			profile(s, "x", "[profile x]\ncredential_process = sh -c 'echo welcome CANARYworld'\n")
		}},
		{"a credential_process that fails", "profile.process-failed", func(s *Site) { profile(s, "x", "[profile x]\ncredential_process = sh -c 'exit 3'\n") }},
		{"a sign-in that ended", "profile.login-needed", func(s *Site) {
			profile(s, "sso-dev", "")
			s.Write(".aws/sso/cache/"+fakeaws.CacheName(fakeaws.SSOSession), `{"accessToken":"CANARYworld","expiresAt":"2020-01-01T00:00:00Z"}`, 0o600)
		}},
		{"a role that does not trust the caller", "profile.access-denied", func(s *Site) {
			s.AWS.AddRole(fakeaws.RoleProd, fakeaws.RoleConfig{TrustedARNs: []string{"arn:aws:iam::999999999999:role/other"}})
			profile(s, "prod", "")
		}},
		{"the key of a user who was deleted", "profile.keys-invalid", func(s *Site) {
			profile(s, "x", "[profile x]\nregion = eu-west-1\naws_access_key_id = AKIANOSUCHNOSUCHNOSU\naws_secret_access_key = CANARYworld\n")
		}},
		{"STS that cannot be reached", "profile.unreachable", func(s *Site) {
			profile(s, "dev", "")
			s.AWS.Script(fakeaws.Fault{Match: "sts:*", Hang: true})
		}},
		{"a shell with the profile of a sign-in that ended", "profile.login-needed", func(s *Site) {
			s.Write(".aws/sso/cache/"+fakeaws.CacheName(fakeaws.SSOSession), `{"accessToken":"CANARYworld","expiresAt":"2020-01-01T00:00:00Z"}`, 0o600)
			s.Set("HOME="+s.Home, "AWS_PROFILE=sso-dev")
		}},
	} {
		Try(t, c)
	}
}

func TestHealthyEndpoints(t *testing.T) {
	t.Parallel()
	for _, c := range []Case{
		{"doctor imds on an instance", "", func(s *Site) { imds(s) }},
		{"doctor ecs in a task", "", func(s *Site) {
			container(s, "")
			s.Args = []string{"ecs"}
		}},
		{"rolecall with a role", "", func(s *Site) { daemon(s, "/creds", "--load", "dev") }},
		{"rolecall with two slots", "", func(s *Site) { daemon(s, "/slot/prod", "--load", "dev", "--slot", "prod=prod") }},
		{"doctor profile with keys", "", func(s *Site) { profile(s, "base", "") }},
		{"doctor profile with a chain of roles", "", func(s *Site) { profile(s, "chained", "") }},
		{"doctor profile of Identity Center", "", func(s *Site) { profile(s, "sso-dev", "") }},
	} {
		Try(t, c)
	}
}

// rolecall runs one of its commands as the user.
func rolecall(s *Site, args ...string) error {
	s.T.Helper()
	bin, err := world.Binary()
	if err != nil {
		s.T.Fatal(err)
	}
	c := exec.CommandContext(s.T.Context(), bin, args...)
	c.Env = s.Environ()
	return c.Run()
}
