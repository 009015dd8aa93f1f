package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"rolecall/internal/creds"
)

// hostile are values that mean something to one shell or another.
var hostile = []string{
	"plain", "with space", "a'b", `a"b`, `a\b`, `\`, `'`, `''`, `\'`, "$HOME", "$(touch pwned)", "`touch pwned`", "; touch pwned", "| touch pwned",
	"&& touch pwned", "a\nb", "\ntouch pwned\n", "a\r\nb", "!!", "*", "~", "{a,b}", "%PATH%", "a‘b’c‚d‛e", "‘; touch pwned; ‘", "é😀", "-n", "#x", "a=b", "\t",
	"(touch pwned)", "'; touch pwned; '", `\'; touch pwned; \'`, "$'\\x41'", "${IFS}",
}

// evaluators run a line in a shell and print the variable X.
var evaluators = map[string]func(line string) *exec.Cmd{
	"sh":   func(l string) *exec.Cmd { return exec.Command("sh", "-c", l+`printf %s "$X"`) },
	"bash": func(l string) *exec.Cmd { return exec.Command("bash", "-c", l+`printf %s "$X"`) },
	"zsh":  func(l string) *exec.Cmd { return exec.Command("zsh", "-c", l+`printf %s "$X"`) },
	"fish": func(l string) *exec.Cmd { return exec.Command("fish", "-c", l+`printf %s "$X"`) },
	"powershell": func(l string) *exec.Cmd {
		return exec.Command("pwsh", "-NoProfile", "-Command", l+`[Console]::Out.Write($env:X)`)
	},
}

func formatOf(shell string) string {
	switch shell {
	case "bash", "zsh":
		return "sh"
	}
	return shell
}

// TestShellsReadBack evaluates every hostile value in every shell that there is.
func TestShellsReadBack(t *testing.T) {
	for shell, command := range evaluators {
		t.Run(shell, func(t *testing.T) {
			if _, err := exec.LookPath(command("").Path); err != nil {
				t.Skipf("%s is not installed", shell)
			}
			for _, value := range hostile {
				readBack(t, command, formatOf(shell), value)
			}
		})
	}
}

func readBack(t *testing.T, command func(string) *exec.Cmd, format, value string) {
	t.Helper()
	line, err := assignment(format, variable{"X", value})
	if err != nil {
		t.Fatalf("%q: %v", value, err)
	}
	cmd := command(line)
	cmd.Dir = t.TempDir()
	out, err := cmd.Output()
	if err != nil || string(out) != value {
		t.Errorf("%s made %q of %q: %v", format, out, value, err)
	}
	if _, err := os.Stat(filepath.Join(cmd.Dir, "pwned")); err == nil {
		t.Errorf("%s: %q was executed", format, value)
	}
}

// unquote reads what a format wrote by the rules of its shell, and nothing else.
func unquote(format, s string) (string, bool) {
	rest, ok := strings.CutPrefix(s, "'")
	if !ok {
		return "", false
	}
	var b strings.Builder
	r := []rune(rest)
	quote := func(c rune) bool {
		return c == '\'' || format == "powershell" && strings.ContainsRune("‘’‚‛", c)
	}
	for i := 0; i < len(r); i++ {
		next := rune(-1)
		if i+1 < len(r) {
			next = r[i+1]
		}
		switch {
		case format == "fish" && r[i] == '\\' && (next == '\\' || next == '\''):
			b.WriteRune(next)
			i++
		case format == "sh" && r[i] == '\'' && strings.HasPrefix(string(r[i:]), `'\''`):
			b.WriteByte('\'')
			i += 3
		case format == "powershell" && quote(r[i]) && quote(next):
			b.WriteRune(r[i])
			i++
		case quote(r[i]):
			return b.String(), i == len(r)-1
		default:
			b.WriteRune(r[i])
		}
	}
	return "", false
}

