package store

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// chain is a keychain.
type chain struct {
	mu   sync.Mutex // guards kept
	kept map[string][]byte
	err  error
}

func (c *chain) Get(id string) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return nil, c.err
	}
	if k, ok := c.kept[id]; ok {
		return k, nil
	}
	return nil, errKeyLost
}

func (c *chain) Set(id string, key []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.kept[id] = key
	}
	return c.err
}

func env(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func open(t *testing.T, c KeyConfig) Key {
	t.Helper()
	if c.Getenv == nil {
		c.Getenv = env()
	}
	k, err := OpenKey(c)
	if err != nil {
		t.Fatal(err)
	}
	if len(k.Bytes) != KeySize || bytes.Equal(k.Bytes, make([]byte, KeySize)) {
		t.Fatalf("a key of %d bytes", len(k.Bytes))
	}
	return k
}

func TestKeyInFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "store")
	if _, err := OpenKey(KeyConfig{Dir: dir, Getenv: env()}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("a look made the directory")
	}
	var wg sync.WaitGroup
	keys := make([]Key, 20)
	for i := range keys {
		wg.Go(func() { keys[i] = open(t, KeyConfig{Dir: dir, Make: true}) })
	}
	wg.Wait()
	for _, k := range keys {
		if !bytes.Equal(k.Bytes, keys[0].Bytes) || k.Kind != KeyInFile || k.Weakness() == "" {
			t.Errorf("%s: another key", k.Kind)
		}
	}
	// Damaged: a new key, and a word about it.
	path := filepath.Join(dir, keyFile)
	for _, text := range []string{"", "x", keyPrefix, keyPrefix + "file ", keyPrefix + "file AAAA\n", keyPrefix + "stone 1\n", strings.Repeat("x", 100)} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenKey(KeyConfig{Dir: dir, Getenv: env()}); !errors.Is(err, errKeyLost) {
			t.Errorf("%q: %v", text, err)
		}
		said := 0
		k := open(t, KeyConfig{Dir: dir, Make: true, Warn: func(string) { said++ }})
		if bytes.Equal(k.Bytes, keys[0].Bytes) || said != 1 {
			t.Errorf("%q: said %d", text, said)
		}
	}
	if err := DropKey(dir); err != nil {
		t.Error(err)
	}
	if err := DropKey(dir); err != nil {
		t.Error("twice:", err)
	}
	if runtime.GOOS == "windows" {
		return
	}
	// Too open: it is not used, nor replaced.
	open(t, KeyConfig{Dir: dir, Make: true})
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenKey(KeyConfig{Dir: dir, Getenv: env(), Make: true}); err == nil || !strings.Contains(err.Error(), "0644") {
		t.Errorf("%v", err)
	}
}

func TestKeyInKeychain(t *testing.T) {
	dir := t.TempDir()
	c := &chain{kept: map[string][]byte{}}
	first := open(t, KeyConfig{Dir: dir, Keychain: c, Make: true})
	again := open(t, KeyConfig{Dir: dir, Keychain: c})
	if first.Kind != KeyInKeychain || !bytes.Equal(first.Bytes, again.Bytes) || first.Weakness() != "" || len(c.kept) != 1 {
		t.Errorf("%s, %d kept", first.Kind, len(c.kept))
	}
	text, err := os.ReadFile(filepath.Join(dir, keyFile))
	if err != nil || bytes.Contains(text, []byte(base64.StdEncoding.EncodeToString(first.Bytes))) || bytes.Contains(text, []byte(hex.EncodeToString(first.Bytes))) {
		t.Errorf("%s, %v", text, err)
	}
	// A process that cannot reach it does not make another key.
	if _, err := OpenKey(KeyConfig{Dir: dir, Getenv: env(), Make: true}); err == nil {
		t.Error("a second key")
	}
	c.err = errors.New("locked")
	if _, err := OpenKey(KeyConfig{Dir: dir, Getenv: env(), Keychain: c, Make: true}); err == nil || err.Error() != "locked" {
		t.Errorf("%v", err)
	}
	// Lost from the keychain: a new one.
	c.err, c.kept = nil, map[string][]byte{}
	if k := open(t, KeyConfig{Dir: dir, Keychain: c, Make: true}); bytes.Equal(k.Bytes, first.Bytes) || k.Kind != KeyInKeychain {
		t.Error("the lost key is back")
	}
	// One that refuses: a file, and a word about it.
	said := 0
	if k := open(t, KeyConfig{Dir: t.TempDir(), Keychain: &chain{err: errors.New("no")}, Make: true, Warn: func(string) { said++ }}); k.Kind != KeyInFile || said != 1 {
		t.Errorf("%s, said %d", k.Kind, said)
	}
}

