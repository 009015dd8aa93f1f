package doctor

import (
	"context"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// names are what the tests' resolver knows.
func names(host string) []netip.Addr {
	known := map[string]string{
		"localhost": "127.0.0.1", "loop.example": "127.0.0.1", "other.example": "192.0.2.7",
		"host.docker.internal": "192.168.65.254",
	}
	if a, ok := known[host]; ok {
		return []netip.Addr{netip.MustParseAddr(a)}
	}
	if host == "mixed.example" {
		return []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("192.0.2.7")}
	}
	return nil
}

// home makes a home directory with AWS files; a text that is "" is no file.
func home(t *testing.T, config, credentials string) string {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) {
		if text == "" {
			return
		}
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(".aws/config", config)
	write(".aws/credentials", credentials)
	write("token", "bare-token")
	write("token-newline", "bare-token\n")
	write("token-crlf", "bare-token\r\n")
	write("token-empty", "\n")
	write("jwt", "a.b.c")
	return dir
}

const everyProfile = `
[profile role]
role_arn = arn:aws:iam::111111111111:role/dev
source_profile = keys
[profile keys]
aws_access_key_id = AKIAEXAMPLEEXAMPLE00
aws_secret_access_key = secret
[profile sso]
sso_session = corp
sso_account_id = 111111111111
sso_role_name = Dev
[sso-session corp]
sso_start_url = https://example.invalid/start
sso_region = eu-west-1
[profile process]
credential_process = echo '{"Version":1,"AccessKeyId":"PROCESS","SecretAccessKey":"s"}'
[profile irsa]
role_arn = arn:aws:iam::111111111111:role/dev
web_identity_token_file = /nonexistent
[profile bare]
region = eu-west-1
`

const (
	keyPair  = "AWS_ACCESS_KEY_ID=AKIAEXAMPLEEXAMPLE00 AWS_SECRET_ACCESS_KEY=secret"
	relative = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/v2/credentials/id"
	full     = "AWS_CONTAINER_CREDENTIALS_FULL_URI=http://127.0.0.1:4144/creds"
	fullWith = "AWS_CONTAINER_CREDENTIALS_FULL_URI="
	identity = "AWS_WEB_IDENTITY_TOKEN_FILE=HOME/jwt AWS_ROLE_ARN=arn:aws:iam::111111111111:role/dev"
	off      = "AWS_EC2_METADATA_DISABLED=true"

	atFull     = "container http://127.0.0.1:4144/creds"
	atRelative = "container http://169.254.170.2/v2/credentials/id"
	atIMDS     = "imds http://169.254.169.254"
)

// firstMatch is what the SDKs do in one environment.
type firstMatch struct {
	name   string
	env    string            // words NAME=VALUE; HOME/ is the home directory
	others string            // the first match of all SDKs that differ does not name
	differ map[string]string // SDK → its first match
}

func (m firstMatch) of(s SDK) string {
	if want, ok := m.differ[s.Name]; ok {
		return want
	}
	return m.others
}

// environ is the environment with a home directory.
func (m firstMatch) environ(dir string) []string {
	env := []string{"HOME=" + dir}
	for _, word := range strings.Fields(m.env) {
		env = append(env, strings.ReplaceAll(word, "HOME/", dir+"/"))
	}
	return env
}

