package doctor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rolecall/internal/creds"
	"rolecall/internal/fakeaws"
	"rolecall/internal/source"
)

func TestProfileFiles(t *testing.T) {
	t.Parallel()
	const role = "role_arn = arn:aws:iam::111111111111:role/dev\n"
	tests := []struct {
		name, config string
		want         string
		where        string // of the first evidence, behind the file's name
	}{
		{"keys", "[profile p]\naws_access_key_id = AKIA\naws_secret_access_key = " + canary + "\n", "", ""},
		{"missing", "[profile q]\n", "profile.missing", ""},
		{"written without the word", "[p]\naws_access_key_id = A\n", "profile.missing", ""},
		{"source missing", "[profile p]\n" + role + "source_profile = q\n", "profile.source-missing", "config:3"},
		{"loop", "[profile p]\n" + role + "source_profile = q\n[profile q]\n" + role + "source_profile = p\n", "profile.loop", "config:6"},
		{"its own source", "[profile p]\n" + role + "source_profile = p\naws_access_key_id = A\naws_secret_access_key = " + canary + "\n", "", ""},
		{"its own source without keys", "[profile p]\n" + role + "source_profile = p\n", "profile.loop", "config:3"},
		{"no source", "[profile p]\n" + role, "profile.incomplete", "config:2"},
		{"no role", "[profile p]\nsource_profile = q\n[profile q]\naws_access_key_id = A\naws_secret_access_key = b\n", "profile.incomplete", "config:2"},
		{"nothing", "[profile p]\nregion = eu-west-1\n", "profile.incomplete", "config:1"},
		{"half keys", "[profile p]\naws_access_key_id = A\n", "profile.half-keys", "config:2"},
		{"temporary keys without token", "[profile p]\naws_access_key_id = ASIAX\naws_secret_access_key = " + canary + "\n", "profile.session-token-missing", "config:2"},
		{"role of a session", "[profile p]\nrole_arn = arn:aws:sts::111111111111:assumed-role/dev/me\ncredential_source = Environment\n", "profile.role-arn", "config:2"},
		{"one colon", "[profile p]\nrole_arn = arn:aws:iam:111111111111:role/dev\ncredential_source = Environment\n", "profile.role-arn", "config:2"},
		{"eleven digits", "[profile p]\nrole_arn = arn:aws:iam::11111111111:role/dev\ncredential_source = Environment\n", "profile.role-arn", "config:2"},
		{"a user", "[profile p]\nrole_arn = arn:aws:iam::111111111111:user/dev\ncredential_source = Environment\n", "profile.role-arn", "config:2"},
		{"a region in it", "[profile p]\nrole_arn = arn:aws:iam:eu-west-1:111111111111:role/dev\ncredential_source = Environment\n", "profile.role-arn", "config:2"},
		{"wrong credential_source", "[profile p]\n" + role + "credential_source = EC2\n", "profile.credential-source", "config:3"},
		{"two ways", "[profile p]\n" + role + "source_profile = q\ncredential_process = /bin/sh\n[profile q]\naws_access_key_id = A\naws_secret_access_key = b\n", "profile.conflict", "config:4"},
		{"region without dashes", "[profile p]\nregion = eu-west1\naws_access_key_id = A\naws_secret_access_key = b\n", "profile.region", "config:2"},
		{"a zone for a region", "[profile p]\nregion = eu-west-1a\naws_access_key_id = A\naws_secret_access_key = b\n", "profile.region", "config:2"},
		{"a region of another service", "[profile p]\nregion = auto\naws_access_key_id = A\naws_secret_access_key = b\n", "", ""},
		{"sso account of four digits", "[profile p]\nsso_start_url = https://x.invalid/\nsso_region = eu-west-1\nsso_account_id = 1111\nsso_role_name = Dev\n", "profile.sso-account", "config:4"},
		{"a section twice", "[profile p]\nregion = eu-west-1\naws_access_key_id = A\naws_secret_access_key = b\n[profile q]\n[profile q]\n", "files.strict", "config:6"},
		{"process not there", "[profile p]\ncredential_process = /nonexistent/tool --secret " + canary + "\n", "profile.process-not-found", "config:2"},
		{"process in ~", "[profile p]\ncredential_process = ~/bin/tool\n", "profile.process-not-found", "config:2"},
		{"process not in PATH", "[profile p]\ncredential_process = nosuchtool\n", "profile.process-not-found", "config:2"},
		{"process", "[profile p]\ncredential_process = sh -c 'exit 1'\n", "", ""},
		{"token file not there", "[profile p]\n" + role + "web_identity_token_file = /nonexistent\n", "profile.web-identity-file", "config:3"},
		{"sso session not there", "[profile p]\nsso_session = corp\nsso_account_id = 111111111111\nsso_role_name = Dev\n", "profile.sso-session-missing", "config:2"},
		{"sso without role", "[profile p]\nsso_start_url = https://x.invalid/\nsso_region = eu-west-1\nsso_account_id = 111111111111\n", "profile.sso-incomplete", "config:1"},
		{"sso never signed in", "[profile p]\nsso_start_url = https://x.invalid/\nsso_region = eu-west-1\nsso_account_id = 111111111111\nsso_role_name = Dev\n", "profile.login-needed", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := home(t, tt.config, "")
			env := NewEnviron([]string{"HOME=" + dir, "AWS_REGION=eu-west-1", "PATH=" + os.Getenv("PATH")})
			r := Run(t.Context(), InspectProfile("p", Program{Env: env}, Config{Offline: true}, nil))
			checkSafe(t, r)
			if r.Cause() != tt.want {
				t.Fatalf("%q, want %q: %+v", r.Cause(), tt.want, r.Results)
			}
			if tt.where != "" && r.Results[0].Evidence[0].Where != filepath.Join(dir, ".aws", tt.where) {
				t.Errorf("at %s, want %s", r.Results[0].Evidence[0].Where, tt.where)
			}
		})
	}
}

