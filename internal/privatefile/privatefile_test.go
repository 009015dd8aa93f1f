package privatefile

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rolecall/internal/shellword"
)

func TestWriteThenRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	for _, want := range []string{"", "no newline at the end", "two\nlines\n", strings.Repeat("x", 70000)} {
		if err := Write(path, []byte(want)); err != nil {
			t.Fatal(err)
		}
		got, err := Read(path, 0)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != want {
			t.Errorf("read %d bytes, wrote %d", len(got), len(want))
		}
	}
	if names := list(t, filepath.Dir(path)); len(names) != 1 {
		t.Errorf("left over beside the file: %q", names)
	}
}

func TestReadMissing(t *testing.T) {
	for _, read := range []func(string, int64) ([]byte, error){Read, ReadTrusted} {
		if _, err := read(filepath.Join(t.TempDir(), "none"), 0); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("got %v, want fs.ErrNotExist", err)
		}
	}
}

func TestReadLimit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := Write(path, []byte("12345")); err != nil {
		t.Fatal(err)
	}
	if got, err := Read(path, 5); err != nil || string(got) != "12345" {
		t.Errorf("at the limit: %q, %v", got, err)
	}
	var unsafe *UnsafeError
	if _, err := Read(path, 4); !errors.As(err, &unsafe) || !strings.Contains(err.Error(), "larger than 4 bytes") {
		t.Errorf("above the limit: %v", err)
	}
}

func TestWriteIntoMissingDirectory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none", "f")
	err := Write(path, []byte("x"))
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v", err)
	}
}

func TestWriteOverDirectoryLeavesNothingBehind(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	if err := os.MkdirAll(filepath.Join(path, "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Write(path, []byte("x")); err == nil {
		t.Error("a directory was replaced")
	}
	if names := list(t, dir); len(names) != 1 {
		t.Errorf("left over: %q", names)
	}
}

func TestWriteSweepsOldTemporaries(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "token")
	old := filepath.Join(dir, ".token.tmp-1")
	fresh := filepath.Join(dir, ".token.tmp-2") // another process is writing it now
	other := filepath.Join(dir, ".other.tmp-1")
	for _, f := range []string{old, fresh, other} {
		if err := os.WriteFile(f, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	past := time.Now().Add(-2 * staleAfter)
	for _, f := range []string{old, other} {
		if err := os.Chtimes(f, past, past); err != nil {
			t.Fatal(err)
		}
	}
	if err := Write(path, []byte("x")); err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(list(t, dir), " "), ".other.tmp-1 .token.tmp-2 token"; got != want {
		t.Errorf("the directory has %s, want %s", got, want)
	}
}

func TestConcurrentWritersAndReaders(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	contents := [][]byte{bytes.Repeat([]byte("a"), 5000), bytes.Repeat([]byte("b"), 9000)}
	if err := Write(path, contents[0]); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, len(contents))
	for _, c := range contents {
		go func() {
			for range 50 {
				if err := Write(path, c); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for running := len(contents); running > 0; {
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
			running--
		default:
			got, err := Read(path, 0)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, contents[0]) && !bytes.Equal(got, contents[1]) {
				t.Fatalf("a torn file of %d bytes", len(got))
			}
		}
	}
}

func TestEnsureDirMakesAndKeeps(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "b", "c")
	for range 2 {
		if err := EnsureDir(path); err != nil {
			t.Fatal(err)
		}
	}
	if err := EnsureDir(path + "/"); err != nil {
		t.Errorf("with a slash at the end: %v", err)
	}
	file := filepath.Join(path, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var unsafe *UnsafeError
	if err := EnsureDir(file); !errors.As(err, &unsafe) || unsafe.Hint() == "" {
		t.Errorf("a file in its place: %v", err)
	}
	if err := EnsureDir(filepath.Join(file, "sub")); err == nil {
		t.Error("a directory below a file was made")
	}
}

func TestQuote(t *testing.T) {
	for in, want := range map[string]string{
		"/home/me/.config/rolecall": "/home/me/.config/rolecall",
		"/tmp/a b":                  "'/tmp/a b'",
		"/tmp/it's; rm -rf $HOME":   `'/tmp/it'\''s; rm -rf $HOME'`,
	} {
		if got := shellword.Word(in); got != want {
			t.Errorf("shellword.Word(%q) = %s, want %s", in, got, want)
		}
	}
}

func list(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}
