package doctor

import (
	"bytes"
	"fmt"
	"strings"
)

// strictFault is the first line of an AWS file that a strict reader (Python's
// configparser, as botocore uses it) ends at with an error; 0 when there is
// none. Other SDKs pass over such a line, or take the last of what comes twice.
func strictFault(text []byte) (line int, why string) {
	if bytes.HasPrefix(text, []byte("\ufeff")) {
		return 1, "begins with a byte order mark"
	}
	sections, keys := map[string]int{}, map[string]int{}
	section, key := "", ""
	indent, nested := 0, false // of the last setting; it has no value in its own line
	for raw := range strings.Lines(string(text)) {
		line++
		l := strings.TrimSpace(raw)
		if l == "" || l[0] == '#' || l[0] == ';' {
			continue
		}
		at := len(raw) - len(strings.TrimLeft(raw, " \t\r\f\v"))
		if key != "" && at > indent { // goes on with the value
			if nested && !strings.Contains(l, "=") {
				return line, "is neither a setting nor part of one"
			}
			continue
		}
		indent = at
		if m := strictHeader().FindStringSubmatch(l); m != nil {
			section, key = m[1], ""
			if n := sections[section]; n > 0 {
				return line, fmt.Sprintf("is a second [%s]; the first is in line %d", section, n)
			}
			sections[section], keys = line, map[string]int{}
			continue
		}
		name, value, _ := strings.Cut(l, "=")
		if i := strings.IndexByte(l, ':'); i >= 0 && i < len(name) {
			name, value = l[:i], l[i+1:]
		}
		key, nested = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value) == ""
		switch {
		case section == "":
			return line, "stands above the first section"
		case !strings.ContainsAny(l, "=:") || key == "":
			return line, "is neither a [section] nor a setting"
		case keys[key] > 0:
			return line, fmt.Sprintf("sets %s a second time; the first is in line %d", key, keys[key])
		}
		keys[key] = line
	}
	return 0, ""
}

var strictHeader = lazily(`^\[(.+)\]`)
