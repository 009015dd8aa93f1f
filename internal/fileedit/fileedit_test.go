package fileedit

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func put(t *testing.T, path, text string, mode fs.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func is(t *testing.T, path, text string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil || string(b) != text {
		t.Errorf("%s is %q, %v; want %q", path, b, err, text)
	}
}

func only(t *testing.T, dir string, names ...string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range list {
		got = append(got, e.Name())
	}
	if strings.Join(got, " ") != strings.Join(names, " ") {
		t.Errorf("%s has %q, want %q", dir, got, names)
	}
}

func TestReplace(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a file")
	put(t, path, "old", 0o640)
	if err := File(path, []byte("old"), []byte("new")); err != nil {
		t.Fatal(err)
	}
	is(t, path, "new")
	if info, _ := os.Stat(path); filepath.Separator == '/' && info.Mode() != 0o640 {
		t.Errorf("mode is %v", info.Mode())
	}
	only(t, dir, "a file")
}

func TestChangedMeanwhile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	put(t, path, "theirs", 0o600)
	for _, old := range [][]byte{[]byte("old"), nil, {}} {
		if err := File(path, old, []byte("new")); !errors.Is(err, ErrChanged) {
			t.Errorf("%q: %v", old, err)
		}
	}
	if err := File(filepath.Join(dir, "gone"), []byte("old"), []byte("new")); !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, ErrChanged) {
		t.Errorf("a file that is gone: %v", err)
	}
	is(t, path, "theirs")
	only(t, dir, "f")
}

func TestNew(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "made", "f")
	if err := File(path, nil, []byte("new")); err != nil {
		t.Fatal(err)
	}
	is(t, path, "new")
	if info, _ := os.Stat(path); filepath.Separator == '/' && info.Mode() != 0o600 {
		t.Errorf("mode is %v", info.Mode())
	}
}

func TestLinks(t *testing.T) {
	dir := t.TempDir()
	real, link, dangling := filepath.Join(dir, "real"), filepath.Join(dir, "link"), filepath.Join(dir, "dangling")
	put(t, real, "old", 0o600)
	for from, to := range map[string]string{link: "real", dangling: "to come"} {
		if err := os.Symlink(to, from); err != nil {
			t.Skipf("no links here: %v", err)
		}
	}
	if err := File(link, []byte("old"), []byte("new")); err != nil {
		t.Fatal(err)
	}
	is(t, real, "new")
	if err := File(dangling, nil, []byte("come")); err != nil {
		t.Fatal(err)
	}
	is(t, filepath.Join(dir, "to come"), "come")
	for _, l := range []string{link, dangling} {
		if info, err := os.Lstat(l); err != nil || info.Mode()&fs.ModeSymlink == 0 {
			t.Errorf("%s is no link any more", l)
		}
	}
}

func TestDiff(t *testing.T) {
	if d := Diff("f", []byte("a\nb\n"), []byte("a\nc\n")); !strings.Contains(d, "-b\n+c\n") || !strings.Contains(d, "--- f\n+++ f\n") {
		t.Errorf("%s", d)
	}
	if d := Diff("f", []byte("a"), []byte("a")); d != "" {
		t.Errorf("%s", d)
	}
}
