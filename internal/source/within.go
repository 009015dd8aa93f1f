package source

import (
	"slices"
	"strings"
)

// markWithin is the variable by which a `rolecall process` that some source of
// rolecall's starts knows what is being fetched already. It has a name of its
// own since those that begin with ROLECALL_ are kept from such children.
const markWithin = "_ROLECALL_FETCHING"

// Daemon stands among the sources of Within for a daemon's own fetches.
const Daemon = "daemon"

// Mark adds to the environment that source is being fetched.
func Mark(environ []string, source string) []string {
	value := source
	for _, v := range environ {
		if old, ok := strings.CutPrefix(v, markWithin+"="); ok {
			value = old + "\n" + source
		}
	}
	environ = slices.DeleteFunc(slices.Clone(environ), func(v string) bool { return strings.HasPrefix(v, markWithin+"=") })
	return append(environ, markWithin+"="+value)
}

// Within is what is being fetched around this process, outermost first.
func Within(getenv func(string) string) []string {
	if v := getenv(markWithin); v != "" {
		return strings.Split(v, "\n")
	}
	return nil
}
