package config

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
)

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// faultsOf loads text and returns its faults without the file's name.
func faultsOf(t *testing.T, text string) []string {
	t.Helper()
	path := write(t, text)
	c, err := Load(path)
	if err == nil {
		return nil
	}
	if !reflect.DeepEqual(c, Config{}) {
		t.Errorf("a configuration came with the faults: %+v", c)
	}
	var fe *FaultsError
	if !errors.As(err, &fe) || fe.Hint() == "" {
		t.Fatalf("not a FaultsError: %v", err)
	}
	lines := strings.Split(err.Error(), "\n")
	for i, l := range lines {
		var ok bool
		if lines[i], ok = strings.CutPrefix(l, path+":"); !ok {
			t.Errorf("without the file: %s", l)
		}
	}
	return lines
}

func TestLoadEverything(t *testing.T) {
	path := write(t, `
listen = ["localhost:4144", "[::1]:0", "0.0.0.0:8080"]
hosts = ["rolecall.example", "host.docker.internal:4144"]
metrics = true
max_connections = 10
store = "memory"
load = "dev"
imds = ["localhost:1338", "172.17.0.1:80"]
imds_v1 = true
imds_hop_limit = 2
imds_allow = ["172.17.0.0/16", "fd00::7"]

mfa_session = "1h30m"
notify = true
notify_before = "20m"
[slots]
zeta = "profile:prod"
"team a/audit" = "role:arn:aws:iam::123456789012:role/audit@prod"
alpha = "imds"

[auth]
mode = "token"
allow_uids = [33, 0]

[tls]
cert = "tls/cert.pem"
key = '/etc/key.pem'

[log]
level = "debug"
format = "json"
`)
	got, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	listen := func(s string) ListenAddr {
		a, err := ParseListen(s)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	want := Config{
		Path:           path,
		Listen:         []ListenAddr{listen("127.0.0.1:4144"), listen("[::1]:0"), listen("0.0.0.0:8080")},
		Hosts:          []string{"rolecall.example", "host.docker.internal:4144"},
		Metrics:        true,
		MaxConnections: 10, Store: StoreMemory, MFASession: 90 * time.Minute, Notify: true, NotifyBefore: 20 * time.Minute,
		Load: "dev",
		Slots: []Slot{{"zeta", "profile:prod"},
			{"team a/audit", "role:arn:aws:iam::123456789012:role/audit@prod"}, {"alpha", "imds"}},
		IMDS: IMDS{Listen: []ListenAddr{listen("127.0.0.1:1338"), listen("172.17.0.1:80")}, V1: true, HopLimit: 2,
			Allow: []netip.Prefix{netip.MustParsePrefix("172.17.0.0/16"), netip.MustParsePrefix("fd00::7/128")}},
		Auth: Auth{Mode: AuthToken, AllowUIDs: []uint32{33, 0}},
		TLS:  TLS{Cert: filepath.Join(filepath.Dir(path), "tls", "cert.pem"), Key: "/etc/key.pem"},
		Log:  Log{Level: slog.LevelDebug, Format: LogJSON},
	}
	if runtime.GOOS == "windows" { // where /etc has no drive
		want.TLS.Key = filepath.Join(filepath.Dir(path), "/etc/key.pem")
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if err := got.Check(); err != nil {
		t.Error(err)
	}
}

func TestLoadUserNames(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("users have no numbers on Windows")
	}
	c, err := Load(write(t, "[auth]\nallow_uids = ['root', 33]"))
	if err != nil || !reflect.DeepEqual(c.Auth.AllowUIDs, []uint32{0, 33}) {
		t.Errorf("got %v, %v", c.Auth.AllowUIDs, err)
	}
}

func TestSample(t *testing.T) {
	want := Default()
	for name, text := range map[string]string{"sample": Sample, "empty": "", "only a comment": "# nothing"} {
		path := write(t, text)
		want.Path = path
		if got, err := Load(path); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, %v; want the defaults, %+v", name, got, err, want)
		}
	}
	if err := Default().Check(); err != nil {
		t.Error(err)
	}

	// With every # taken away it loads too, and the defaults it shows are so.
	setting := regexp.MustCompile(`(?m)^#(\S)`)
	if n := len(setting.FindAllString(Sample, -1)); n < 13 {
		t.Errorf("only %d settings in the sample", n)
	}
	full := setting.ReplaceAllString(Sample, "$1")
	got, err := Load(write(t, full))
	if err != nil {
		t.Fatal(err)
	}
	d := Default()
	if !reflect.DeepEqual(got.Listen, d.Listen) || got.Metrics != d.Metrics || got.MaxConnections != d.MaxConnections ||
		got.Auth.Mode != d.Auth.Mode || got.Log != d.Log {
		t.Errorf("the sample shows other defaults: %+v", got)
	}
	for _, key := range topKeys() {
		if !regexp.MustCompile(`(?m)^(\[` + key + `\]|` + key + ` = )`).MatchString(full) {
			t.Errorf("the sample does not speak of %s", key)
		}
	}
}

func TestMissingFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none", "config.toml")
	if _, err := Load(path); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), path) {
		t.Errorf("Load: %v", err)
	}
	if c, err := LoadIfPresent(path); err != nil || !reflect.DeepEqual(c, Default()) {
		t.Errorf("LoadIfPresent: %+v, %v", c, err)
	}
	if _, err := LoadIfPresent(write(t, "x = 1")); err == nil {
		t.Error("LoadIfPresent took a bad file")
	}
}

func TestFileThatOthersMayWrite(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows files have no mode bits")
	}
	path := write(t, "")
	for mode, fine := range map[fs.FileMode]bool{0o600: true, 0o644: true, 0o664: false, 0o666: false} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		_, err := Load(path)
		if (err == nil) != fine {
			t.Errorf("mode %o: %v", mode, err)
		}
		var hinted interface{ Hint() string }
		if err != nil && (!errors.As(err, &hinted) || !strings.HasPrefix(hinted.Hint(), "chmod go-w ")) {
			t.Errorf("mode %o: no hint in %v", mode, err)
		}
	}
}

func TestFaults(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"unknown key", "listne = []", `1: listne: there is no such setting; did you mean "listen"?`},
		{"unknown key far from any", "[log]\n\ncolour = 1", "3: log.colour: there is no such setting; there are format, level"},
		{"other case", "\nMetrics = true", `2: Metrics: there is no such setting; did you mean "metrics"?`},
		{"unknown table", "[servers]\n[servers.a]\nx = 1", "1: servers: there is no such setting; there are auth, "},
		{"unknown table made by its part", "\n\n[servers.a]\nx = 1", "3: servers: there is no such setting; there are auth, "},
		{"wrong type", "metrics = 'yes'", "1: metrics: is a string and must be true or false"},
		{"fraction", "max_connections = 1.5", "1: max_connections: is a fraction and must be a number"},
		{"string for an array", "listen = '127.0.0.1:1'", "1: listen: is a string and must be an array, [ … ]"},
		{"element's type", "listen = [\n  '127.0.0.1:1',\n  4144,\n]", `3: listen[1]: is a number and must be a string, "…"`},
		{"array of tables", "[[slots]]\na = 'b'", "1: slots: is an array of tables and must be a table, [slots],"},
		{"table for a string", "[load]\na = 1", "1: load: is a table and must be a string"},
		{"string for a table", "auth = 'none'", "1: auth: is a string and must be a table, [auth]"},
		{"date", "load = 2026-01-01", "1: load: is a time.Time and must be a string"},
		{"empty string", "load = ''", "1: load: is empty; write a value, or take the line out"},

		{"no port", "listen = ['127.0.0.1']", `1: listen[0]: "127.0.0.1" has no port; write "127.0.0.1:4144"`},
		{"only a port", "listen = ['4144']", `1: listen[0]: "4144" is only a port; write "127.0.0.1:4144"`},
		{"port too high", "listen = ['127.0.0.1:65536']", "1: listen[0]: \"127.0.0.1:65536\" has a port that is not a number from 0 to 65535"},
		{"host name", "listen = ['example.com:80']", "1: listen[0]: \"example.com:80\" has a host that is not an IP address or localhost"},
		{"twice", "listen = [\n'127.0.0.1:80', # one\n# two\n 'localhost:80']", "4: listen[1]: 127.0.0.1:80 is there twice"},
		{"wildcard without authorization", "listen = ['127.0.0.1:1', \n':4144']\n[auth]\nmode = 'none'",
			`2: listen[1]: 0.0.0.0:4144 is beyond loopback, and with auth.mode "none" everybody`},

		{"host with scheme", "hosts = ['http://a']", `1: hosts[0]: "http://a"`},
		{"host twice", "hosts = ['a', 'b',\n'a']", `2: hosts[2]: "a" is there twice`},
		{"no connections", "max_connections = 0", "1: max_connections: 0 is not a number from 1 to 1000000"},
		{"MFA session too short", "mfa_session = '14m'", "1: mfa_session: 14m0s is not from 15m to 36h"},
		{"MFA session too long", "mfa_session = '37h'", "1: mfa_session: 37h0m0s is not from 15m to 36h"},
		{"MFA session without unit", "mfa_session = '12'", `1: mfa_session: is no length of time; write it as "12h"`},
		{"MFA session no text", "mfa_session = 12", "1: mfa_session"},
		{"notice too early", "notify_before = '25h'", "1: notify_before: 25h0m0s is not from 0s to 24h"},
		{"negative connections", "max_connections = -9223372036854775808", "1: max_connections: -1 is not"},

		{"auth mode", "[auth]\nmode = 'on'", `2: auth.mode: "on" is not one of ["auto" "token" "none"]`},
		{"dotted", "\nauth.mode = 'on'", `2: auth.mode: "on" is not one of`},
		{"inline table", "\nauth = { mode = 'on' }", `2: auth.mode: "on" is not one of`},
		{"negative uid", "[auth]\nallow_uids = [33,\n\n-1]", "4: auth.allow_uids[1]: -1 is not a user's number"},
		{"uid too high", "[auth]\nallow_uids = [4294967295]", "2: auth.allow_uids[0]: 4294967295 is not a user's number"},
		{"no such user", "[auth]\nallow_uids = ['no such user']", `2: auth.allow_uids[0]: there is no user "no such user" on this machine`},
		{"certificate alone", "[tls]\ncert = 'a'", "2: tls.cert: a certificate needs its private key"},
		{"key alone", "[tls]\n# x\nkey = 'a'", "3: tls.key: a private key needs its certificate"},
		{"level", "[log]\nlevel = 'loud'", `2: log.level: "loud" is not one of ["debug" "info" "warn" "error"]`},
		{"format", "[log]\nformat = 'xml'", `2: log.format: "xml" is not one of ["auto" "text" "json"]`},

		{"slot named default", "[slots]\ndefault = 'dev'", "2: slots.default: the default slot is not a named one: write load ="},
		{"slot with no name", "[slots]\n'' = 'dev'", `2: slots."": a slot's name is empty`},
		{"slot ..", "[slots]\na = 'b'\n'..' = 'dev'", `3: slots."..": ".." cannot be a slot's name`},
		{"slot with an unseen character", "[slots]\n\"a\\u202eb\" = 'dev'", "2: slots.\"a\\u202eb\": a slot's name has the invisible character U+202E"},
		{"slot without source", "[slots]\na = ''", "2: slots.a: is empty"},
		{"slot as a table", "[slots.a]\nsource = 'b'", `1: slots.a: is a table and must be a string`},
		{"source with a newline", "[slots]\na = \"b\\nc\"", "2: slots.a: a source has the invisible character U+000A"},
		{"load with a control character", "load = \"\\u0007\"", "1: load: a source has the invisible character U+0007"},

		{"syntax", "listen = [\nmetrics", "2: not valid TOML: "},
		{"duplicate", "[slots]\nprod = 'a'\nprod = 'b'", "3: not valid TOML: Key 'slots.prod' has already been defined"},
		{"table twice", "[log]\n[auth]\n[log]", "3: not valid TOML: Key 'log' has already been defined"},
		{"behind a byte order mark", "\ufefflisten = ['127.0.0.1:1',\n'x']", "2: listen[1]: "},
		{"no TOML at all", "\x00\x01", "1: not valid TOML: "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, ending := range []string{"\n", "\r\n"} {
				text := strings.ReplaceAll(tt.text, "\n", ending)
				if got := faultsOf(t, text); len(got) != 1 || !strings.HasPrefix(got[0], tt.want) {
					t.Errorf("with %q:\ngot  %q\nwant %q…", ending, got, tt.want)
				}
			}
		})
	}
}

