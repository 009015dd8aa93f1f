package sso

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rolecall/internal/awsconfig"
)

func files(t *testing.T, text string) *awsconfig.Files {
	t.Helper()
	f, err := awsconfig.Parse(awsconfig.Paths{Config: "config", Credentials: "credentials"}, []byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestSessions(t *testing.T) {
	f := files(t, `
[profile a]
sso_session = corp
[profile old]
sso_start_url = https://corp.awsapps.com/start
sso_region = eu-west-1
[profile old2]
sso_start_url = https://corp.awsapps.com/start
sso_region = eu-west-1
[profile half]
sso_start_url = https://half.awsapps.com/start
[profile contradicts]
sso_session = corp
sso_region = us-east-1
[sso-session corp]
sso_start_url = https://corp.awsapps.com/start
sso_region = eu-west-1
sso_registration_scopes = sso:account:access , x
[sso-session broken]
sso_region = eu-west-1
[sso-session alone]
sso_start_url = https://d-1.awsapps.com/start
sso_region = eu-west-1
`)
	further, err := FromStartURL("https://far.awsapps.com/start", "us-east-1")
	if err != nil {
		t.Fatal(err)
	}
	known, _ := FromStartURL("https://corp.awsapps.com/start", "eu-west-1")
	var got []string
	for _, s := range Sessions(f, []Session{further, known}) {
		got = append(got, fmt.Sprintf("%s %v %s %s %q %s", s.Name, s.Section, s.StartURL, s.Region, s.Scopes, s.Profile))
	}
	want := []string{
		`alone true https://d-1.awsapps.com/start eu-west-1 [] `,
		`corp true https://corp.awsapps.com/start eu-west-1 ["sso:account:access" "x"] a`,
		`corp-2 false https://corp.awsapps.com/start eu-west-1 [] old`,
		`far false https://far.awsapps.com/start us-east-1 [] `,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for name, word := range map[string]string{"half": "has no sso_region", "contradicts": "differs from that of [sso-session corp]"} {
		p, _ := f.Profile(name)
		if _, err := FromProfile(f, p); err == nil || !strings.Contains(err.Error(), word) || !strings.Contains(err.Error(), "config:") || err.(*FileError).Hint() == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestStartURLs(t *testing.T) {
	for _, bad := range []string{"", "x", "http://x.awsapps.com/start", "ftp://127.0.0.1/start", "https://", "https://me:pw@x.awsapps.com/start"} {
		if _, err := FromStartURL(bad, "eu-west-1"); err == nil {
			t.Errorf("%q was taken", bad)
		} else if strings.Contains(err.Error(), "pw") {
			t.Errorf("a password is in %v", err)
		}
	}
	for _, bad := range []string{"", "eu west", "EU-WEST-1", "-x", "a/b", strings.Repeat("x", 64)} {
		if _, err := FromStartURL("https://x.awsapps.com/start", bad); err == nil {
			t.Errorf("region %q was taken", bad)
		}
	}
	for url, name := range map[string]string{"https://d-1234567890.awsapps.com/start": "d-1234567890", "https://start.us-gov-home.awsapps.com/directory/x": "start", "http://127.0.0.1:80/start": "127.0.0.1", "http://[::1]/start": "sso"} {
		if s, err := FromStartURL(url, "eu-west-1"); err != nil || s.Name != name || !strings.Contains(s.Command(), url) && !strings.Contains(url, "[") {
			t.Errorf("%s: %+v, %v", url, s, err)
		}
	}
}

func TestFurther(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "sso-sessions.json")
	if got := ReadFurther(path); got != nil {
		t.Errorf("%v", got)
	}
	a, _ := FromStartURL("https://a.awsapps.com/start", "eu-west-1")
	b, _ := FromStartURL("https://b.awsapps.com/start", "us-east-1")
	for _, step := range []struct {
		s    Session
		keep bool
		want string
	}{{a, true, "a"}, {b, true, "b a"}, {a, true, "a b"}, {b, false, "a"}, {a, false, ""}} {
		if err := KeepFurther(path, step.s, step.keep); err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, s := range ReadFurther(path) {
			names = append(names, s.Name)
		}
		if got := strings.Join(names, " "); got != step.want {
			t.Errorf("%s, want %s", got, step.want)
		}
	}
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := ReadFurther(path); got != nil {
		t.Errorf("%v", got)
	}
}
