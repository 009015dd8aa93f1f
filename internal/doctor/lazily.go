package doctor

import (
	"regexp"
	"sync"
)

// lazily compiles an expression at its first use. Few runs of the program are
// the doctor's, and each start would pay for all of them.
func lazily(expression string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expression) })
}