func TestAllFaultsAtOnceInOrder(t *testing.T) {
	got := faultsOf(t, `metrics = 1
listen = [
	"127.0.0.1:4144", "x:y",
	"""
b""", 'a#b', # "no"
	"0.0.0.0:1",
]
colour = "blue"
[slots]
ok = "dev"
bad = 3

[tls]
cert = "c"

[auth]
mode = "none"
allow_uids = [
    1,
    "nobody at all",
    [2],
]
`)
	want := []string{"1: metrics: ", "3: listen[1]: ", "4: listen[2]: ", "5: listen[3]: ", "6: listen[4]: ",
		"8: colour: ", "11: slots.bad: ", "14: tls.cert: ", "20: auth.allow_uids[1]: ", "21: auth.allow_uids[2]: "}
	if len(got) != len(want) {
		t.Fatalf("got %d faults, want %d:\n%s", len(got), len(want), strings.Join(got, "\n"))
	}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("got %q, want %q…", got[i], want[i])
		}
	}
}

func TestTooManyFaults(t *testing.T) {
	var b strings.Builder
	for i := range 300 {
		fmt.Fprintf(&b, "key%d = 1\n", i)
	}
	got := faultsOf(t, b.String())
	if len(got) != maxFaults+1 || !strings.HasPrefix(got[0], "1: key0: ") ||
		!strings.HasPrefix(got[maxFaults-1], "50: key49: ") || got[maxFaults] != " and 250 more faults" {
		t.Errorf("got %d: %q … %q", len(got), got[0], got[len(got)-1])
	}
}

