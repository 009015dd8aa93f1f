package awsconfig

import (
	"bytes"
	"fmt"
	"sort"
	"strings"
)

// RoleProfile is a profile to be written for one role of an sso-session.
type RoleProfile struct {
	Session             string // its sso-session section; "" for a start URL
	StartURL, SSORegion string // without a Session
	AccountID           string
	AccountName         string
	Role                string
	Region              string // "": none is written
	Name                string // of the profile: see NameProfiles
}

// Placeholders of a name's format.
const (
	formatAccountName = "{account_name}"
	formatAccountID   = "{account_id}"
	formatRole        = "{role}"
	formatSession     = "{session}"
)

// DefaultFormat of profile names.
const DefaultFormat = formatAccountName + ":" + formatRole

// CheckFormat says what is wrong with the format of profile names.
func CheckFormat(format string) error {
	rest := strings.NewReplacer(formatAccountName, "", formatAccountID, "", formatRole, "", formatSession, "").Replace(format)
	switch i := strings.IndexAny(rest, "{}[]\"'\\\r\n#;"); {
	case i >= 0 && (rest[i] == '{' || rest[i] == '}'):
		return fmt.Errorf("%q has a placeholder other than %s, %s, %s, %s", format, formatAccountName, formatAccountID, formatRole, formatSession)
	case i >= 0:
		return fmt.Errorf("%q has a %q, which a profile's name cannot have", format, rest[i])
	case !strings.Contains(format, formatRole):
		return fmt.Errorf("%q has no %s: all roles of an account would have one name", format, formatRole)
	case !strings.Contains(format, formatAccountName) && !strings.Contains(format, formatAccountID):
		return fmt.Errorf("%q has neither %s nor %s: all accounts would have one name", format, formatAccountName, formatAccountID)
	}
	return nil
}

// NameProfiles fills in the names by format, sorts by them, and leaves out what
// is there twice. Accounts of one name are told apart by their ids.
func NameProfiles(format string, all []RoleProfile) []RoleProfile {
	named := make([]RoleProfile, 0, len(all))
	users := map[string]map[string]bool{} // :: name → accounts that would have it
	for _, p := range all {
		p.Name = strings.NewReplacer(formatAccountName, word(p.accountName()), formatAccountID, p.AccountID,
			formatRole, word(p.Role), formatSession, word(p.Session)).Replace(format)
		if users[p.Name] == nil {
			users[p.Name] = map[string]bool{}
		}
		users[p.Name][p.AccountID+"\n"+p.Session+"\n"+p.StartURL] = true
		named = append(named, p)
	}
	for i := range named {
		if p := &named[i]; len(users[p.Name]) > 1 {
			p.Name += "-" + p.AccountID
		}
	}
	sort.SliceStable(named, func(i, j int) bool { return named[i].Name < named[j].Name })
	out := named[:0]
	for i, p := range named {
		if i == 0 || out[len(out)-1].Name != p.Name {
			out = append(out, p)
		}
	}
	return out
}

func (p RoleProfile) accountName() string {
	if p.AccountName == "" {
		return p.AccountID
	}
	return p.AccountName
}

// word is text as a part of a profile's name, which nobody has to quote.
func word(text string) string {
	text = strings.Map(func(r rune) rune {
		if r <= ' ' || r == 0x7f || strings.ContainsRune("[]\"'\\#;{}", r) || r == '\u0085' || r == '\u2028' || r == '\u2029' || r == '\u00a0' || r == '\ufffd' {
			return '-'
		}
		return r
	}, text)
	return strings.Trim(text, "-")
}

// Manage puts profiles between the marks of one sign-in, title, in the text of
// a config file, in place of those that stood there; where there are no marks
// yet, at the end. None takes the marks away as well. All else stays byte for
// byte. The error names the line of a mark that has no partner.
func Manage(text []byte, title string, profiles []RoleProfile) ([]byte, error) {
	begin, end := marks(title)
	newline := "\n"
	if n := bytes.Count(text, []byte("\n")); n > 0 && n == bytes.Count(text, []byte("\r\n")) {
		newline = "\r\n"
	}
	from, to, err := between(text, begin, end)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	found := from >= 0
	if !found {
		from, to = len(text), len(text)
	}
	b.Write(text[:from])
	if len(profiles) > 0 {
		if !found && len(text) > 0 && !bytes.Equal(text, []byte("\ufeff")) {
			if text[len(text)-1] != '\n' {
				b.WriteString(newline)
			}
			b.WriteString(newline)
		}
		b.WriteString(begin + newline)
		for i, p := range profiles {
			if i > 0 {
				b.WriteString(newline)
			}
			for _, line := range p.lines() {
				b.WriteString(line + newline)
			}
		}
		b.WriteString(end)
		if to == len(text) || text[to] != '\n' && text[to] != '\r' {
			b.WriteString(newline)
		}
	} else if found {
		if to < len(text) && text[to] == '\r' {
			to++
		}
		if to < len(text) {
			to++
		}
	}
	b.Write(text[to:])
	return b.Bytes(), nil
}

// Unmanaged is the text without what stands between the marks of title.
func Unmanaged(text []byte, title string) ([]byte, error) { return Manage(text, title, nil) }

func marks(title string) (begin, end string) {
	return "# >>> rolecall profiles of " + title + " (written by: rolecall profiles write) >>>", "# <<< rolecall profiles of " + title + " <<<"
}

// between is where the line of begin begins, and where that of end ends, before
// its newline; -1 where there are none.
func between(text []byte, begin, end string) (from, to int, err error) {
	from, to = -1, -1
	open := 0 // number of the line of begin, when one is open
	at := 0
	for n, line := range bytes.SplitAfter(text, []byte("\n")) {
		bare := strings.TrimPrefix(strings.TrimRight(string(line), "\r\n"), "\ufeff")
		switch {
		case bare == begin && (open > 0 || to >= 0):
			return 0, 0, fmt.Errorf("line %d: the mark %q is there twice", n+1, begin)
		case bare == begin:
			open, from = n+1, at+len(strings.TrimRight(string(line), "\r\n"))-len(bare)
		case bare == end && open == 0:
			return 0, 0, fmt.Errorf("line %d: the mark %q has no beginning", n+1, end)
		case bare == end:
			open, to = 0, at+len(strings.TrimRight(string(line), "\r\n"))
		}
		at += len(line)
	}
	if open > 0 {
		return 0, 0, fmt.Errorf("line %d: the mark %q has no end; write %q below the last profile that rolecall wrote", open, begin, end)
	}
	return from, to, nil
}

func (p RoleProfile) lines() []string {
	lines := []string{"[profile " + p.Name + "]"}
	if p.Session != "" {
		lines = append(lines, "sso_session = "+p.Session)
	} else {
		lines = append(lines, "sso_start_url = "+p.StartURL, "sso_region = "+p.SSORegion)
	}
	lines = append(lines, "sso_account_id = "+p.AccountID, "sso_role_name = "+p.Role)
	if p.Region != "" {
		lines = append(lines, "region = "+p.Region)
	}
	return lines
}
