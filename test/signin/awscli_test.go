package signin_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"rolecall/internal/fakeaws"
)

var values = regexp.MustCompile(`": "[^"]*"`)

// cli is one aws CLI of this machine.
type cli struct {
	path, version string
	env           []string
}

func (c cli) v2() bool { return strings.HasPrefix(c.version, "aws-cli/2.") }

// awsCLIs are all of them; those of version 2 can sign in themselves.
func awsCLIs(t *testing.T, s site) (list []cli) {
	t.Helper()
	seen := map[string]bool{}
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		path := filepath.Join(dir, "aws")
		if _, err := exec.LookPath(path); err != nil {
			continue
		}
		out, err := exec.Command(path, "--version").Output()
		version := strings.TrimSpace(string(out))
		if err != nil || seen[version] {
			continue
		}
		seen[version] = true
		list = append(list, cli{path, version, []string{"AWS_DATA_PATH=" + endpoints(t, s)}})
	}
	if len(list) == 0 {
		t.Skip("there is no aws CLI")
	}
	return list
}

// endpoints is a directory that sends the CLI's services to the fake. Versions
// before 2.13 do not know AWS_ENDPOINT_URL, and take rules from AWS_DATA_PATH.
func endpoints(t *testing.T, s site) string {
	t.Helper()
	dir := t.TempDir()
	for service, version := range map[string]string{"sso": "2019-06-10", "sso-oidc": "2019-06-10", "sts": "2011-06-15"} {
		sub := filepath.Join(dir, service, version)
		if err := os.MkdirAll(sub, 0o700); err != nil {
			t.Fatal(err)
		}
		param := func(builtIn, kind string) string {
			return fmt.Sprintf(`{"builtIn":%q,"required":false,"documentation":"","type":%q}`, builtIn, kind)
		}
		rules := fmt.Sprintf(`{"version":"1.0","parameters":{"Region":%s,"Endpoint":%s},"rules":[{"conditions":[],"endpoint":{"url":%q,"properties":{},"headers":{}},"type":"endpoint"}]}`,
			param("AWS::Region", "String"), param("SDK::Endpoint", "String"), s.AWS.URL())
		if err := os.WriteFile(filepath.Join(sub, "endpoint-rule-set-1.json"), []byte(rules), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func eachCLI(t *testing.T, f func(t *testing.T, s site, c cli)) {
	for _, c := range awsCLIs(t, newSite(t, fakeaws.Config{DeviceInterval: time.Second})) {
		t.Run(strings.ReplaceAll(strings.Fields(c.version)[0], "/", " "), func(t *testing.T) {
			t.Parallel()
			s := newSite(t, fakeaws.Config{DeviceInterval: time.Second})
			s.addConfig("[profile old]\nsso_start_url = " + s.AWS.URL() + "/start\nsso_region = eu-west-1\nsso_account_id = " + fakeaws.SSOAccountID + "\nsso_role_name = " + fakeaws.SSORole)
			c.env = []string{"AWS_DATA_PATH=" + endpoints(t, s), "BROWSER=true"}
			f(t, s, c)
		})
	}
}

// The aws CLI uses the sign-in of rolecall, refreshes it, and rolecall goes on
// with what it wrote.
func TestCLIUsesOurs(t *testing.T) {
	t.Parallel()
	eachCLI(t, func(t *testing.T, s site, c cli) {
		for _, profile := range []string{"sso-dev", "old"} {
			if o := s.run(c.env, c.path, "sts", "get-caller-identity", "--profile", profile); o.code == 0 {
				t.Fatalf("%s: the CLI works before anybody has signed in: %s", profile, o.out)
			}
			s.must(s.rolecall(nil, "login", profile, "--device"), "signed in to")
			s.must(s.run(c.env, c.path, "sts", "get-caller-identity", "--profile", profile), "AWSReservedSSO_"+fakeaws.SSORole)
		}
		if n := s.AWS.Calls("oidc:CreateToken"); n != 2 {
			t.Errorf("%d tokens were made: the CLI did not use ours as it was", n)
		}
		// With less than 15 minutes left the CLI refreshes it, with our client.
		file := tokenFile(s.World)
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		old := expiresAt(t, text)
		if err := os.WriteFile(file, bytes.Replace(text, []byte(old), []byte(time.Now().Add(time.Minute).UTC().Format("2006-01-02T15:04:05Z")), 1), 0o600); err != nil {
			t.Fatal(err)
		}
		forget(t, s)
		s.must(s.run(c.env, c.path, "sts", "get-caller-identity", "--profile", "sso-dev"), "AWSReservedSSO_")
		if n := s.AWS.Calls("oidc:CreateToken"); n != 3 {
			t.Errorf("%d tokens: the CLI did not refresh ours", n)
		}
		s.must(s.rolecall(nil, "roles", "--refresh"), fakeaws.SSORole)
		if n := s.AWS.Calls("oidc:CreateToken"); n != 3 {
			t.Errorf("%d tokens: we do not use what the CLI refreshed", n)
		}
		// The end of the sign-in is the CLI's as well.
		s.must(s.rolecall(nil, "logout", "--all"), "signed out of")
		forget(t, s)
		if o := s.run(c.env, c.path, "sts", "get-caller-identity", "--profile", "sso-dev"); o.code == 0 {
			t.Error("the CLI works after the sign-in was ended")
		}
	})
}

// forget drops the roles' credentials that the CLI keeps for itself.
func forget(t *testing.T, s site) {
	t.Helper()
	if err := os.RemoveAll(filepath.Join(s.Home, ".aws", "cli")); err != nil {
		t.Fatal(err)
	}
}

func expiresAt(t *testing.T, text []byte) string {
	t.Helper()
	_, rest, ok := bytes.Cut(text, []byte(`"expiresAt": "`))
	value, _, ok2 := bytes.Cut(rest, []byte(`"`))
	if !ok || !ok2 {
		t.Fatal("the token's file has no expiresAt as the CLI writes it")
	}
	return string(value)
}

// rolecall uses the sign-in of the aws CLI, and its registered client.
func TestWeUseTheCLIs(t *testing.T) {
	t.Parallel()
	eachCLI(t, func(t *testing.T, s site, c cli) {
		if !c.v2() {
			t.Skip(c.version + " cannot sign in to SSO")
		}
		for _, profile := range []string{"sso-dev", "old"} {
			s.must(s.run(c.env, c.path, "sso", "login", "--profile", profile), "Successfully logged into")
			s.must(s.rolecall(nil, "exec", profile, "--", "true"))
		}
	})
}

// The files have the same names and the same keys, whoever writes them; and a
// client that one registered serves the other.
func TestSameFiles(t *testing.T) {
	t.Parallel()
	eachCLI(t, func(t *testing.T, s site, c cli) {
		if !c.v2() {
			t.Skip(c.version + " cannot sign in to SSO")
		}
		s.must(s.run(c.env, c.path, "sso", "login", "--profile", "sso-dev"))
		theirs := shape(t, s)
		s.must(s.rolecall(nil, "login", "sso-dev", "--device"))
		if ours := shape(t, s); ours != theirs {
			t.Errorf("we write\n%s\nand the CLI\n%s", ours, theirs)
		}
		if n := s.AWS.Calls("oidc:RegisterClient"); n != 1 {
			t.Errorf("%d registrations: we did not use the CLI's", n)
		}
		s.must(s.run(c.env, c.path, "sso", "login", "--profile", "sso-dev"))
		if n := s.AWS.Calls("oidc:RegisterClient"); n != 1 {
			t.Errorf("%d registrations: the CLI did not use the one that we keep", n)
		}
		// The other way round: ours first.
		cache := filepath.Dir(tokenFile(s.World))
		if err := os.RemoveAll(cache); err != nil {
			t.Fatal(err)
		}
		s.must(s.rolecall(nil, "login", "sso-dev", "--device"))
		if ours := shape(t, s); ours != theirs {
			t.Errorf("we write\n%s\nand the CLI\n%s", ours, theirs)
		}
		s.must(s.run(c.env, c.path, "sso", "login", "--profile", "sso-dev"))
		if n := s.AWS.Calls("oidc:RegisterClient"); n != 2 {
			t.Errorf("%d registrations: the CLI did not use ours", n)
		}
		s.must(s.run(c.env, c.path, "sso", "logout"))
		if o := s.rolecall(nil, "roles"); o.code != 4 {
			t.Errorf("after `aws sso logout`: exit code %d, %s", o.code, o.stderr)
		}
	})
}

// shape is names, modes and keys of the cache's files, values left out.
func shape(t *testing.T, s site) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(filepath.Dir(tokenFile(s.World)), "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatal("the cache is empty")
	}
	var all []string
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(f)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, fmt.Sprintf("%s %v %s", filepath.Base(f), info.Mode(), values.ReplaceAllString(string(text), `": "…"`)))
	}
	return strings.Join(all, "\n")
}
