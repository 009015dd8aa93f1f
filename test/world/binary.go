// Package world gives tests a real rolecall: the binary, built once, run as a
// user would run it, with a home of its own and a fake AWS behind it.
package world

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
)

// binary is one way to build rolecall.
type binary struct {
	once sync.Once
	dir  string
	path string
	err  error
}

var checked, plain binary

// Binary is the path of a freshly built rolecall, with the race detector when
// the test program has it. Main removes it.
func Binary() (string, error) {
	if !raceDetector {
		return Plain()
	}
	return checked.build("-race")
}

// Plain is the path of one as it is shipped, whatever the test program is.
func Plain() (string, error) { return plain.build() }

func (b *binary) build(flags ...string) (string, error) {
	b.once.Do(func() {
		b.dir, b.err = os.MkdirTemp("", "rolecall-build-")
		if b.err != nil {
			return
		}
		b.path = filepath.Join(b.dir, "rolecall")
		if runtime.GOOS == "windows" {
			b.path += ".exe"
		}
		args := append([]string{"build", "-o", b.path}, flags...)
		c := exec.Command("go", append(args, "rolecall")...)
		if len(flags) == 0 {
			c.Env = append(os.Environ(), "CGO_ENABLED=0")
		}
		if out, err := c.CombinedOutput(); err != nil {
			b.err = fmt.Errorf("building rolecall: %w\n%s", err, out)
		}
	})
	return b.path, b.err
}

// Main is for TestMain: it runs the tests and removes what was built.
func Main(run func() int) int {
	code := run()
	for _, b := range []*binary{&checked, &plain} {
		if b.dir != "" {
			_ = os.RemoveAll(b.dir)
		}
	}
	return code
}
