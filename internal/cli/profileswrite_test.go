package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rolecall/internal/fakeaws"
)

// TestProfilesWriteKeepsTheFile: whatever the file is like, all that is not
// rolecall's stays byte for byte.
func TestProfilesWriteKeepsTheFile(t *testing.T) {
	aws, err := fakeaws.Start(fakeaws.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = aws.Close() })
	for name, change := range map[string]func(string) string{
		"as the aws CLI writes it": func(s string) string { return s },
		"CRLF":                     func(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") },
		"BOM":                      func(s string) string { return "\ufeff" + s },
		"comments between":         func(s string) string { return "# one\n; two\n" + strings.ReplaceAll(s, "\n\n", "\n\n# between ; #\n") },
		"tabs":                     func(s string) string { return strings.ReplaceAll(s, " = ", "\t=\t") },
		"no newline at the end":    func(s string) string { return strings.TrimSpace(s) },
	} {
		t.Run(name, func(t *testing.T) {
			home := t.TempDir()
			path, _, err := aws.WriteProfiles(filepath.Join(home, ".aws"))
			if err != nil {
				t.Fatal(err)
			}
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			before := change(string(text))
			if err := os.WriteFile(path, []byte(before), 0o640); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, 0o640); err != nil {
				t.Fatal(err)
			}
			env := append(aws.Environ(), "HOME="+home, "USERPROFILE="+home, "ROLECALL_DIR="+t.TempDir(), "AWS_EC2_METADATA_DISABLED=true")
			getenv := func(name string) string {
				for _, e := range env {
					if v, ok := strings.CutPrefix(e, name+"="); ok {
						return v
					}
				}
				return ""
			}
			run := func(flag string) string {
				var out, errs strings.Builder
				code := Main(Surroundings{Args: []string{"profiles", "write", flag}, Getenv: getenv, Environ: func() []string { return env },
					Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs})
				if code != 0 {
					t.Fatalf("exit code %d: %s%s", code, out.String(), errs.String())
				}
				return out.String()
			}
			if diff := run("--dry-run"); strings.ContainsAny(diff, "?\r\t\ufeff") || !strings.Contains(diff, "\n+[profile Development:Developer]\n") {
				t.Errorf("the change is shown as %q", diff)
			}
			run("--yes")
			after, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(string(after), before) || !strings.Contains(string(after), "[profile Development:Developer]") {
				t.Errorf("before:\n%q\nafter:\n%q", before, after)
			}
			if strings.Contains(before, "\r\n") && strings.Count(string(after), "\n") != strings.Count(string(after), "\r\n") {
				t.Error("the line ends are mixed")
			}
			if info, _ := os.Stat(path); filepath.Separator == '/' && info.Mode() != 0o640 {
				t.Errorf("mode is %v", info.Mode())
			}
		})
	}
}
