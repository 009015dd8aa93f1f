package config

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestDirs(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the table's paths are absolute on Unix only")
	}
	const app = "/Library/Application Support/rolecall"
	tests := []struct {
		name string
		goos string
		uid  int
		env  map[string]string
		own  string // a directory of our user
		want Dirs
		err  string
	}{
		{name: "everything in one directory", goos: "linux", uid: 1000,
			env:  map[string]string{"ROLECALL_DIR": "/r/", "HOME": "/h", "XDG_CONFIG_HOME": "/c", "XDG_RUNTIME_DIR": "/x"},
			want: Dirs{"/r/config.toml", "/r", "/r/control.sock", "/r/authorization-token", "/r/store"}},
		{name: "the same for root and on macOS", goos: "darwin", env: map[string]string{"ROLECALL_DIR": "/r"},
			want: Dirs{"/r/config.toml", "/r", "/r/control.sock", "/r/authorization-token", "/r/store"}},
		{name: "relative", goos: "linux", env: map[string]string{"ROLECALL_DIR": "r", "HOME": "/h"},
			err: `ROLECALL_DIR is "r", which is not an absolute path`},
		{name: "all of XDG, without a home", goos: "linux", uid: 1000,
			env:  map[string]string{"XDG_CONFIG_HOME": "/c", "XDG_RUNTIME_DIR": "/run/user/1000", "XDG_STATE_HOME": "/s"},
			want: dirsOf("/c/rolecall", "/run/user/1000/rolecall", "/s/rolecall")},
		{name: "only a home", goos: "linux", uid: 33, env: map[string]string{"HOME": "/h"},
			want: dirsOf("/h/.config/rolecall", "/h/.local/state/rolecall/run", "/h/.local/state/rolecall")},
		{name: "a session that the environment does not tell", goos: "linux", uid: 1000, own: "/run/user/1000",
			env:  map[string]string{"HOME": "/h"},
			want: dirsOf("/h/.config/rolecall", "/run/user/1000/rolecall", "/h/.local/state/rolecall")},
		{name: "relative XDG variables", goos: "linux", uid: 1000,
			env:  map[string]string{"HOME": "/h", "XDG_CONFIG_HOME": "c", "XDG_RUNTIME_DIR": "x", "XDG_STATE_HOME": "s"},
			want: dirsOf("/h/.config/rolecall", "/h/.local/state/rolecall/run", "/h/.local/state/rolecall")},
		{name: "root", goos: "linux", env: map[string]string{"HOME": "/h"}, own: "/run/user/0",
			want: dirsOf("/h/.config/rolecall", "/run/rolecall", "/h/.local/state/rolecall")},
		{name: "root in a session", goos: "linux", env: map[string]string{"HOME": "/h", "XDG_RUNTIME_DIR": "/run/user/0"},
			want: dirsOf("/h/.config/rolecall", "/run/rolecall", "/h/.local/state/rolecall")},
		{name: "sudo in another's session", goos: "linux", env: map[string]string{"HOME": "/h", "XDG_RUNTIME_DIR": "/run/user/1000/"},
			want: dirsOf("/h/.config/rolecall", "/run/rolecall", "/h/.local/state/rolecall")},
		{name: "root with a directory of its own", goos: "linux", env: map[string]string{"HOME": "/h", "XDG_RUNTIME_DIR": "/x"},
			want: dirsOf("/h/.config/rolecall", "/x/rolecall", "/h/.local/state/rolecall")},
		{name: "no home", goos: "linux", uid: 1000, err: "there is no home directory: HOME is not set"},
		{name: "no home but for the configuration", goos: "linux", uid: 1000, env: map[string]string{"XDG_CONFIG_HOME": "/c"},
			err: "neither is XDG_STATE_HOME"},
		{name: "relative home", goos: "linux", uid: 1000, env: map[string]string{"HOME": "."}, err: "there is no home directory"},

		{name: "macOS", goos: "darwin", uid: 501, env: map[string]string{"HOME": "/Users/me"},
			want: dirsOf("/Users/me"+app, "/Users/me/Library/Caches/rolecall", "/Users/me"+app)},
		{name: "macOS with XDG variables", goos: "darwin", uid: 501,
			env:  map[string]string{"HOME": "/Users/me", "XDG_CONFIG_HOME": "/c", "XDG_RUNTIME_DIR": "/x"},
			want: dirsOf("/c/rolecall", "/x/rolecall", "/Users/me"+app)},
		{name: "macOS without a home", goos: "darwin", uid: 501, err: "there is no home directory"},
		{name: "another Unix", goos: "freebsd", uid: 1001, env: map[string]string{"HOME": "/h"},
			want: dirsOf("/h/.config/rolecall", "/h/.local/state/rolecall/run", "/h/.local/state/rolecall")},

		{name: "Windows", goos: "windows", uid: -1, env: map[string]string{"AppData": "/u/Roaming", "LocalAppData": "/u/Local", "HOME": "/h"},
			want: dirsOf("/u/Roaming/rolecall", "/u/Local/rolecall", "/u/Local/rolecall")},
		{name: "Windows without LocalAppData", goos: "windows", uid: -1, env: map[string]string{"AppData": "/u"},
			err: "%LocalAppData% is not set"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := system{tt.goos, tt.uid, func(k string) string { return tt.env[k] },
				func(path string, uid int) bool { return uid == tt.uid && path == tt.own }}
			got, err := s.dirs()
			if tt.err != "" {
				var de *DirError
				if !errors.As(err, &de) || !strings.Contains(err.Error(), tt.err) || !strings.Contains(de.Hint(), "ROLECALL_DIR") || got != (Dirs{}) {
					t.Errorf("got %+v, %v; want …%s…", got, err, tt.err)
				}
				return
			}
			if err != nil || got != tt.want {
				t.Errorf("got  %+v, %v\nwant %+v", got, err, tt.want)
			}
		})
	}
}

func dirsOf(config, run, state string) Dirs {
	return Dirs{config + "/config.toml", run, run + "/control.sock", run + "/authorization-token", state + "/store"}
}

func TestFindDirsHere(t *testing.T) {
	dir := t.TempDir()
	d, err := FindDirs(func(k string) string { return map[string]string{"ROLECALL_DIR": dir}[k] })
	if err != nil || d.Socket != filepath.Join(dir, "control.sock") || d.Config != filepath.Join(dir, "config.toml") {
		t.Errorf("got %+v, %v", d, err)
	}
	if !ownDirectory(dir, os.Geteuid()) && runtime.GOOS != "windows" {
		t.Error("a directory just made is not our own")
	}
	if ownDirectory(filepath.Join(dir, "none"), os.Geteuid()) || ownDirectory(dir, os.Geteuid()+1) {
		t.Error("a missing directory, or one of another user, is our own")
	}
}

func TestCheckSocket(t *testing.T) {
	for _, tt := range []struct {
		goos string
		size int
		fine bool
	}{{"linux", 107, true}, {"linux", 108, false}, {"darwin", 103, true}, {"darwin", 104, false}, {"windows", 107, true}, {"windows", 108, false}} {
		err := checkSocket("/"+strings.Repeat("s", tt.size-1), tt.goos)
		var de *DirError
		if (err == nil) != tt.fine || err != nil && (!errors.As(err, &de) || de.Hint() == "") {
			t.Errorf("%s, %d bytes: %v", tt.goos, tt.size, err)
		}
	}
	if err := (Dirs{Socket: "/r/control.sock"}).CheckSocket(); err != nil {
		t.Error(err)
	}
}
