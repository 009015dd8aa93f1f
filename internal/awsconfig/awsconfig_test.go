package awsconfig

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
)

func parse(t *testing.T, config, credentials string) *Files {
	t.Helper()
	f, err := Parse(Paths{"config", "credentials"}, []byte(config), []byte(credentials))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestValues(t *testing.T) {
	const config = `# a comment
[default]
region = eu-west-1   # a comment
output=json

[profile dev]
Role_ARN = arn:aws:iam::123456789012:role/a#b
sso_start_url = https://x.awsapps.com/start#/
credential_process = /opt/get --x=y ;z
colon: value
quoted = "in quotes"
command = "/opt/my tool" "an argument"
s3 =
  Max_Concurrent_Requests = 20
  addressing_style = path # kept
    max_bandwidth = 1MB/s
region = us-east-1	; tab comment
long = one
  two # three
empty =

[sso-session corp]
sso_region = eu-central-1

[services local]
sts =
  endpoint_url = http://127.0.0.1:1/
`
	f := parse(t, config, "")
	if got, want := f.Names(), []string{"default", "dev"}; !reflect.DeepEqual(got, want) {
		t.Errorf("Names() = %q, want %q", got, want)
	}
	for _, tt := range []struct {
		profile, key, text string
		line               int
	}{
		{"default", "region", "eu-west-1", 3},
		{"default", "output", "json", 4},
		{"dev", "role_arn", "arn:aws:iam::123456789012:role/a#b", 7},
		{"dev", "ROLE_ARN", "arn:aws:iam::123456789012:role/a#b", 7},
		{"dev", "sso_start_url", "https://x.awsapps.com/start#/", 8},
		{"dev", "credential_process", "/opt/get --x=y", 9},
		{"dev", "colon", "value", 10},
		{"dev", "quoted", "in quotes", 11},
		{"dev", "command", `"/opt/my tool" "an argument"`, 12},
		{"dev", "s3", "", 13},
		{"dev", "region", "us-east-1", 17},
		{"dev", "long", "one\ntwo # three", 18},
		{"dev", "empty", "", 20},
	} {
		s, _ := f.Profile(tt.profile)
		v, ok := s.Get(tt.key)
		if !ok || v.Text != tt.text || v.Line != tt.line || v.File != "config" {
			t.Errorf("%s %s = %q at line %d (found %v), want %q at %d", tt.profile, tt.key, v.Text, v.Line, ok, tt.text, tt.line)
		}
	}
	dev, _ := f.Profile("dev")
	if dev.Has("max_concurrent_requests") {
		t.Error("a nested value became one of the profile")
	}
	if v, ok := dev.Sub("s3", "addressing_style"); !ok || v.Text != "path # kept" || v.Line != 15 {
		t.Errorf("nested value is %+v", v)
	}
	corp, ok := f.SSOSession("corp")
	if !ok || corp.Text("sso_region") != "eu-central-1" || corp.Line != 22 {
		t.Errorf("sso-session is %+v", corp)
	}
	local, _ := f.Services("local")
	if v, ok := local.Sub("STS", "Endpoint_URL"); !ok || v.Text != "http://127.0.0.1:1/" {
		t.Errorf("services value is %+v", v)
	}
	if faults := f.Faults(); len(faults) != 0 {
		t.Errorf("faults: %v", faults)
	}
}

func TestSections(t *testing.T) {
	for _, tt := range []struct {
		name, config, credentials string
		want                      map[string]string // profile → region
	}{
		{"credentials file wins", "[profile a]\nregion=1\n", "[a]\nregion=2\n", map[string]string{"a": "2"}},
		{"profile default goes first", "[default]\nregion=1\n[profile default]\nregion=2\n", "", map[string]string{"default": "2"}},
		{"in either order", "[profile default]\nregion=2\n[default]\nregion=1\n", "", map[string]string{"default": "2"}},
		{"duplicates merge", "[profile a]\nregion=1\n[profile b]\nregion=3\n[profile a]\nregion=2\n", "", map[string]string{"a": "2", "b": "3"}},
		{"word profile is needed", "[a]\nregion=1\n", "", map[string]string{}},
		{"word profile is wrong", "", "[profile a]\nregion=1\n", map[string]string{}},
		{"quoted names", "[profile \"a b\"]\nregion=1\n[profile 'c']\nregion=2\n", "['d e']\nregion=3\n", map[string]string{"a b": "1", "c": "2", "d e": "3"}},
		{"white space in headers", "  [ profile \t a ]  # x\nregion=1\n", "", map[string]string{"a": "1"}},
		{"byte order mark", "\ufeff[default]\nregion=1\n", "\ufeff[a]\nregion=2", map[string]string{"default": "1", "a": "2"}},
		{"CRLF", "[default]\r\nregion = 1\r\n\r\n[profile a]\r\nregion = 2 # x\r\n", "", map[string]string{"default": "1", "a": "2"}},
		{"broken header owns its keys", "[default]\nregion=1\n[profile a#b]\nregion=2\n[profile c\nregion=3\n[profile d]\nregion=4\n", "", map[string]string{"default": "1", "d": "4"}},
		{"keys above any section", "region=1\n[default]\nregion=2\n", "", map[string]string{"default": "2"}},
		{"junk line", "[default]\njunk\nregion=1\n", "", map[string]string{"default": "1"}},
		{"spaces in a credentials name", "", "[my own]\nregion=1\n", map[string]string{"my own": "1"}},
		{"lone quote", "[default]\nregion='\n", "", map[string]string{"default": "'"}},
		{"no newline at the end", "[default]\nregion=1", "", map[string]string{"default": "1"}},
		{"NUL and invalid UTF-8", "[default]\nregion=\x00\xff\n", "", map[string]string{"default": "\x00\xff"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := parse(t, tt.config, tt.credentials)
			got := map[string]string{}
			for _, name := range f.Names() {
				s, ok := f.Profile(name)
				if !ok || s.Name != name {
					t.Fatalf("Profile(%q) = %+v, %v", name, s, ok)
				}
				got[name] = s.Text("region")
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("regions are %q, want %q", got, tt.want)
			}
		})
	}
}

func TestFaults(t *testing.T) {
	const secret = "wJalrXUtnFEMI/CANARY"
	f := parse(t, "x = 1\n[default]\naws_secret_access_key "+secret+"\n[profile a;b]\nregion=1\n[other]\n  lost\n[plugins]\n",
		"[profile p]\n[]\n")
	want := []string{
		"config:1: a value above the first section: ignored",
		"config:3: neither a [section] nor a key = value: ignored",
		"config:4: broken section header: the keys below it are ignored",
		"config:7: an indented line that continues nothing: ignored",
		"config:6: section is ignored: in this file a profile is written [profile NAME]",
		"credentials:1: section is ignored: in this file a profile is written [NAME], without the word profile",
		"credentials:2: section without a name: ignored",
	}
	var got []string
	for _, fault := range f.Faults() {
		got = append(got, fault.Error())
		if strings.Contains(fault.Error(), "CANARY") {
			t.Errorf("a fault quotes the line: %v", fault)
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("faults:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	f := parse(t, "", "[a]\naws_access_key_id=AKIAFAKE\naws_secret_access_key=CANARY1\nAWS_Session_Token = CANARY2\naws_security_token=CANARY3\n")
	a, _ := f.Profile("a")
	for key, want := range map[string]string{"aws_secret_access_key": "CANARY1", "aws_session_token": "CANARY2"} {
		v, _ := a.Get(key)
		if v.Secret.Reveal() != want || v.Text != "" || a.Text(key) != "" {
			t.Errorf("%s is %+v, text %q", key, v, v.Text)
		}
	}
	js, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	v, _ := a.Get("aws_secret_access_key")
	for _, text := range []string{string(js), fmt.Sprintf("%v %+v %#v", f, f, f), fmt.Sprintf("%v %+v %#v", *a, *a, *a), fmt.Sprintf("%v %+v %#v", v, v, v)} {
		if strings.Contains(text, "CANARY") {
			t.Errorf("a secret was printed: %s", text)
		}
	}
}

func TestNilSection(t *testing.T) {
	var s *Section
	if _, ok := s.Get("x"); ok || s.Text("x") != "" || s.Has("x") || s.Keys() != nil {
		t.Error("a nil section has values")
	}
	if _, ok := s.Sub("x", "y"); ok {
		t.Error("a nil section has nested values")
	}
}

func TestDefaultPaths(t *testing.T) {
	home := filepath.Join(string(filepath.Separator), "home", "u")
	for _, tt := range []struct {
		name, config, credentials, home string
		want                            Paths
	}{
		{"defaults", "", "", home, Paths{filepath.Join(home, ".aws", "config"), filepath.Join(home, ".aws", "credentials")}},
		{"variables", "c", "d", home, Paths{"c", "d"}},
		{"tilde", "~/x", "~", home, Paths{filepath.Join(home, "x"), home}},
		{"no home", "", "", "", Paths{}},
		{"no home, tilde", "~/x", "", "", Paths{Config: "~/x"}},
		{"another's home", "~bob/x", "", home, Paths{"~bob/x", filepath.Join(home, ".aws", "credentials")}},
	} {
		env := map[string]string{"AWS_CONFIG_FILE": tt.config, "AWS_SHARED_CREDENTIALS_FILE": tt.credentials}
		if got := DefaultPaths(func(k string) string { return env[k] }, tt.home); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	p := Paths{filepath.Join(dir, "config"), filepath.Join(dir, "credentials")}
	f, err := Load(p)
	if err != nil || len(f.Names()) != 0 {
		t.Fatalf("missing files: %v, %v", f, err)
	}
	if f, err := Load(Paths{}); err != nil || len(f.Names()) != 0 {
		t.Fatalf("no paths: %v, %v", f, err)
	}
	if f, err := Load(Paths{os.DevNull, os.DevNull}); err != nil || len(f.Names()) != 0 {
		t.Fatalf("null device: %v, %v", f, err)
	}
	if f.Fingerprint != p.Fingerprint() {
		t.Error("the fingerprint of missing files differs from itself")
	}
	write(t, p.Config, "[profile a]\nregion=1\n")
	if f.Fingerprint == p.Fingerprint() {
		t.Error("a new file left the fingerprint alone")
	}
	f, err = Load(p)
	if err != nil || !reflect.DeepEqual(f.Names(), []string{"a"}) {
		t.Fatalf("%v, %v", f, err)
	}
	write(t, p.Config, "[profile a]\nregion=12\n")
	if f.Fingerprint == p.Fingerprint() {
		t.Error("a changed file left the fingerprint alone")
	}

	if _, err := Load(Paths{Config: dir}); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("directory: %v", err)
	}
	write(t, p.Credentials, "\xff\xfe[\x00")
	if _, err := Load(p); err == nil || !strings.Contains(err.Error(), "UTF-16") {
		t.Errorf("UTF-16: %v", err)
	}
	write(t, p.Credentials, strings.Repeat("# 16 bytes here\n", MaxFileSize/16)+"#")
	if _, err := Load(p); err == nil || !strings.Contains(err.Error(), "larger than 16 MiB") {
		t.Errorf("large file: %v", err)
	}
	if runtime.GOOS != "windows" && os.Geteuid() != 0 {
		write(t, p.Credentials, "")
		if err := os.Chmod(p.Credentials, 0); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(p); err == nil {
			t.Error("an unreadable file was taken as empty")
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