func FuzzQuoting(f *testing.F) {
	for _, v := range hostile {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if !strings.Contains(value, "\x00") && strings.ToValidUTF8(value, "") == value {
			for _, format := range []string{"sh", "fish", "powershell"} {
				line, err := assignment(format, variable{"X", value})
				if err != nil {
					t.Fatal(err)
				}
				_, quoted, _ := strings.Cut(strings.TrimSuffix(line, "\n"), map[string]string{"sh": "X=", "fish": "X ", "powershell": "X = "}[format])
				if got, ok := unquote(format, quoted); !ok || got != value {
					t.Errorf("%s: %q reads as %q (%v)", format, line, got, ok)
				}
			}
		}
		// A slot's URL holds nothing that any format would have to quote.
		if u := pathOf(value, ""); value != "" && strings.Trim(u, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._:%/") != "" {
			t.Errorf("the path of %q is %q", value, u)
		}
	})
}

func TestDotenvAndDocker(t *testing.T) {
	for _, c := range []struct{ format, value, want string }{
		{"dotenv", "http://127.0.0.1:4144/creds", "X=http://127.0.0.1:4144/creds\n"},
		{"dotenv", "/home/a b/$token", "X='/home/a b/$token'\n"},
		{"dotenv", "it's", ""},
		{"dotenv", "a\nb", ""},
		{"docker", "/home/a b/it's", "X=/home/a b/it's\n"},
		{"docker", "a\nB=c", ""},
		{"sh", "a\x00b", ""},
	} {
		got, err := assignment(c.format, variable{"X", c.value})
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s of %q: %q, %v", c.format, c.value, got, err)
		}
	}
}

func TestJSONFormat(t *testing.T) {
	var b bytes.Buffer
	set, unset := handout{URL: "http://127.0.0.1:1/creds", TokenFile: "/t&<"}.variables()
	if err := writeVariables(&b, "json", set, unset); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Set   map[string]string
		Unset []string
	}
	if err := json.Unmarshal(b.Bytes(), &got); err != nil || got.Set[varTokenFile] != "/t&<" || len(got.Unset) != len(shadowing)-1 {
		t.Errorf("%v: %s", err, &b)
	}
}

func TestVariablesNeverContradict(t *testing.T) {
	for _, h := range []handout{
		{URL: "u"}, {URL: "u", TokenFile: "f"}, {URL: "u", Token: creds.NewSecret("t")}, {URL: "u", TokenFile: "f", Token: creds.NewSecret("t"), Region: "r", NoFiles: true},
	} {
		set, unset := h.variables()
		seen := map[string]int{}
		for _, v := range set {
			seen[v.name]++
		}
		for _, n := range unset {
			seen[n]++
		}
		for n, times := range seen {
			if times > 1 {
				t.Errorf("%v: %s is named %d times", h.URL, n, times)
			}
		}
		if seen[varToken] != 1 || seen[varTokenFile] != 1 {
			t.Error("one of token and token file is set and the other unset")
		}
		env := h.environ([]string{"PATH=/bin", "AWS_PROFILE=x", "AWS_REGION=old", varToken + "=old", "ODD", "AWS_SECRET_ACCESS_KEY=y=z"})
		for _, e := range env {
			if strings.HasSuffix(e, "=old") && !(h.Region == "" && strings.HasPrefix(e, "AWS_REGION")) || strings.HasPrefix(e, "AWS_PROFILE") || strings.HasPrefix(e, "AWS_SECRET") {
				t.Errorf("%s is left over", e)
			}
		}
	}
}

// SDKs find the metadata service at its usual address by themselves, and not
// all of them take it in the same spelling.
func TestMetadataVariables(t *testing.T) {
	for url, want := range map[string]string{
		"http://127.0.0.1:1338/":     varIMDS + "=http://127.0.0.1:1338/",
		"http://169.254.169.254:80/": "",
	} {
		env := handout{URL: "u", TokenFile: "f", IMDS: url}.environ([]string{varIMDS + "=old", varURI + "=old", varTokenFile + "=old", "AWS_EC2_METADATA_DISABLED=true"})
		if got := strings.Join(env, " "); got != want {
			t.Errorf("%s gives %q, want %q", url, got, want)
		}
	}
}
