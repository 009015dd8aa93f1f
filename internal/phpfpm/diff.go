package phpfpm

import (
	"strings"

	"rolecall/internal/fileedit"
)

// Diff shows a change as diff -u does. The values of env[…] and php_value[…]
// lines, also of those around the change, may be secrets and are left out, but
// for references to variables and what Shown lets be seen.
func (c Change) Diff() string {
	var b strings.Builder
	for line := range strings.Lines(fileedit.Diff(c.File, c.Before, c.After)) {
		text, found := strings.CutSuffix(line, "\n")
		text = strings.TrimSuffix(text, "\r")
		b.WriteString(withoutValue(text))
		if found {
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// withoutValue is a line of a diff, whose first character tells what it is.
func withoutValue(line string) string {
	head, value, ok := strings.Cut(line, "=")
	name, key, array := strings.Cut(strings.TrimLeft(head, " \t+-;"), "[")
	switch name = strings.TrimSpace(name); {
	case !ok || !array, !among("env php_value php_admin_value", strings.ToLower(name)):
		return line
	}
	key, _, _ = strings.Cut(key, "]")
	value = strings.Trim(value, " \t\"'")
	plain := name == "env" && (strings.HasPrefix(value, "$") && strings.Trim(value[1:], letters) == "" || Shown(key) && !strings.ContainsAny(value, "@?"))
	if value == "" || plain {
		return line
	}
	return head + "= …"
}

const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_"
