package login

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Desktop is what is known of the machine that rolecall was started on.
type Desktop struct {
	GOOS    string // runtime.GOOS
	Getenv  func(string) string
	Environ func() []string // of programs that are started
}

// HasBrowser says whether a browser that is opened here would be seen by the
// person and could come back to this machine's 127.0.0.1; if not, why. It looks
// at the environment and the PATH, and starts nothing.
func (d Desktop) HasBrowser() (bool, string) {
	for _, name := range []string{"SSH_CONNECTION", "SSH_TTY", "SSH_CLIENT"} {
		if d.Getenv(name) != "" {
			return false, "this is an SSH session"
		}
	}
	for _, name := range []string{"container", "KUBERNETES_SERVICE_HOST", "REMOTE_CONTAINERS", "CODESPACES"} {
		if d.Getenv(name) != "" {
			return false, "this is a container"
		}
	}
	if d.GOOS == "linux" {
		for _, file := range []string{"/.dockerenv", "/run/.containerenv"} {
			if _, err := os.Lstat(file); err == nil {
				return false, "this is a container"
			}
		}
	}
	screen := d.GOOS == "windows" || d.GOOS == "darwin" || d.Getenv("DISPLAY") != "" || d.Getenv("WAYLAND_DISPLAY") != "" || d.Getenv("BROWSER") != ""
	if !screen {
		return false, "there is no screen"
	}
	if len(d.openers("")) == 0 {
		return false, "there is no browser"
	}
	return true, ""
}

// openers are the command lines that open a page, those that are there.
func (d Desktop) openers(page string) (list [][]string) {
	add := func(words ...string) {
		if path := d.find(words[0]); path != "" {
			list = append(list, append([]string{path}, words[1:]...))
		}
	}
	for _, text := range strings.Split(d.Getenv("BROWSER"), string(os.PathListSeparator)) {
		words := strings.Fields(text)
		if len(words) == 0 {
			continue
		}
		put := false
		for i, w := range words[1:] {
			if strings.Contains(w, "%s") {
				words[i+1], put = strings.ReplaceAll(w, "%s", page), true
			}
		}
		if !put {
			words = append(words, page)
		}
		add(words...)
	}
	switch d.GOOS {
	case "windows":
		add("rundll32", "url.dll,FileProtocolHandler", page)
	case "darwin":
		add("open", page)
	default:
		add("xdg-open", page)
		add("wslview", page)
		add("sensible-browser", page)
	}
	return list
}

// find looks for a program in the PATH of Getenv; "" where there is none.
func (d Desktop) find(name string) string {
	if filepath.IsAbs(name) {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
		return ""
	}
	if strings.ContainsAny(name, `/\`) {
		return "" // relative to a directory that anybody may have chosen
	}
	for _, dir := range filepath.SplitList(d.Getenv("PATH")) {
		if !filepath.IsAbs(dir) {
			continue
		}
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path
		}
	}
	return ""
}

// openerWait is how long a program that opens browsers may take to say that it
// cannot. One that runs on is a browser.
const openerWait = 1500 * time.Millisecond

// Open opens the page in the person's browser: with the commands of BROWSER in
// turn, else with the system's own. The page is all that their command lines
// hold. The browser outlives this process, and Ctrl-C is not for it.
func (d Desktop) Open(ctx context.Context, page string) error {
	for _, words := range d.openers(page) {
		cmd := exec.Command(words[0], words[1:]...)
		cmd.Env = d.Environ()
		Detach(cmd)
		if cmd.Start() != nil {
			continue
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		timer := time.NewTimer(openerWait)
		select {
		case err := <-ended:
			timer.Stop()
			if err == nil {
				return nil
			}
		case <-timer.C:
			return nil
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
	return errors.New("no program could open a browser")
}
