// Package environ reads environments as programs do.
package environ

import "strings"

// Parse reads "NAME=value" entries. What is no such entry is left out. Of a name
// that comes twice the first counts, as for getenv(3) and so for the SDKs (tried
// with Python, Node, PHP, Ruby and Perl; shells take the last).
func Parse(entries []string) map[string]string {
	vars := make(map[string]string, len(entries))
	for _, entry := range entries {
		name, value, ok := strings.Cut(entry, "=")
		if _, twice := vars[name]; ok && name != "" && !twice {
			vars[name] = value
		}
	}
	return vars
}

// Block reads an environment as the kernel keeps it: entries that end with a
// NUL, as in /proc/PID/environ.
func Block(block []byte) map[string]string { return Parse(strings.Split(string(block), "\x00")) }
