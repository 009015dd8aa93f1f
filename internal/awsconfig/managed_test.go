package awsconfig

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

func roleProfiles() []RoleProfile {
	return NameProfiles(DefaultFormat, []RoleProfile{
		{Session: "corp", AccountID: "222222222222", AccountName: "Prod [eu] \"x\"", Role: "Admin", Region: "eu-west-1"},
		{Session: "corp", AccountID: "111111111111", AccountName: "dev", Role: "ReadOnly"},
		{Session: "corp", AccountID: "111111111111", AccountName: "dev", Role: "ReadOnly"},
	})
}

func TestNames(t *testing.T) {
	all := []RoleProfile{
		{Session: "corp", AccountID: "111111111111", AccountName: "dev", Role: "Admin"},
		{Session: "corp", AccountID: "222222222222", AccountName: "dev", Role: "Admin"},
		{Session: "corp", AccountID: "333333333333", Role: "Admin"},
		{Session: "corp", AccountID: "444444444444", AccountName: " My\tAccount\u2028#1; ", Role: "a@b"},
	}
	for _, tt := range []struct{ format, want string }{
		{DefaultFormat, "333333333333:Admin My-Account--1:a@b dev:Admin-111111111111 dev:Admin-222222222222"},
		{"{account_id}.{role}", "111111111111.Admin 222222222222.Admin 333333333333.Admin 444444444444.a@b"},
		{"{session}/{account_id}/{role}", "corp/111111111111/Admin corp/222222222222/Admin corp/333333333333/Admin corp/444444444444/a@b"},
	} {
		if err := CheckFormat(tt.format); err != nil {
			t.Error(err)
		}
		var names []string
		for _, p := range NameProfiles(tt.format, all) {
			names = append(names, p.Name)
		}
		if got := strings.Join(names, " "); got != tt.want {
			t.Errorf("%s: %s\nwant %s", tt.format, got, tt.want)
		}
	}
	for format, says := range map[string]string{
		"":                       "has no {role}",
		"{role}":                 "has neither",
		"{account_name}":         "has no {role}",
		"{account}:{role}":       "a placeholder other than",
		"{account_id}:{role}}":   "a placeholder other than",
		"[{account_id}:{role}":   `has a '['`,
		"{account_id}\n{role}":   `has a '\n'`,
		"{account_id}#{role}":    `has a '#'`,
		"\"{account_id}\"{role}": `has a '"'`,
	} {
		if err := CheckFormat(format); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", format, err)
		}
	}
}

