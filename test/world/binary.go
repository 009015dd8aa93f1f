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

var build struct {
	once sync.Once
	dir  string
	path string
	err  error
}

// Binary is the path of a freshly built rolecall, with the race detector when
// the test program has it. Main removes it.
func Binary() (string, error) {
	build.once.Do(func() {
		build.dir, build.err = os.MkdirTemp("", "rolecall-build-")
		if build.err != nil {
			return
		}
		build.path = filepath.Join(build.dir, "rolecall")
		if runtime.GOOS == "windows" {
			build.path += ".exe"
		}
		args := []string{"build", "-o", build.path}
		if raceDetector {
			args = append(args, "-race")
		}
		c := exec.Command("go", append(args, "rolecall")...)
		if !raceDetector {
			c.Env = append(os.Environ(), "CGO_ENABLED=0") // as it is shipped
		}
		if out, err := c.CombinedOutput(); err != nil {
			build.err = fmt.Errorf("building rolecall: %w\n%s", err, out)
		}
	})
	return build.path, build.err
}

// Main is for TestMain: it runs the tests and removes the binary.
func Main(run func() int) int {
	code := run()
	if build.dir != "" {
		_ = os.RemoveAll(build.dir)
	}
	return code
}
