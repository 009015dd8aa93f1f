package doctor

import (
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestStaticCauses(t *testing.T) {
	t.Parallel()
	past := time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)
	jwt := func(exp time.Time) string {
		return "e30." + base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"exp":%d,"sub":"%s"}`, exp.Unix(), canary)) + "." + canary
	}
	tests := []struct {
		name, env string
		outcome   Outcome
		want      string
	}{
		{"nothing at all", off, Failed, "chain.empty"},
		{"keys", keyPair, OK, ""},
		{"temporary keys without token", "AWS_ACCESS_KEY_ID=ASIAEXAMPLEEXAMPLE00 AWS_SECRET_ACCESS_KEY=" + canary, Failed, "env.session-token-missing"},
		{"temporary keys with token", "AWS_ACCESS_KEY_ID=ASIAEXAMPLEEXAMPLE00 AWS_SECRET_ACCESS_KEY=s AWS_SESSION_TOKEN=" + canary, OK, ""},
		{"a user's keys with a token", keyPair + " AWS_SESSION_TOKEN=" + canary, Failed, "env.session-token-left-over"},
		{"expired keys", keyPair + " AWS_CREDENTIAL_EXPIRATION=" + past, Failed, "env.keys-expired"},
		{"quotes", "AWS_ACCESS_KEY_ID=\"AKIAEXAMPLEEXAMPLE00\" AWS_SECRET_ACCESS_KEY=" + canary, Failed, "env.stray-characters"},
		{"line break", "AWS_ACCESS_KEY_ID=AKIAEXAMPLEEXAMPLE00 AWS_SECRET_ACCESS_KEY=" + canary + "%0A", Failed, "env.stray-characters"},
		{"blank", "AWS_PROFILE=keys%20", Failed, "env.stray-characters"},
		{"half a pair", "AWS_ACCESS_KEY_ID=AKIAEXAMPLEEXAMPLE00 " + full, Failed, "env.partial-keys"},
		{"keys hide the container", keyPair + " " + full, Warning, "env.keys-hide"},
		{"keys hide web identity", keyPair + " " + identity, Warning, "env.keys-hide"},
		{"web identity hides the container", identity + " " + full, Warning, "env.identity-hides"},
		{"relative hides full", relative + " " + full, Warning, "container.relative-hides-full"},
		{"a profile hides the container", "AWS_PROFILE=keys " + full, Warning, "env.profile-hides"},
		{"a profile beside keys", "AWS_PROFILE=keys " + keyPair, Warning, "chain.differ"},
		{"tokens differ", full + " AWS_CONTAINER_AUTHORIZATION_TOKEN=" + canary + " AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=HOME/token", Warning, "container.tokens-differ"},
		{"tokens are the same", full + " AWS_CONTAINER_AUTHORIZATION_TOKEN=bare-token AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=HOME/token", OK, ""},
		{"empty keys", "AWS_ACCESS_KEY_ID= AWS_SECRET_ACCESS_KEY= " + full, Warning, "env.empty-keys"},
		{"no region", full + " AWS_REGION= ", Warning, "region.missing"},
		{"region of the profile", "AWS_PROFILE=regional AWS_REGION= ", OK, ""},
		{"nothing, and the metadata service is not asked", "AWS_EC2_METADATA_DISABLED=false", Warning, "chain.imds-only"},
		{"a region without a dash", full + " AWS_REGION=eu-west1", Failed, "region.invalid"},
		{"a zone for a region", full + " AWS_DEFAULT_REGION=eu-west-1a AWS_REGION=eu-west-1", Failed, "region.invalid"},
		{"a region in capitals", full + " AWS_REGION=EU-WEST-1", Failed, "region.invalid"},
		{"a region of another service", full + " AWS_REGION=auto", OK, ""},
		{"a region of a partition", full + " AWS_REGION=us-gov-west-1 AWS_DEFAULT_REGION=aws-global", OK, ""},
		{"a word for off", "AWS_EC2_METADATA_DISABLED=1", Warning, "imds.disabled-word"},
		{"a proxy", relative + " HTTP_PROXY=http://user:" + canary + "@proxy.example:3128", Warning, "proxy.catches"},
		{"a proxy with exceptions", relative + " HTTP_PROXY=http://proxy.example:3128 NO_PROXY=localhost,169.254.170.2", OK, ""},
		{"a proxy with a network", relative + " HTTP_PROXY=http://proxy.example:3128 no_proxy=169.254.0.0/16", OK, ""},
		{"a proxy and loopback, Python", "AWS_EC2_METADATA_DISABLED=false AWS_EC2_METADATA_SERVICE_ENDPOINT=http://127.0.0.1:1 HTTP_PROXY=http://proxy.example:3128", Warning, "proxy.catches"},
		{"a proxy with a network, Python", "AWS_EC2_METADATA_DISABLED=false AWS_EC2_METADATA_SERVICE_ENDPOINT=http://127.0.0.1:1 HTTP_PROXY=http://proxy.example:3128 NO_PROXY=127.0.0.0/8", Warning, "proxy.catches"},
		{"a proxy, and no_proxy that counts", "AWS_EC2_METADATA_DISABLED=false AWS_EC2_METADATA_SERVICE_ENDPOINT=http://127.0.0.1:1 HTTP_PROXY=http://proxy.example:3128 NO_PROXY=x no_proxy=127.0.0.1", OK, ""},
		{"a proxy without http://", relative + " HTTP_PROXY=user:" + canary + "@proxy.example:3128", Warning, "proxy.catches"},
		{"a proxy and loopback", full + " HTTP_PROXY=http://proxy.example:3128", OK, ""},
		{"an expired web identity token", "AWS_WEB_IDENTITY_TOKEN_FILE=HOME/old AWS_ROLE_ARN=arn:aws:iam::111111111111:role/dev", Failed, "web-identity.expired"},
		{"a good web identity token", "AWS_WEB_IDENTITY_TOKEN_FILE=HOME/new AWS_ROLE_ARN=arn:aws:iam::111111111111:role/dev", OK, ""},
		{"profile missing", "AWS_PROFILE=nosuch", Failed, "profile.missing"},
		{"config file is a directory", "AWS_CONFIG_FILE=HOME", Failed, "files.unreadable"},
		{"container host of one machine", fullWith + "http://192.0.2.1/", Failed, "container.host"},
		{"container host that only C++ refuses", fullWith + "http://127.1.2.3/", Warning, "container.host"},
		{"a profile that loops", "AWS_PROFILE=loop", Failed, "profile.loop"},
		{"sign-in that never was", "AWS_PROFILE=sso", Failed, "profile.login-needed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := home(t, everyProfile+"[profile regional]\nregion = eu-west-1\ncredential_process = /bin/sh\n[profile loop]\nrole_arn = arn:aws:iam::111111111111:role/dev\nsource_profile = loop2\n[profile loop2]\nrole_arn = arn:aws:iam::111111111111:role/dev\nsource_profile = loop\n", "")
			for name, text := range map[string]string{"old": jwt(time.Now().Add(-time.Hour)), "new": jwt(time.Now().Add(time.Hour))} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			env := []string{"HOME=" + dir}
			if !strings.Contains(tt.env, "AWS_REGION") {
				env = append(env, "AWS_REGION=eu-west-1")
			}
			for _, word := range strings.Fields(tt.env) {
				word = strings.NewReplacer("HOME/", dir+"/", "=HOME", "="+dir, "%0A", "\n", "%20", " ").Replace(word)
				env = append(env, word)
			}
			r := Run(t.Context(), Inspect(Program{Name: "it", Env: NewEnviron(env)}, Config{Offline: true, Resolve: names}))
			checkSafe(t, r)
			first := OK
			if r.Cause() != "" {
				first = r.Results[0].Outcome
			}
			if r.Cause() != tt.want || first != tt.outcome {
				t.Errorf("%s %q, want %s %q", first, r.Cause(), tt.outcome, tt.want)
			}
		})
	}
}

// What breaks one SDK only is a fault when that SDK is the program's.
func TestSDKNarrows(t *testing.T) {
	t.Parallel()
	for sdk, want := range map[string]Outcome{"": Warning, "cpp": Failed, "go": OK} {
		env := NewEnviron([]string{"HOME=" + t.TempDir(), "AWS_REGION=eu-west-1", fullWith + "http://127.1.2.3/", off})
		r := Run(t.Context(), Inspect(Program{Env: env, SDK: sdk}, Config{Offline: true, Resolve: names}))
		if got := r.Results[0].Outcome; got != want {
			t.Errorf("%q: %s, want %s", sdk, got, want)
		}
	}
}

// strictTexts are AWS files, and whether botocore reads them.
func strictTexts() map[string]bool {
	return map[string]bool{
		"": true, "\n \n# comment\n": true,
		"[profile a]\nregion = x\ngarbage\n":                    false,
		"[profile a\nregion = x\n":                              false,
		"region = x\n[profile a]\n":                             false,
		"[profile a]\nregion = x\n[profile a]\noutput = json\n": false,
		"[profile a]\nregion = x\nRegion = y\n":                 false,
		"[profile a]\nregion = x\n[profile b]\nregion = y\n":    true,
		"[profile a]\nregion\n":                                 false,
		"[profile a]\nregion =\n":                               true,
		"[profile a]\n= x\n":                                    false,
		"[profile a]\nregion = x\n  garbage\n":                  true,
		"[profile a]\n  region = x\n  garbage\n":                false,
		"[profile a]\n  region = x\ngarbage\n":                  false,
		"[foo]\nregion = x\n":                                   true,
		"[profile a] junk\nregion = x\n":                        true,
		"\ufeff[profile a]\nregion = x\n":                       false,
		"[]\nregion = x\n":                                      false,
		"[profile a]\nregion: x\n":                              true,
		"[profile a]\nurl: http://x/?a=b\n":                     true,
		"[profile a] # c\nregion = x ; y\n":                     true,
		"[profile a]\ns3 =\n  max = 1\n  max = 2\n":             true,
		"[profile a]\ns3 =\n  garbage\n":                        false,
		"[profile a]\ns3 =\n  # comment\n\n  max = 1\n":         true,
		"[profile a]\r\nregion = x\r\n":                         true,
		"  [profile a]\n\tregion = x\n[profile b]\n":            true,
	}
}

// One line too many ends Python and the AWS CLI, whatever else is set up.
func TestStrictFiles(t *testing.T) {
	t.Parallel()
	for text, ok := range strictTexts() {
		if line, why := strictFault([]byte(text)); (line == 0) != ok || (why == "") != ok {
			t.Errorf("%q: line %d %s", text, line, why)
		}
	}
	dir := home(t, "[profile a]\nregion = x\n[profile a]\n", "")
	for sdk, want := range map[string]Outcome{"": Warning, "python": Failed, "go": OK} {
		r := Run(t.Context(), Inspect(Program{Env: NewEnviron([]string{"HOME=" + dir, "AWS_REGION=eu-west-1", off, full}), SDK: sdk}, Config{Offline: true, Resolve: names}))
		first := r.Results[0]
		if first.Outcome != want || want != OK && (first.Cause != "files.strict" || first.Evidence[0].Where != filepath.Join(dir, ".aws/config:3")) {
			t.Errorf("%q: %+v", sdk, first)
		}
	}
}

func TestLost(t *testing.T) {
	t.Parallel()
	inner := NewEnviron([]string{"AWS_REGION=eu-west-1", off})
	outer := NewEnviron([]string{relative})
	for _, tt := range []struct {
		ancestors []Ancestor
		env       Environ
		want, fix string
	}{
		{[]Ancestor{{PID: 1, Name: "cron", Env: outer}}, inner, "env.lost", "cron"},
		{[]Ancestor{{PID: 20, Name: "supervisord", Env: inner}, {PID: 1, Name: "tini", Env: outer}}, inner, "env.lost", "environment=AWS_CONTAINER"},
		{[]Ancestor{{PID: 20, Name: "sudo", Env: outer}}, inner, "env.lost", "--preserve-env="},
		{[]Ancestor{{PID: 1, Name: "systemd", Env: outer}}, inner, "env.lost", "PassEnvironment="},
		{[]Ancestor{{PID: 9, Name: "php-fpm8.2", Env: outer}}, inner, "env.lost", "rolecall doctor php-fpm"},
		{[]Ancestor{{PID: 1, Name: "tini", Env: inner}}, inner, "chain.empty", ""},
		{[]Ancestor{{PID: 1, Name: "tini", Env: outer}}, outer, "", ""},
	} {
		p := Program{Name: "pid 30 (php)", Env: tt.env, Home: t.TempDir(), Ancestors: tt.ancestors}
		r := Run(t.Context(), Inspect(p, Config{Offline: true, Resolve: names}))
		if len(r.Results) == 0 || tt.want != "" && r.Cause() != tt.want {
			t.Errorf("%v: %q, want %q", tt.ancestors, r.Cause(), tt.want)
			continue
		}
		if tt.fix != "" && !strings.Contains(fmt.Sprint(r.Results[0].Fixes), tt.fix) {
			t.Errorf("%v: %+v", tt.ancestors, r.Results[0].Fixes)
		}
	}
}

func TestLaravel(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{"artisan": "", ".env": "APP_KEY=" + canary + "\nAWS_ACCESS_KEY_ID=\nAWS_SECRET_ACCESS_KEY=\"\"\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	env := NewEnviron([]string{"HOME=" + dir, "AWS_REGION=eu-west-1", full})
	r := Run(t.Context(), Inspect(Program{Env: env, Dir: dir}, Config{Offline: true}))
	checkSafe(t, r)
	if r.Cause() != "laravel.empty-keys" || r.Results[0].Evidence[0].Where != filepath.Join(dir, ".env")+":2" {
		t.Errorf("%+v", r.Results[0])
	}
}

func TestParseEnviron(t *testing.T) {
	t.Parallel()
	e := ParseEnviron([]byte("A=1\x00B=\x00=C=2\x00junk\x00A=2\x00D=x=y\x00\xff\xfe=\x01\x00E=last"))
	if e.Get("A") != "1" || e.Get("D") != "x=y" || e.Get("E") != "last" || e.Wiped {
		t.Errorf("%+v", e)
	}
	if v, ok := e.Lookup("B"); v != "" || !ok {
		t.Error("B is set to nothing")
	}
	if !ParseEnviron(make([]byte, 1592)).Wiped || ParseEnviron(nil).Wiped {
		t.Error("only a block of NULs is wiped")
	}
	if name, _ := e.First("B", "D"); name != "D" {
		t.Error(name)
	}
}

func FuzzEnviron(f *testing.F) {
	for _, seed := range []string{"", "A=1\x00B=2\x00", "\x00\x00", "=\x00==\x00", "A", "PATH=/bin\x00AWS_CONTAINER_CREDENTIALS_FULL_URI=http://[::1\x00", strings.Repeat("x=\x00", 50)} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, block []byte) {
		e := ParseEnviron(block)
		for _, n := range e.Names() {
			if n == "" || strings.ContainsAny(n, "=\x00") {
				t.Errorf("a name %q", n)
			}
		}
		env := []string{"HOME=/nonexistent"}
		for _, n := range e.Names() {
			if n != "HOME" && !strings.HasSuffix(n, "_FILE") { // files of the machine are none of this test's
				env = append(env, n+"="+e.Get(n))
			}
		}
		s := Config{Resolve: names}.survey(Program{Env: NewEnviron(env)})
		for _, r := range s.static {
			if r.Cause == "" || r.Summary == "" {
				t.Errorf("%+v", r)
			}
		}
	})
}

func TestShownURL(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"http://127.0.0.1:4144/slot/dev":                "http://127.0.0.1:4144/slot/dev",
		"http://user:secret@host/x?token=secret":        "http://…@host/x",
		"http://169.254.170.2/v2/credentials/secret-id": "http://169.254.170.2/v2/credentials/…",
		"/v2/credentials/secret-id":                     "/v2/credentials/…",
		"":                                              "",
		"user:secret@proxy:3128":                        "…@proxy:3128",
		"http://user:sec/ret@proxy:3128":                "http://…",
		"http://user:sec?ret@proxy:3128":                "http://…",
		"http://127.0.0.1/x?token=a@secret":             "http://…",
		"127.0.0.1:4144/creds":                          "127.0.0.1:4144/creds",
	} {
		if got := shownURL(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

// A program that has overwritten its environment is told to be one; nothing is
// said to be lacking in it.
func TestWiped(t *testing.T) {
	t.Parallel()
	r := Run(t.Context(), Inspect(Program{Env: ParseEnviron(make([]byte, 1592)), Home: t.TempDir()}, Config{Resolve: names}))
	if r.Cause() != "environ.wiped" || !r.Healthy() || len(r.Results) != 1 {
		t.Errorf("%+v", r)
	}
}

// What is printed for a token with a line break puts it right when it is typed.
func TestTokenFixWorks(t *testing.T) {
	t.Parallel()
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("there is no sh")
	}
	for _, text := range []string{"bare-token\n", "bare-token\r\n", "\nbare-token"} {
		file := filepath.Join(t.TempDir(), "it's a token")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		env := NewEnviron([]string{"HOME=" + t.TempDir(), "AWS_REGION=eu-west-1", off, full, varTokenFile + "=" + file})
		r := Run(t.Context(), Inspect(Program{Env: env}, Config{Offline: true, Resolve: names}))
		if r.Cause() != "container.token-newline" {
			t.Fatalf("%+v", r.Results[0])
		}
		if out, err := exec.Command(sh, "-c", r.Results[0].Fixes[0].Command).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if b, _ := os.ReadFile(file); string(b) != "bare-token" {
			t.Errorf("%q is %q after the fix", text, b)
		}
	}
}