func TestManage(t *testing.T) {
	const block = "# >>> rolecall profiles of corp (written by: rolecall profiles write) >>>\n" +
		"[profile Prod--eu---x:Admin]\nsso_session = corp\nsso_account_id = 222222222222\nsso_role_name = Admin\nregion = eu-west-1\n\n" +
		"[profile dev:ReadOnly]\nsso_session = corp\nsso_account_id = 111111111111\nsso_role_name = ReadOnly\n" +
		"# <<< rolecall profiles of corp <<<\n"
	crlf := strings.ReplaceAll(block, "\n", "\r\n")
	for _, tt := range []struct{ name, before, after string }{
		{"no file", "", block},
		{"at the end", "[default]\nregion=x # mine\n", "[default]\nregion=x # mine\n\n" + block},
		{"no newline at the end", "[default]", "[default]\n\n" + block},
		{"CRLF", "[default]\r\nregion=x\r\n", "[default]\r\nregion=x\r\n\r\n" + crlf},
		{"a BOM", "\ufeff[default]\n", "\ufeff[default]\n\n" + block},
		{"only a BOM", "\ufeff", "\ufeff" + block},
		{"old ones", "a\n# >>> rolecall profiles of corp (written by: rolecall profiles write) >>>\n[profile gone]\n# <<< rolecall profiles of corp <<<\n; a comment\n[profile b]\n", "a\n" + block + "; a comment\n[profile b]\n"},
		{"of another session", "# >>> rolecall profiles of corp2 (written by: rolecall profiles write) >>>\n# <<< rolecall profiles of corp2 <<<\n",
			"# >>> rolecall profiles of corp2 (written by: rolecall profiles write) >>>\n# <<< rolecall profiles of corp2 <<<\n\n" + block},
		{"old ones at the very end", "# >>> rolecall profiles of corp (written by: rolecall profiles write) >>>\n# <<< rolecall profiles of corp <<<", block},
		{"old ones after a BOM", "\ufeff# >>> rolecall profiles of corp (written by: rolecall profiles write) >>>\n# <<< rolecall profiles of corp <<<\n", "\ufeff" + block},
	} {
		got, err := Manage([]byte(tt.before), "corp", roleProfiles())
		if err != nil || string(got) != tt.after {
			t.Errorf("%s: %v\n%q\nwant\n%q", tt.name, err, got, tt.after)
		}
		again, err := Manage(got, "corp", roleProfiles())
		if err != nil || !bytes.Equal(again, got) {
			t.Errorf("%s: twice gives %q, %v", tt.name, again, err)
		}
		f, err := Parse(Paths{Config: "c"}, got, nil)
		if err != nil {
			t.Fatal(err)
		}
		if s, ok := f.Profile("dev:ReadOnly"); !ok || s.Text("sso_account_id") != "111111111111" {
			t.Errorf("%s: the profile is not read back", tt.name)
		}
	}
	for text, says := range map[string]string{
		"x\n# >>> rolecall profiles of corp (written by: rolecall profiles write) >>>\n[profile a]\n":                                                                           "line 2: the mark",
		"x\n\n# <<< rolecall profiles of corp <<<\n":                                                                                                                            "line 3: the mark",
		"# >>> rolecall profiles of corp (written by: rolecall profiles write) >>>\n# >>> rolecall profiles of corp (written by: rolecall profiles write) >>>\n":                "line 2: the mark",
		"# >>> rolecall profiles of corp (written by: rolecall profiles write) >>>\n# <<< rolecall profiles of corp <<<\n# <<< rolecall profiles of corp <<<\n":                 "line 3: the mark",
		"# >>> rolecall profiles of corp (written by: rolecall profiles write) >>>\n# <<< rolecall profiles of corp <<<\n" + strings.SplitAfter(block, "\n")[0] + "[profile a]": "line 3: the mark",
	} {
		if got, err := Manage([]byte(text), "corp", roleProfiles()); err == nil || !strings.Contains(err.Error(), says) || got != nil {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
}

func TestUnmanaged(t *testing.T) {
	for _, before := range []string{"", "[a]\nx=1\n", "[a]\r\nx=1\r\n", "[a]"} {
		with, err := Manage([]byte(before), "corp", roleProfiles())
		if err != nil {
			t.Fatal(err)
		}
		without, err := Unmanaged(with, "corp")
		if err != nil || strings.TrimRight(string(without), "\r\n") != strings.TrimRight(before, "\r\n") {
			t.Errorf("%q came back as %q, %v", before, without, err)
		}
	}
}

// FuzzManage: what stands outside the marks stays byte for byte, and twice is
// as once.
func FuzzManage(f *testing.F) {
	with, err := Manage([]byte("[a]\n"), "corp", roleProfiles())
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{"", "[a]\r\nb=c\r\n", "\ufeff", "\n\n", string(with), string(with) + "tail"} {
		f.Add([]byte(seed), 2)
	}
	f.Fuzz(func(t *testing.T, text []byte, n int) {
		some := roleProfiles()[:max(0, min(n, 2))]
		got, err := Manage(text, "corp", some)
		if err != nil {
			return
		}
		begin, end := marks("corp")
		outside := func(text []byte) string {
			from, to, err := between(text, begin, end)
			if err != nil {
				t.Fatal(err)
			}
			if from < 0 {
				return string(text)
			}
			return string(text[:from]) + string(text[to:])
		}
		trim := func(s string) string { return strings.TrimRight(s, "\r\n") }
		if a, b := trim(outside(text)), trim(outside(got)); a != b && len(some) > 0 {
			t.Errorf("outside the marks %q became %q", a, b)
		}
		again, err := Manage(got, "corp", some)
		if err != nil || !bytes.Equal(again, got) {
			t.Errorf("twice %q gives %q, then %q, %v", text, got, again, err)
		}
	})
}

func ExampleManage() {
	text, _ := Manage([]byte("[default]\nregion = eu-west-1\n"), "corp", []RoleProfile{{Name: "dev:Admin", Session: "corp", AccountID: "111111111111", Role: "Admin"}})
	fmt.Print(string(text))
	// Output:
	// [default]
	// region = eu-west-1
	//
	// # >>> rolecall profiles of corp (written by: rolecall profiles write) >>>
	// [profile dev:Admin]
	// sso_session = corp
	// sso_account_id = 111111111111
	// sso_role_name = Admin
	// # <<< rolecall profiles of corp <<<
}
