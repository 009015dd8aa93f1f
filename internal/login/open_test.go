package login

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

func desktop(env map[string]string, goos string) Desktop {
	return Desktop{GOOS: goos, Getenv: func(name string) string { return env[name] }, Environ: func() []string { return []string{"PATH=" + env["PATH"]} }}
}

func TestHasBrowser(t *testing.T) {
	bin := t.TempDir()
	for _, name := range []string{"xdg-open", "open"} {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	container := false
	for _, file := range []string{"/.dockerenv", "/run/.containerenv"} {
		if _, err := os.Lstat(file); err == nil {
			container = true
		}
	}
	for _, tt := range []struct {
		env  map[string]string
		goos string
		why  string
	}{
		{map[string]string{"PATH": bin, "DISPLAY": ":0"}, "linux", ""},
		{map[string]string{"PATH": bin, "WAYLAND_DISPLAY": "wayland-0"}, "linux", ""},
		{map[string]string{"PATH": bin}, "darwin", ""},
		{map[string]string{"PATH": bin}, "linux", "no screen"},
		{map[string]string{"PATH": "/nonexistent", "DISPLAY": ":0"}, "linux", "no browser"},
		{map[string]string{"PATH": ".", "DISPLAY": ":0"}, "linux", "no browser"},
		{map[string]string{"PATH": bin, "BROWSER": "nosuchbrowser"}, "linux", ""},
		{map[string]string{"PATH": bin, "DISPLAY": ":0", "SSH_CONNECTION": "1 2 3 4"}, "linux", "SSH"},
		{map[string]string{"PATH": bin, "SSH_TTY": "/dev/pts/1"}, "darwin", "SSH"},
		{map[string]string{"PATH": bin, "DISPLAY": ":0", "container": "podman"}, "linux", "container"},
		{map[string]string{"PATH": bin, "DISPLAY": ":0", "KUBERNETES_SERVICE_HOST": "10.0.0.1"}, "linux", "container"},
	} {
		if container && tt.goos == "linux" && tt.why != "SSH" {
			tt.why = "container" // this test runs in one
		}
		has, why := desktop(tt.env, tt.goos).HasBrowser()
		if has != (tt.why == "") || !strings.Contains(why, tt.why) {
			t.Errorf("%v on %s: %v, %q, want %q", tt.env, tt.goos, has, why, tt.why)
		}
	}
}

// TestOpen: the browser's command line has the page and nothing else, and those
// that fail are passed over.
func TestOpen(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the browser of this test is a shell script")
	}
	dir := t.TempDir()
	mark := filepath.Join(dir, "mark")
	script := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		return path
	}
	script("broken", "exit 3")
	script("good", `printf '%s\n' "$@" >"`+mark+`.tmp"; mv "`+mark+`.tmp" "`+mark+`"`)
	const page = "https://x.example/authorize?state=a&code_challenge=b%20c;d"
	for browser, want := range map[string]string{
		"broken:good":          page + "\n",
		"nosuch:good --new %s": "--new\n" + page + "\n",
		dir + "/good":          page + "\n",
	} {
		_ = os.Remove(mark)
		d := desktop(map[string]string{"PATH": dir + ":" + os.Getenv("PATH"), "BROWSER": browser}, "linux")
		d.Environ = os.Environ
		if err := d.Open(t.Context(), page); err != nil {
			t.Errorf("%s: %v", browser, err)
		}
		if got, err := os.ReadFile(mark); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v, want %q", browser, got, err, want)
		}
	}
	d := desktop(map[string]string{"PATH": dir, "BROWSER": "broken:./good"}, "linux")
	if err := d.Open(t.Context(), page); err == nil {
		t.Error("opened by a browser that fails, or one of the working directory")
	}
}

func FuzzRedirect(f *testing.F) {
	for _, q := range []string{"code=x&state=STATE", "error=access_denied&state=STATE", "state=STATE", "code=%zz&state=STATE", "code=x&state=STATE&state=y", "code=x&state=", "%00", "code=x;state=STATE"} {
		f.Add(q, "GET", "127.0.0.1:1")
	}
	f.Fuzz(func(t *testing.T, query, method, host string) {
		r := &redirect{host: "127.0.0.1:1", state: "STATE", answers: make(chan redirected, 1)}
		req := httptest.NewRequest(http.MethodGet, "/oauth/callback", nil)
		req.URL.RawQuery, req.Method, req.Host = query, method, host
		w := httptest.NewRecorder()
		ended := make(chan struct{})
		go func() { defer close(ended); r.ServeHTTP(w, req) }()
		select {
		case a := <-r.answers:
			if method != http.MethodGet || host != r.host || req.URL.Query().Get("state") != "STATE" || a.err == nil && a.code.IsZero() {
				t.Errorf("%s %q at %q was taken", method, query, host)
			}
			a.tell <- false
			<-ended
		case <-ended:
			if w.Code < 400 {
				t.Errorf("%s %q at %q: status %d", method, query, host, w.Code)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("no answer")
		}
	})
}
