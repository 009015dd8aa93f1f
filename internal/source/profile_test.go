package source

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"rolecall/internal/fakeaws"
	"rolecall/internal/usererr"
)

// quotedProcess is a credential_process line that runs this test binary.
func quotedProcess(args string) string {
	if runtime.GOOS == "windows" {
		return `"` + os.Args[0] + `" ` + args
	}
	return "'" + os.Args[0] + "' " + args
}

// TestFormsAgainstSDK gets every form of profile from the fake, once by our
// resolution and once by the SDK's.
func TestFormsAgainstSDK(t *testing.T) {
	g := newRig(t, fakeaws.Config{})
	web := g.write("web-token", "a-token")
	keyID, secret := g.fake.BaseUser()
	g.env["SOURCE_TEST_PROCESS"] = `{"Version":1,"AccessKeyId":"` + keyID + `","SecretAccessKey":"` + secret + `","AccountId":"444444444444"}`
	t.Setenv("SOURCE_TEST_PROCESS", g.env["SOURCE_TEST_PROCESS"])
	g.env["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = g.fake.ContainerURL("task")
	g.fake.AddRole("arn:aws:iam::111111111111:role/external", fakeaws.RoleConfig{ExternalID: "e=x"})
	g.fake.AddRole("arn:aws:iam::111111111111:role/strict", fakeaws.RoleConfig{TrustedARNs: []string{fakeaws.RoleDev}})
	g.add(`
[profile external]
role_arn = arn:aws:iam::111111111111:role/external
source_profile = base
external_id = e=x
role_session_name = sess
duration_seconds = 7200
[profile strict]
role_arn = arn:aws:iam::111111111111:role/strict
source_profile = dev
[profile imds-role]
role_arn = arn:aws:iam::111111111111:role/from-imds
credential_source = Ec2InstanceMetadata
[profile ecs-role]
role_arn = arn:aws:iam::111111111111:role/from-ecs
credential_source = EcsContainer
[profile web]
role_arn = arn:aws:iam::111111111111:role/web
web_identity_token_file = %[1]s
[profile over-web]
role_arn = arn:aws:iam::111111111111:role/over-web
source_profile = web
[profile process]
credential_process = %[2]s
[profile over-process]
role_arn = arn:aws:iam::111111111111:role/over-process
source_profile = process
[profile over-sso]
role_arn = arn:aws:iam::111111111111:role/over-sso
source_profile = sso-dev
[profile self]
role_arn = arn:aws:iam::111111111111:role/self
source_profile = self
aws_access_key_id = %[3]s
aws_secret_access_key = %[4]s
[profile self-sso]
role_arn = arn:aws:iam::111111111111:role/self-sso
source_profile = self-sso
sso_session = fake
sso_account_id = 111111111111
sso_role_name = Developer
[profile round]
role_arn = arn:aws:iam::111111111111:role/round
source_profile = round-keys
[profile round-keys]
role_arn = arn:aws:iam::111111111111:role/other
source_profile = round
[profile legacy]
sso_start_url = https://legacy.example/start#/
sso_region = eu-west-1
sso_account_id = 111111111111
sso_role_name = ReadOnly
`, web, quotedProcess(""), keyID, secret)
	login := g.fake.NewSSOLogin(time.Now().Add(time.Hour))
	file, err := login.CacheFile("https://legacy.example/start#/", "eu-west-1")
	if err != nil {
		t.Fatal(err)
	}
	g.write(filepath.Join(".aws", "sso", "cache", fakeaws.CacheName("https://legacy.example/start#/")), string(file))

	for _, tt := range []struct {
		profile, role, account string
		upstream               string
		timeout                time.Duration
	}{
		{"base", "", "", "", callTimeout},
		{"dev", fakeaws.RoleDev, "111111111111", "sts/eu-west-1", callTimeout},
		{"staging", fakeaws.RoleStaging, "222222222222", "sts/eu-west-1", callTimeout},
		{"chained", fakeaws.RoleChained, "111111111111", "sts/eu-west-1", callTimeout},
		{"external", "arn:aws:iam::111111111111:role/external", "111111111111", "sts/eu-west-1", callTimeout},
		{"strict", "arn:aws:iam::111111111111:role/strict", "111111111111", "sts/eu-west-1", callTimeout},
		{"imds-role", "arn:aws:iam::111111111111:role/from-imds", "111111111111", "sts/eu-west-1", callTimeout},
		{"ecs-role", "arn:aws:iam::111111111111:role/from-ecs", "111111111111", "sts/eu-west-1", callTimeout},
		{"web", "arn:aws:iam::111111111111:role/web", "111111111111", "sts/eu-west-1", callTimeout},
		{"over-web", "arn:aws:iam::111111111111:role/over-web", "111111111111", "sts/eu-west-1", callTimeout},
		{"process", "", "444444444444", "", processTimeout},
		{"over-process", "arn:aws:iam::111111111111:role/over-process", "111111111111", "sts/eu-west-1", processTimeout + callTimeout},
		{"sso-dev", "", "111111111111", "sso/eu-west-1", callTimeout},
		{"legacy", "", "111111111111", "sso/eu-west-1", callTimeout},
		{"over-sso", "arn:aws:iam::111111111111:role/over-sso", "111111111111", "sts/eu-west-1", callTimeout},
		{"self", "arn:aws:iam::111111111111:role/self", "111111111111", "sts/eu-west-1", callTimeout},
		{"self-sso", "arn:aws:iam::111111111111:role/self-sso", "111111111111", "sts/eu-west-1", callTimeout},
	} {
		s, err := g.r.Resolve(tt.profile)
		if err != nil {
			t.Errorf("%s: %v", tt.profile, err)
			continue
		}
		if s.Text != "profile:"+tt.profile || s.Kind != "profile" || s.Profile != tt.profile || s.Region != "eu-west-1" || s.Upstream != tt.upstream || s.Timeout != tt.timeout {
			t.Errorf("%s: source is %+v", tt.profile, s)
		}
		if strings.Contains(s.Key, secret) || strings.Contains(s.Key, "e=x") {
			t.Errorf("%s: the key holds a secret: %s", tt.profile, s.Key)
		}
		c, err := s.Provider.Retrieve(context.Background())
		if err != nil {
			t.Errorf("%s: %v", tt.profile, err)
			continue
		}
		if c.RoleARN != tt.role || c.AccountID != tt.account || c.Source != s.Text {
			t.Errorf("%s: role %q, account %q, source %q", tt.profile, c.RoleARN, c.AccountID, c.Source)
		}
		theirs, err := g.sdk(tt.profile)
		if err != nil {
			t.Errorf("%s: the SDK says %v", tt.profile, err)
			continue
		}
		ours, ok1 := g.fake.Issued(c.AccessKeyID)
		other, ok2 := g.fake.Issued(theirs.AccessKeyID)
		if ok1 != ok2 || ours.RoleARN != other.RoleARN || ours.Account != other.Account {
			t.Errorf("%s: we are %q in %q and the SDK is %q in %q", tt.profile, ours.RoleARN, ours.Account, other.RoleARN, other.Account)
		}
		if !ok1 && (c.AccessKeyID != theirs.AccessKeyID || c.SecretAccessKey.Reveal() != theirs.SecretAccessKey || c.SessionToken.Reveal() != theirs.SessionToken) {
			t.Errorf("%s: our keys are not those of the SDK", tt.profile)
		}
		if ok1 && c.ObservedAt.IsZero() {
			t.Errorf("%s: the upstream's clock was not noted", tt.profile)
		}
		if ok1 && c.RoleName == "" {
			t.Errorf("%s: no role name", tt.profile)
		}
	}
	if g.must("external"); !strings.HasSuffix(lastIssued(g, "external").CallerARN, "/sess") {
		t.Errorf("the role session's name was not sent: %+v", lastIssued(g, "external"))
	}
	g.fails("round", usererr.NotConfigured, "round -> round-keys -> round")
	if _, err := g.sdk("round"); err == nil {
		t.Error("the SDK takes a loop")
	}
}

func lastIssued(g *rig, profile string) fakeaws.Issued {
	issued, _ := g.fake.Issued(g.must(profile).AccessKeyID)
	return issued
}

// TestEnvironmentNeverOvershadows: keys in our own environment are not those of
// a profile that was asked for by name.
func TestEnvironmentNeverOvershadows(t *testing.T) {
	g := newRig(t, fakeaws.Config{})
	for name, value := range map[string]string{"AWS_ACCESS_KEY_ID": "AKIAFAKEENV", "AWS_SECRET_ACCESS_KEY": "env", "AWS_PROFILE": "staging", "AWS_WEB_IDENTITY_TOKEN_FILE": "x", "AWS_ROLE_ARN": fakeaws.RoleProd} {
		g.env[name] = value
		t.Setenv(name, value)
	}
	if c := g.must("profile:dev"); c.RoleARN != fakeaws.RoleDev {
		t.Errorf("role is %s", c.RoleARN)
	}
	keyID, _ := g.fake.BaseUser()
	if c := g.must("base"); c.AccessKeyID != keyID {
		t.Errorf("key is %s", c.AccessKeyID)
	}
	for _, r := range g.fake.Requests() {
		if r.AccessKeyID == "AKIAFAKEENV" {
			t.Errorf("a request was signed with the environment's key: %+v", r)
		}
	}
}

func TestBadProfiles(t *testing.T) {
	g := newRig(t, fakeaws.Config{})
	g.add(`
[profile a]
role_arn = arn:aws:iam::111111111111:role/a
source_profile = b
[profile b]
role_arn = arn:aws:iam::111111111111:role/b
source_profile = c
[profile c]
role_arn = arn:aws:iam::111111111111:role/c
source_profile = b
[profile selfish]
role_arn = arn:aws:iam::111111111111:role/c
source_profile = selfish
[profile dangling]
role_arn = arn:aws:iam::111111111111:role/x
source_profile = bas
[profile no-role]
source_profile = base
[profile alone]
role_arn = arn:aws:iam::111111111111:role/x
[profile bad-role]
role_arn = arn:aws:iam::1:user/x
source_profile = base
[profile empty]
region = eu-west-1
[profile half]
aws_access_key_id = AKIAFAKE
[profile other-half]
aws_secret_access_key = CANARY
[profile torn]
aws_access_key_id = AKIAFAKE
[profile bad-source]
role_arn = arn:aws:iam::111111111111:role/x
credential_source = ec2
[profile two]
role_arn = arn:aws:iam::111111111111:role/x
credential_source = Environment
source_profile = base
[profile bad-region]
region = evil.example/
role_arn = arn:aws:iam::111111111111:role/x
source_profile = base
[profile no-session]
sso_session = nowhere
sso_account_id = 111111111111
sso_role_name = x
[profile no-account]
sso_session = fake
[profile other-region]
sso_session = fake
sso_region = us-east-1
sso_account_id = 111111111111
sso_role_name = x
[profile no-url]
sso_region = us-east-1
[profile web-alone]
web_identity_token_file = x
[profile http]
endpoint_url = http://sts.example.com
role_arn = arn:aws:iam::111111111111:role/x
source_profile = base
[profile userinfo]
endpoint_url = https://user:CANARY@sts.example.com
role_arn = arn:aws:iam::111111111111:role/x
source_profile = base
[profile bad-words]
credential_process = 'x
`)
	delete(g.env, "AWS_ENDPOINT_URL_STS")
	f, _ := os.OpenFile(filepath.Join(g.home, ".aws", "credentials"), os.O_APPEND|os.O_WRONLY, 0o600)
	f.WriteString("[torn]\naws_secret_access_key = CANARY\n")
	f.Close()
	for _, tt := range []struct {
		text  string
		words []string
	}{
		{"a", []string{"a -> b -> c -> b", "config:"}},
		{"selfish", []string{"selfish -> selfish"}},
		{"dangling", []string{`no profile "bas"`, "source_profile", "config:", `did you mean "base"`}},
		{"dvv", []string{`no profile "dvv"`, `did you mean "dev"`, "rolecall load", filepath.Join(g.home, ".aws", "config"), filepath.Join(g.home, ".aws", "credentials")}},
		{"profile:imds", []string{`no profile "imds"`}},
		{"no-role", []string{"no role_arn", "config:"}},
		{"alone", []string{"nothing to assume it with", "source_profile"}},
		{"bad-role", []string{"not the ARN of an IAM role", "config:"}},
		{"empty", []string{`profile "empty"`, "has no credentials"}},
		{"half", []string{"no aws_secret_access_key"}},
		{"other-half", []string{"no aws_access_key_id"}},
		{"torn", []string{"in another file"}},
		{"bad-source", []string{"Ec2InstanceMetadata, EcsContainer, Environment"}},
		{"two", []string{"both source_profile and credential_source"}},
		{"bad-region", []string{"is not a region"}},
		{"no-session", []string{"[sso-session nowhere]"}},
		{"no-account", []string{"no sso_account_id"}},
		{"other-region", []string{"sso_region differs"}},
		{"no-url", []string{"no sso_start_url"}},
		{"web-alone", []string{"no role_arn"}},
		{"http", []string{"unencrypted to sts.example.com", "https://"}},
		{"userinfo", []string{"is not an endpoint"}},
		{"bad-words", []string{"a ' is not closed", "config:"}},
	} {
		_, err := g.r.Resolve(tt.text)
		e := isError(t, tt.text, err, usererr.NotConfigured, tt.words...)
		if e.Hint == "" {
			t.Errorf("%s: no hint with %q", tt.text, e.Msg)
		}
		if strings.Contains(e.Msg+e.Hint, "CANARY") {
			t.Errorf("%s: a secret in %q", tt.text, e.Msg)
		}
		if e.Changed == nil || e.Changed() {
			t.Errorf("%s: Changed is nil or says yes", tt.text)
			continue
		}
		g.add("# changed\n")
		if !e.Changed() {
			t.Errorf("%s: a change of the file was not seen", tt.text)
		}
	}
	if n := g.fake.Calls("*"); n != 0 {
		t.Errorf("%d calls were made", n)
	}
}

// TestProfileIsReadAnew: a Source made once follows the files.
func TestProfileIsReadAnew(t *testing.T) {
	g := newRig(t, fakeaws.Config{})
	path := g.write(".aws/credentials", "[k]\naws_access_key_id=AKIAFAKEONE\naws_secret_access_key=s1\n")
	s, err := g.r.Resolve("k")
	if err != nil {
		t.Fatal(err)
	}
	key := func() string {
		c, err := s.Provider.Retrieve(context.Background())
		if err != nil {
			return err.Error()
		}
		return c.AccessKeyID
	}
	if got := key(); got != "AKIAFAKEONE" {
		t.Errorf("first: %s", got)
	}
	g.write(".aws/credentials", "[k]\naws_access_key_id=AKIAFAKETWO\naws_secret_access_key=s2\n")
	if got := key(); got != "AKIAFAKETWO" {
		t.Errorf("after the change: %s", got)
	}
	again, err := g.r.Resolve("k")
	if err != nil || again.Key == s.Key {
		t.Errorf("the key is the same for other keys: %q, %v", again.Key, err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if got := key(); !strings.Contains(got, "no profile") {
		t.Errorf("after removal: %s", got)
	}
}

func TestKeysThatEnd(t *testing.T) {
	g := newRig(t, fakeaws.Config{})
	future := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	g.write(".aws/credentials", "[old]\naws_access_key_id=ASIAFAKE\naws_secret_access_key=s\naws_session_token=t\nx_security_token_expires=2020-01-02T03:04:05Z\n"+
		"[new]\naws_access_key_id=ASIAFAKE\naws_secret_access_key=s\naws_session_token=t\naws_expiration="+future.Format(time.RFC3339)+"\n"+
		"[plain]\naws_access_key_id=AKIAFAKE\naws_secret_access_key=s\nexpiration=2020-01-02T03:04:05Z\n")
	e := g.fails("old", usererr.LoginRequired, "ended at 2020-01-02T03:04:05Z")
	if e.Changed == nil || e.Changed() {
		t.Error("Changed is nil or says yes")
	}
	if c := g.must("new"); !c.Expires.Equal(future) {
		t.Errorf("expires %v, want %v", c.Expires, future)
	}
	if c := g.must("plain"); c.CanExpire() {
		t.Errorf("long-term keys expire at %v", c.Expires)
	}
}

func TestNoHome(t *testing.T) {
	t.Setenv("HOME", "")
	t.Setenv("USERPROFILE", "")
	r := New(Config{Getenv: func(string) string { return "" }})
	if r.cfg.Home != "" {
		t.Skip("this platform finds a home directory without HOME")
	}
	_, err := r.Resolve("dev")
	isError(t, "dev", err, usererr.NotConfigured, "no home directory", "HOME")
	if _, err := r.Resolve("fake"); err != nil {
		t.Error(err)
	}
}