func TestSignIn(t *testing.T) {
	t.Parallel()
	const config = "[profile p]\nsso_session = corp\nsso_account_id = 111111111111\nsso_role_name = Dev\n[sso-session corp]\nsso_start_url = https://x.invalid/\nsso_region = eu-west-1\n"
	at := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(time.RFC3339) }
	for _, tt := range []struct{ name, text, want string }{
		{"good", `{"accessToken":"` + canary + `","expiresAt":"` + at(time.Hour) + `"}`, ""},
		{"ended", `{"accessToken":"` + canary + `","expiresAt":"` + at(-time.Hour) + `"}`, "profile.login-needed"},
		{"ended, renewable", `{"expiresAt":"` + at(-time.Hour) + `","refreshToken":"` + canary + `","registrationExpiresAt":"` + at(time.Hour) + `"}`, ""},
		{"registration ended", `{"expiresAt":"` + at(-time.Hour) + `","refreshToken":"` + canary + `","registrationExpiresAt":"` + at(-time.Hour) + `"}`, "profile.login-needed"},
		{"old form of the time", `{"expiresAt":"2099-01-01T00:00:00UTC"}`, ""},
		{"no time", `{"expiresAt":"` + canary + `"}`, "profile.login-needed"},
		{"no json", canary, "profile.login-needed"},
		{"empty", "", "profile.login-needed"},
	} {
		dir := home(t, config, "")
		cache := filepath.Join(dir, ".aws", "sso", "cache")
		if err := os.MkdirAll(cache, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(cache, fakeaws.CacheName("corp")), []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		r := Run(t.Context(), InspectProfile("p", Program{Env: NewEnviron([]string{"HOME=" + dir, "AWS_REGION=eu-west-1"})}, Config{Offline: true}, nil))
		checkSafe(t, r)
		if r.Cause() != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, r.Cause(), tt.want)
		}
	}
}

