package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"strings"

	"rolecall/internal/shellword"
)

// formats of `rolecall env`, in the order of its help.
var formats = []string{"sh", "fish", "powershell", "dotenv", "docker", "json"}

func defaultFormat() string {
	if runtime.GOOS == "windows" {
		return "powershell"
	}
	return "sh"
}

// writeVariables writes what a shell evaluates, or a tool reads, to set and
// unset the variables. Whatever a value holds stays data. The error names the
// variable that a format cannot express.
func writeVariables(w io.Writer, format string, set []variable, unset []string) error {
	var b strings.Builder
	for _, v := range set {
		line, err := assignment(format, v)
		if err != nil {
			return err
		}
		b.WriteString(line)
	}
	switch format {
	case "sh":
		fmt.Fprintf(&b, "unset %s\n", strings.Join(unset, " "))
	case "fish":
		fmt.Fprintf(&b, "set -e %s\n", strings.Join(unset, " "))
	case "powershell":
		for _, name := range unset {
			fmt.Fprintf(&b, "$env:%s = $null\n", name)
		}
	case "dotenv", "docker":
		fmt.Fprintf(&b, "# must not be set: %s\n", strings.Join(unset, " "))
	case "json":
		values := map[string]string{}
		for _, v := range set {
			values[v.name] = v.value
		}
		return writeJSON(w, struct {
			Set   map[string]string `json:"set"`
			Unset []string          `json:"unset"`
		}{values, unset})
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// assignment is one line; the names are ours and need no quoting.
func assignment(format string, v variable) (string, error) {
	if strings.ContainsRune(v.value, 0) {
		return "", failed(v.name+" would hold a NUL byte, which no environment can", "")
	}
	switch format {
	case "sh":
		return fmt.Sprintf("export %s=%s\n", v.name, quoteSh(v.value)), nil
	case "fish":
		return fmt.Sprintf("set -gx %s %s\n", v.name, quoteFish(v.value)), nil
	case "powershell":
		return fmt.Sprintf("$env:%s = %s\n", v.name, quotePowerShell(v.value)), nil
	case "dotenv":
		value, ok := quoteDotenv(v.value)
		if !ok {
			return "", failed(v.name+" has a value that tools read differently from a dotenv file", "use another --format")
		}
		return fmt.Sprintf("%s=%s\n", v.name, value), nil
	case "docker":
		if strings.ContainsAny(v.value, "\r\n") {
			return "", failed(v.name+" has a line break, which Docker's env file cannot hold", "use another --format")
		}
		return fmt.Sprintf("%s=%s\n", v.name, v.value), nil // Docker takes the rest of the line as it is
	}
	return "", nil
}

func quoteSh(s string) string { return shellword.Quoted(s) }

func quoteFish(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(s) + "'"
}

// quotePowerShell: besides ' PowerShell takes four typographic quotes for
// quotes; each is doubled.
func quotePowerShell(s string) string {
	return "'" + strings.NewReplacer("'", "''", "‘", "‘‘", "’", "’’", "‚", "‚‚", "‛", "‛‛").Replace(s) + "'"
}

// quoteDotenv: dotenv dialects agree on plain words, and on single quotes
// around what holds no quote, backslash or line break. false for anything else.
func quoteDotenv(s string) (string, bool) {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:%", r)
	}
	if strings.TrimFunc(s, plain) == "" {
		return s, true
	}
	return "'" + s + "'", !strings.ContainsAny(s, "'\\\r\n")
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
