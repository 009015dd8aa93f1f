package world

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Chromium is a command that runs a headless browser with a profile of its own,
// which goes with the test. It skips the test where there is none.
func Chromium(t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			path = p
			break
		}
	}
	if path == "" {
		t.Skip("there is no chromium")
	}
	home, err := os.MkdirTemp("", "rolecall-chromium-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(home) }) // its last processes may still write
	cmd := exec.Command(path, append([]string{"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
		"--disable-sync", "--disable-dev-shm-usage", "--disable-extensions", "--user-data-dir=" + home}, args...)...)
	cmd.Env = append(Surroundings(home), "XDG_CONFIG_HOME="+home, "XDG_CACHE_HOME="+home)
	return cmd
}

// ChromiumCannot says whether a browser's last words are that this machine lacks
// what it needs. Any other end of it is a failure.
func ChromiumCannot(said string) bool {
	return strings.Contains(said, "error while loading shared libraries") || strings.Contains(said, "cannot open display")
}