func TestKeyFromPassphrase(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(t.TempDir(), "phrase")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	getenv := env("ROLECALL_STORE_PASSPHRASE_FILE", file)
	write("correct horse battery\nmore\n")
	first := open(t, KeyConfig{Dir: dir, Getenv: getenv, Make: true})
	write("correct horse battery\r\n")
	if k := open(t, KeyConfig{Dir: dir, Getenv: getenv}); !bytes.Equal(k.Bytes, first.Bytes) || k.Kind != KeyFromPassphrase {
		t.Error("another key")
	}
	if k := open(t, KeyConfig{Dir: t.TempDir(), Getenv: getenv, Make: true}); bytes.Equal(k.Bytes, first.Bytes) {
		t.Error("the same key with another salt")
	}
	write("correct horse cart\n")
	if k := open(t, KeyConfig{Dir: dir, Getenv: getenv}); bytes.Equal(k.Bytes, first.Bytes) {
		t.Error("the same key with another phrase")
	}
	write("short\n")
	if _, err := OpenKey(KeyConfig{Dir: dir, Getenv: getenv, Make: true}); err == nil || strings.Contains(err.Error(), "short\n") {
		t.Errorf("%v", err)
	}
	if _, err := OpenKey(KeyConfig{Dir: dir, Getenv: env("ROLECALL_STORE_PASSPHRASE_FILE", file+".none"), Make: true}); err == nil {
		t.Error("no file, and yet a key")
	}
}

func TestKeyFromCredential(t *testing.T) {
	dir := t.TempDir()
	getenv := env("CREDENTIALS_DIRECTORY", dir, "ROLECALL_STORE_PASSPHRASE_FILE", "/nowhere")
	want := key(7)
	for text, ok := range map[string]bool{
		string(want): true, hex.EncodeToString(want) + "\n": true, base64.StdEncoding.EncodeToString(want): true, base64.RawURLEncoding.EncodeToString(want) + "\n": true,
		"": false, "short": false, hex.EncodeToString(want[1:]): false,
	} {
		if err := os.WriteFile(filepath.Join(dir, CredentialName), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		k, err := OpenKey(KeyConfig{Dir: t.TempDir(), Getenv: getenv})
		if (err == nil) != ok || ok && (!bytes.Equal(k.Bytes, want) || k.Kind != KeyFromCredential) {
			t.Errorf("%d bytes: %v", len(text), err)
		}
	}
}

func TestNoKeychainWhereEverythingIsInOneDirectory(t *testing.T) {
	if SystemKeychain(env("ROLECALL_DIR", "/x")) != nil {
		t.Error("the user's own keychain would be used by tests")
	}
}

func FuzzGivenKey(f *testing.F) {
	for _, seed := range []string{string(key(9)), strings.Repeat("09", 32) + "\n", "CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=", "_____________________________________8", "", "\n", "short", strings.Repeat("9", 64) + "9"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		k, err := givenKey(KeyFromFile, "key", text, "fix")
		if (err == nil) != (len(k.Bytes) == KeySize) {
			t.Errorf("%d bytes of %q, %v", len(k.Bytes), text, err)
		}
		if err != nil && len(text) > 10 && strings.Contains(err.Error(), string(text)) {
			t.Errorf("the text is in %v", err)
		}
	})
}