func firstMatches() []firstMatch {
	return []firstMatch{
		{"nothing", "", atIMDS, nil},
		{"imds off", off, "none", nil},
		{"imds off in capitals", "AWS_EC2_METADATA_DISABLED=TRUE", "none", nil},
		{"imds off by 1", "AWS_EC2_METADATA_DISABLED=1", atIMDS, map[string]string{"JavaScript": "none"}},
		{"imds off by False", "AWS_EC2_METADATA_DISABLED=False", atIMDS, map[string]string{"JavaScript": "none"}},
		{"imds not off", "AWS_EC2_METADATA_DISABLED=false", atIMDS, nil},
		{"imds elsewhere", "AWS_EC2_METADATA_SERVICE_ENDPOINT=http://127.0.0.1:1338", "imds http://127.0.0.1:1338", nil},
		{"imds on another host", "AWS_EC2_METADATA_SERVICE_ENDPOINT=http://192.0.2.1", "imds http://192.0.2.1", map[string]string{"PHP": "broken:imds.endpoint-refused"}},
		{"imds endpoint is none", "AWS_EC2_METADATA_SERVICE_ENDPOINT=127.0.0.1:1338", "broken:imds.endpoint-invalid", nil},
		{"imds mode IPv6", "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE=IPv6", "imds http://[fd00:ec2::254]", nil},
		{"imds mode ipv6", "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE=ipv6", "imds http://[fd00:ec2::254]",
			map[string]string{"JavaScript": "broken:imds.mode-invalid", "PHP": "broken:imds.mode-invalid"}},
		{"imds mode nonsense", "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE=v6", "broken:imds.mode-invalid", nil},
		{"endpoint goes before mode", "AWS_EC2_METADATA_SERVICE_ENDPOINT=http://127.0.0.1:1 AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE=v6", "imds http://127.0.0.1:1", map[string]string{"Python/CLI": "broken:imds.mode-invalid"}},

		{"keys", keyPair, "keys", nil},
		{"keys hide the container", keyPair + " " + full, "keys", nil},
		{"keys hide web identity", keyPair + " " + identity, "keys", nil},
		{"keys and a profile", keyPair + " AWS_PROFILE=process " + off, "keys", map[string]string{"JavaScript": "profile:process"}},
		{"empty keys", "AWS_ACCESS_KEY_ID= AWS_SECRET_ACCESS_KEY= " + full, atFull, nil},
		{"id without secret", "AWS_ACCESS_KEY_ID=AKIAEXAMPLEEXAMPLE00 " + full, atFull, map[string]string{"Python/CLI": "broken:env.partial-keys"}},
		{"secret without id", "AWS_SECRET_ACCESS_KEY=secret " + full, atFull, nil},

		{"web identity", identity, "web-identity", nil},
		{"web identity hides the container", identity + " " + full, "web-identity", nil},
		{"web identity without role", "AWS_WEB_IDENTITY_TOKEN_FILE=HOME/jwt " + full, atFull,
			map[string]string{"Python/CLI": "broken:web-identity.no-role", "Go": "broken:web-identity.no-role"}},
		{"web identity without file", "AWS_WEB_IDENTITY_TOKEN_FILE=HOME/nosuch AWS_ROLE_ARN=arn:aws:iam::111111111111:role/dev " + full, "broken:web-identity.file",
			map[string]string{"PHP": atFull, "Java": atFull, ".NET": atFull, "C++": atFull}},
		{"role without web identity", "AWS_ROLE_ARN=arn:aws:iam::111111111111:role/dev " + full, atFull, nil},
		{"web identity and a role's profile", identity + " AWS_PROFILE=role", "web-identity",
			map[string]string{"Python/CLI": "profile:role", "JavaScript": "profile:role", "Rust": "profile:role"}},
		{"web identity and a profile with keys", identity + " AWS_PROFILE=keys", "web-identity",
			map[string]string{"JavaScript": "profile:keys", "Rust": "profile:keys", "C++": "profile:keys"}},

		{"profile with keys", "AWS_PROFILE=keys", "profile:keys", nil},
		{"profile hides the container", "AWS_PROFILE=keys " + full, "profile:keys", nil},
		{"profile with a role", "AWS_PROFILE=role " + off, "profile:role", map[string]string{"C++": "none"}},
		{"profile with sso", "AWS_PROFILE=sso", "profile:sso", nil},
		{"profile with a process", "AWS_PROFILE=process", "profile:process", nil},
		{"profile with web identity", "AWS_PROFILE=irsa " + off, "profile:web-identity", map[string]string{"C++": "none"}},
		{"profile without credentials", "AWS_PROFILE=bare " + full, atFull, nil},
		{"profile missing", "AWS_PROFILE=nosuch " + full, atFull,
			map[string]string{"Python/CLI": "broken:profile.missing", "Go": "broken:profile.missing", "Rust": "broken:profile.missing"}},
		{"profile missing beside keys", "AWS_PROFILE=nosuch " + keyPair, "keys",
			map[string]string{"Python/CLI": "broken:profile.missing", "Go": "broken:profile.missing", "JavaScript": atIMDS, "Rust": "keys"}},
		{"default profile variable", "AWS_DEFAULT_PROFILE=keys " + full, atFull,
			map[string]string{"Python/CLI": "profile:keys", "Go": "profile:keys", "C++": "profile:keys"}},
		{"both profile variables", "AWS_DEFAULT_PROFILE=process AWS_PROFILE=keys", "profile:keys", map[string]string{"Python/CLI": "profile:process"}},

		{"relative", relative, atRelative, nil},
		{"relative hides full", relative + " " + full, atRelative, nil},
		{"relative empty", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI= " + full, atFull,
			map[string]string{"Python/CLI": "broken:container.relative-empty", "Rust": "broken:container.relative-empty", "Ruby": "broken:container.relative-empty"}},
		{"relative without slash", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=v2/credentials/id " + off, "broken:container.relative-slash", map[string]string{"Java": "none"}},
		{"container goes before imds", full, atFull, nil},
		{"full at localhost", fullWith + "http://localhost:1/", "container http://localhost:1/", nil},
		{"full at ::1", fullWith + "http://[::1]:1/", "container http://[::1]:1/", map[string]string{"PHP": "broken:container.host"}},
		{"full at 127.1.2.3", fullWith + "http://127.1.2.3:1/", "container http://127.1.2.3:1/", map[string]string{"C++": "broken:container.host"}},
		{"full at 127.0.0.9", fullWith + "http://127.0.0.9:1/", "container http://127.0.0.9:1/", nil},
		{"full at the ECS address", fullWith + "http://169.254.170.2:1/", "container http://169.254.170.2:1/", nil},
		{"full at the EKS address", fullWith + "http://169.254.170.23/v1/credentials", "container http://169.254.170.23/v1/credentials", nil},
		{"full at the EKS address, IPv6", fullWith + "http://[fd00:ec2::23]/v1/credentials", "container http://[fd00:ec2::23]/v1/credentials", map[string]string{"Java": atIMDS}},
		{"the same in IPv6 mode", fullWith + "http://[fd00:ec2::23]/v1/credentials AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE=IPv6",
			"container http://[fd00:ec2::23]/v1/credentials", nil},
		{"full at host.docker.internal", fullWith + "http://host.docker.internal:4144/ " + off, "broken:container.host", map[string]string{"Java": "none"}},
		{"full at another machine", fullWith + "http://192.0.2.1/ " + off, "broken:container.host", map[string]string{"Java": "none"}},
		{"full at 0.0.0.0", fullWith + "http://0.0.0.0:1/ " + off, "broken:container.host", map[string]string{"Java": "none"}},
		{"full at a name of loopback", fullWith + "http://loop.example/ " + off, "container http://loop.example/",
			map[string]string{"Python/CLI": "broken:container.host", "JavaScript": "broken:container.host", ".NET": "broken:container.host"}},
		{"full at a name of both", fullWith + "http://mixed.example/ " + off, "broken:container.host", map[string]string{"Java": "none"}},
		{"full by https", fullWith + "https://other.example/creds", "container https://other.example/creds", nil},
		{"full by ftp", fullWith + "ftp://127.0.0.1/ " + off, "broken:container.host", map[string]string{"Java": "none"}},
		{"full is no URL", fullWith + "127.0.0.1:4144 " + off, "broken:container.url-invalid", map[string]string{"Java": "none"}},

		{"token", full + " AWS_CONTAINER_AUTHORIZATION_TOKEN=t", atFull, nil},
		{"token file", full + " AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=HOME/token", atFull, nil},
		{"token file missing", full + " " + off + " AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=HOME/nosuch", "broken:container.token-file-missing", map[string]string{"Java": "none"}},
		{"token file empty", full + " " + off + " AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=HOME/token-empty", "broken:container.token-file-empty", map[string]string{"Java": "none"}},
		{"token file with a newline", full + " " + off + " AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=HOME/token-newline", "broken:container.token-newline",
			map[string]string{"Java": "none", "Ruby": atFull}},
		{"token file with CRLF", full + " " + off + " AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=HOME/token-crlf", "broken:container.token-newline",
			map[string]string{"Java": "none", "Ruby": atFull}},
		{"Java takes the token first", full + " " + off + " AWS_CONTAINER_AUTHORIZATION_TOKEN=t AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=HOME/nosuch", "broken:container.token-file-missing",
			map[string]string{"Java": atFull}},
		{"a relative path of a token file", full + " " + off + " AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=nosuch", "broken:container.token-file-missing", map[string]string{"Java": "none"}},
	}
}

func TestFirstMatch(t *testing.T) {
	t.Parallel()
	pairs := 0
	for _, tt := range firstMatches() {
		t.Run(tt.name, func(t *testing.T) {
			dir := home(t, everyProfile, "")
			v := newView(Program{Env: NewEnviron(tt.environ(dir)), Dir: dir}, names)
			if v.filesErr != nil {
				t.Fatal(v.filesErr)
			}
			for _, s := range SDKs() {
				if got, want := v.walk(s).First(), tt.of(s); got != want {
					t.Errorf("%s: %s, want %s", s.Name, got, want)
				}
			}
			for name := range tt.differ {
				if !KnowsSDK(name) {
					t.Errorf("no SDK is called %s", name)
				}
			}
		})
		pairs += len(SDKs())
	}
	t.Logf("%d environments, %d pairs of environment and SDK", len(firstMatches()), pairs)
}

// The default profile counts without being named.
func TestDefaultProfile(t *testing.T) {
	t.Parallel()
	dir := home(t, "", "[default]\naws_access_key_id = AKIAEXAMPLEEXAMPLE00\naws_secret_access_key = s\n")
	v := newView(Program{Env: NewEnviron([]string{"HOME=" + dir, full})}, names)
	for _, s := range SDKs() {
		if got := v.walk(s).First(); got != "profile:keys" {
			t.Errorf("%s: %s", s.Name, got)
		}
	}
}

// Rust goes on past a missing profile when there is no profile at all.
func TestMissingProfileWithoutFiles(t *testing.T) {
	t.Parallel()
	v := newView(Program{Env: NewEnviron([]string{"HOME=" + t.TempDir(), "AWS_PROFILE=nosuch", full})}, names)
	for name, want := range map[string]string{"rust": atFull, "php": atFull, "python": "broken:profile.missing", "go": "broken:profile.missing"} {
		for _, s := range SDKs() {
			if s.Is(name) {
				if got := v.walk(s).First(); got != want {
					t.Errorf("%s: %s, want %s", s.Name, got, want)
				}
			}
		}
	}
}

func TestSDKOf(t *testing.T) {
	t.Parallel()
	for program, want := range map[string]string{
		"/usr/bin/php8.2": "PHP", "php-fpm8.2": "PHP", "python3.11": "Python/CLI", "/usr/local/bin/aws": "Python/CLI", "node": "JavaScript",
		"/opt/java/bin/java": "Java", "ruby3.1": "Ruby", "dotnet": ".NET", "terraform": "Go", "bash": "", "": "", "node.exe": "JavaScript",
	} {
		if got := SDKOf(program); got != want {
			t.Errorf("%s: %q, want %q", program, got, want)
		}
	}
}

// Name servers that do not answer cost less than half a second.
func TestLookupOfSilentNameServers(t *testing.T) {
	t.Parallel()
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	servers := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", silent.LocalAddr().String())
	}}
	look := func(host string) []netip.Addr { return lookupBy(servers, host) }
	env := NewEnviron([]string{"HOME=" + t.TempDir(), "AWS_REGION=eu-west-1", off, fullWith + "http://nosuch.example:4144/"})
	r := Run(t.Context(), Inspect(Program{Env: env}, Config{Resolve: look}))
	if r.Cause() != "container.host" || r.Took > time.Second {
		t.Errorf("%q in %s", r.Cause(), r.Took)
	}
	if got := look("app.localhost"); len(got) != 1 || !got[0].IsLoopback() {
		t.Error(got)
	}
}