// resolveIn is Resolve in a home with a fake AWS.
func resolveIn(s *fakeaws.Server, dir string) (Resolve, Environ) {
	env := NewEnviron(append(s.Environ(), "HOME="+dir, "PATH="+os.Getenv("PATH"), "AWS_EC2_METADATA_DISABLED=true"))
	return SourceResolve(source.Config{Getenv: env.Get, Environ: func() []string { return []string{"PATH=" + os.Getenv("PATH")} }, Home: dir}), env
}

func TestProfileAsksSTS(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, profile, more string
		fault               fakeaws.Fault
		want                string
		words               string
	}{
		{"a user", "base", "", fakeaws.Fault{}, "", "user/base"},
		{"a role", "dev", "", fakeaws.Fault{}, "", "assumed-role/dev/"},
		{"a chain", "chained", "", fakeaws.Fault{}, "", "assumed-role/chained/"},
		{"sso", "sso-dev", "", fakeaws.Fault{}, "", ":assumed-role/"},
		{"denied", "dev", "", fakeaws.Fault{Match: "sts:AssumeRole", Code: "AccessDenied", Status: 403}, "profile.access-denied", ""},
		{"deleted key", "gone", "[profile gone]\naws_access_key_id = AKIANOSUCHNOSUCHNOSU\naws_secret_access_key = " + canary + "\n", fakeaws.Fault{}, "profile.keys-invalid", ""},
		{"wrong secret", "base", "", fakeaws.Fault{Match: "sts:GetCallerIdentity", Code: "SignatureDoesNotMatch", Status: 403}, "profile.secret-wrong", ""},
		{"expired", "base", "", fakeaws.Fault{Match: "sts:GetCallerIdentity", Code: "ExpiredToken", Status: 403}, "profile.keys-expired", ""},
		{"throttled", "dev", "", fakeaws.Fault{Match: "sts:AssumeRole", Code: "Throttling", Status: 400}, "profile.throttled", ""},
		{"hang", "dev", "", fakeaws.Fault{Match: "sts:*", Hang: true}, "profile.unreachable", ""},
		{"sso refused", "sso-dev", "", fakeaws.Fault{Match: "sso:*", Code: "UnauthorizedException", Status: 401}, "profile.login-needed", ""},
		{"not json", "proc", "[profile proc]\ncredential_process = sh -c 'echo " + canary + "'\n", fakeaws.Fault{}, "profile.process-not-json", ""},
		{"fails", "proc", "[profile proc]\ncredential_process = sh -c 'echo " + canary + " >&2; exit 3'\n", fakeaws.Fault{}, "profile.process-failed", "exit status 3"},
		{"hangs", "proc", "[profile proc]\ncredential_process = sh -c 'sleep 30'\n", fakeaws.Fault{}, "profile.process-failed", "did not end in time"},
		{"mfa", "mfa", "[profile mfa]\nrole_arn = arn:aws:iam::111111111111:role/dev\nsource_profile = base\nmfa_serial = arn:aws:iam::111111111111:mfa/me\n", fakeaws.Fault{}, "profile.mfa", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := fake(t, fakeaws.Config{})
			dir := t.TempDir()
			if _, _, err := s.WriteProfiles(filepath.Join(dir, ".aws")); err != nil {
				t.Fatal(err)
			}
			f, err := os.OpenFile(filepath.Join(dir, ".aws", "config"), os.O_APPEND|os.O_WRONLY, 0o600)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprint(f, tt.more)
			_ = f.Close()
			if tt.fault.Match != "" {
				s.Script(tt.fault)
			}
			resolve, env := resolveIn(s, dir)
			r := Run(t.Context(), InspectProfile(tt.profile, Program{Env: env}, Config{}, resolve))
			checkSafe(t, r)
			if r.Cause() != tt.want || !strings.Contains(fmt.Sprint(r.Results), tt.words) {
				t.Errorf("%q, want %q with %q: %+v", r.Cause(), tt.want, tt.words, r.Results)
			}
			if r.Took > 3*time.Second {
				t.Errorf("took %s", r.Took)
			}
		})
	}
}