// A file named by mistake may hold secrets.
func TestFaultsShowNoValues(t *testing.T) {
	const secret = "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY"
	for _, text := range []string{
		"[default]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = " + secret,
		"aws_secret_access_key = '" + secret + "'",
		"load = 12" + secret, "load = \"" + secret, "load = \"\\" + secret + "\"", "load = 2026-01-01T" + secret, secret + "\n",
		"load = 0x" + secret, "load = 1_" + secret, "load = 1e" + secret, "load = [" + secret + "]", "load = 99999999999999999999999",
	} {
		if got := strings.Join(faultsOf(t, text), "\n"); got == "" || strings.Contains(got, secret[:12]) || strings.Contains(got, "999999") {
			t.Errorf("%q: %s", text, got)
		}
	}
}

func TestLoadTooLarge(t *testing.T) {
	if _, err := Load(write(t, "#"+strings.Repeat(" ", maxFile))); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("got %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(Sample)
	f.Add(strings.ReplaceAll(Sample, "\n#", "\n"))
	f.Add("listen = [ \"a\", '''b''', \"\"\"\nc\\\"\"\"\"\" , [1], {a = 1}, # d\n 1 ]\n[[slots]]\n[slots.a.b]\n")
	f.Add("auth.mode = 'none'\nauth.allow_uids = ['x', -1, 1.5]\n\"\" = 1\n'a.b'.c = 2\r\n")
	f.Add("a = \"\\\x00\"")
	f.Add("\ufefflisten = [\"\\U0001F600\",]\nlog = { level = 'x', format = \"\" }")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parse("f", text)
		if err == nil {
			if faults := c.Validate(); len(faults) > 0 {
				t.Errorf("loaded, and yet %v", faults)
			}
			return
		}
		var fe *FaultsError
		if !errors.As(err, &fe) || len(fe.Faults) == 0 {
			t.Fatalf("%v is no FaultsError", err)
		}
		lines, last := strings.Count(text, "\n")+1, 0
		for _, f := range fe.Faults {
			if _, unseen := firstUnseen(strings.ReplaceAll(f.String(), "\t", " ")); unseen {
				t.Errorf("a fault with invisible characters: %q", f)
			}
			if f.Line < 0 || f.Line > lines || f.Msg == "" || f.File != "f" {
				t.Errorf("a fault on line %d of %d: %+v", f.Line, lines, f)
			}
			if f.Line < last && f.Line > 0 {
				t.Errorf("the faults are not in order: %v", err)
			}
			last = f.Line
		}
	})
}