func TestProfileOfAnotherAccount(t *testing.T) {
	t.Parallel()
	dir := home(t, "[profile p]\naws_access_key_id = A\naws_secret_access_key = b\n", "")
	resolve := func(context.Context, string) (creds.Credentials, source.Identity, error) {
		return creds.Credentials{AccountID: "111111111111"}, source.Identity{ARN: "arn:aws:iam::222222222222:user/x", Account: "222222222222"}, nil
	}
	r := Run(t.Context(), InspectProfile("p", Program{Env: NewEnviron([]string{"HOME=" + dir, "AWS_REGION=eu-west-1"})}, Config{}, resolve))
	if r.Cause() != "profile.account" {
		t.Errorf("%+v", r)
	}
	resolve = func(context.Context, string) (creds.Credentials, source.Identity, error) {
		return creds.Credentials{}, source.Identity{}, errors.New(canary)
	}
	r = Run(t.Context(), InspectProfile("p", Program{Env: NewEnviron([]string{"HOME=" + dir, "AWS_REGION=eu-west-1"})}, Config{}, resolve))
	if r.Healthy() || strings.Contains(fmt.Sprint(r), canary) {
		t.Errorf("%+v", r)
	}
}

// A profile whose first line is not as its file wants it is named with the line
// to write.
func TestProfileHeader(t *testing.T) {
	t.Parallel()
	dir := home(t, "[p]\nregion = eu-west-1\n", "[profile q]\naws_access_key_id = A\n")
	env := []string{"HOME=" + dir, "AWS_REGION=eu-west-1", off}
	for name, want := range map[string]Fix{
		"p": {Text: "write [profile p]", Where: filepath.Join(dir, ".aws/config:1")},
		"q": {Text: "write [q]", Where: filepath.Join(dir, ".aws/credentials:1")},
	} {
		r := Run(t.Context(), InspectProfile(name, Program{Env: NewEnviron(env)}, Config{Offline: true}, nil))
		if got := r.Results[0].Fixes[0]; got != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
		r = Run(t.Context(), Inspect(Program{Env: NewEnviron(append(env, "AWS_PROFILE="+name))}, Config{Offline: true, Resolve: names}))
		if got := r.Results[0].Fixes[0]; got != want {
			t.Errorf("AWS_PROFILE=%s: %+v, want %+v", name, got, want)
		}
	}
}

// Files that are none are told in few words, with what to do.
func TestProfileOfFilesThatAreNone(t *testing.T) {
	t.Parallel()
	dir := home(t, strings.Repeat("garbage\n", 5000), "")
	for config, want := range map[string]string{
		filepath.Join(dir, ".aws/config"): "has no profiles", dir: dir + " is a directory", filepath.Join(dir, "nosuch"): filepath.Join(dir, "nosuch") + " is not there",
	} {
		env := NewEnviron([]string{"HOME=" + dir, "AWS_REGION=eu-west-1", "AWS_PROFILE=p", off, "AWS_CONFIG_FILE=" + config})
		for _, checks := range [][]Check{InspectProfile("p", Program{Env: env}, Config{Offline: true}, nil), Inspect(Program{Env: env}, Config{Offline: true, Resolve: names})} {
			r := Run(t.Context(), checks)
			checkSafe(t, r)
			for _, res := range r.Results {
				if len(res.Evidence) > 12 {
					t.Errorf("%d pieces of evidence for %s", len(res.Evidence), res.Cause)
				}
			}
			if r.Healthy() || !strings.Contains(fmt.Sprint(r.Results), want) {
				t.Errorf("%s: %+v", config, r.Results[0])
			}
		}
	}
}
