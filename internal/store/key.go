package store

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"rolecall/internal/privatefile"
	"rolecall/internal/shellword"
)

// KeyKind says where the store key is kept.
type KeyKind string

const (
	KeyInKeychain     KeyKind = "keychain"           // the system's, opened with the user's login
	KeyInFile         KeyKind = "file"               // beside the entries, with mode 0600: the weaker way
	KeyFromPassphrase KeyKind = "passphrase"         // derived from what ROLECALL_STORE_PASSPHRASE_FILE holds
	KeyFromCredential KeyKind = "systemd credential" // $CREDENTIALS_DIRECTORY/rolecall-store-key
	KeyFromFile       KeyKind = "key file"           // the file that ROLECALL_STORE_KEY_FILE names, e.g. a mounted secret
)

// Key is the store key.
type Key struct {
	Bytes []byte // KeySize of them
	Kind  KeyKind
	Path  string // of the file it comes from or is named in; "" for none
}

// Weakness is what a person should know about the way the key is kept, or "".
func (k Key) Weakness() string {
	if k.Kind == KeyInFile {
		return "the key of the store is in a file beside it: whoever can read this user's files, or a backup of them, can read the credentials"
	}
	return ""
}

// KeyConfig says where to look for the store key.
type KeyConfig struct {
	Dir      string              // of the store
	Getenv   func(string) string // for ROLECALL_STORE_KEY_FILE, ROLECALL_STORE_PASSPHRASE_FILE and CREDENTIALS_DIRECTORY
	Keychain Keychain            // for a key to be made; nil: there is none
	Make     bool                // make the key (and Dir) where there is none; else that is fs.ErrNotExist
	Warn     func(string)        // told why a better place was not used; nil: nobody
}

// CredentialName is the systemd credential that may hold the store key.
const CredentialName = "rolecall-store-key"

const (
	keyFile      = "key"
	saltFile     = "salt"
	keyPrefix    = "rolecall store key 1 "
	rounds       = 600_000 // of PBKDF2 with SHA-256; OWASP's figure of 2023
	leastPhrase  = 12      // bytes
	keyFileLimit = 4096
)

// OpenKey finds the store key: the file that is named for it, else the systemd
// credential where there is one, else the passphrase where one is named, else
// the key that was made for this store, in the keychain or in a file. A key that
// was made and is lost is replaced by a new one: what was sealed with the old is
// a miss.
func OpenKey(c KeyConfig) (Key, error) {
	if c.Warn == nil {
		c.Warn = func(string) {}
	}
	if path := c.Getenv("ROLECALL_STORE_KEY_FILE"); path != "" {
		fix := "head -c 32 /dev/urandom | base64 > " + shellword.Word(path)
		text, err := readGiven("the store's key file", path, fix)
		if err != nil {
			return Key{}, err
		}
		return givenKey(KeyFromFile, path, text, fix)
	}
	if dir := c.Getenv("CREDENTIALS_DIRECTORY"); filepath.IsAbs(dir) {
		path := filepath.Join(dir, CredentialName)
		text, err := privatefile.ReadSecret(path, keyFileLimit)
		if err == nil {
			return givenKey(KeyFromCredential, path, text, "head -c 32 /dev/urandom | systemd-creds encrypt --name="+CredentialName+" - "+CredentialName+".cred")
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return Key{}, fmt.Errorf("the systemd credential %s: %w", CredentialName, err)
		}
	}
	if path := c.Getenv("ROLECALL_STORE_PASSPHRASE_FILE"); path != "" {
		return c.passphrase(path)
	}
	return c.made()
}

// readGiven reads a file that the environment names. That it is missing is not
// fs.ErrNotExist, which says that there is no key so far.
func readGiven(what, path, fix string) ([]byte, error) {
	text, err := privatefile.ReadSecret(path, keyFileLimit)
	if errors.Is(err, fs.ErrNotExist) {
		err = &privatefile.UnsafeError{Path: path, Msg: "is not there", Fix: fix}
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return text, nil
}

// givenKey takes 32 bytes as they are, in hexadecimal or in base64.
func givenKey(kind KeyKind, path string, text []byte, fix string) (Key, error) {
	if len(text) == KeySize {
		return Key{text, kind, path}, nil
	}
	line := strings.TrimSpace(string(text))
	for _, decode := range []func(string) ([]byte, error){hex.DecodeString, base64.StdEncoding.DecodeString, base64.RawURLEncoding.DecodeString} {
		if b, err := decode(line); err == nil && len(b) == KeySize {
			return Key{b, kind, path}, nil
		}
	}
	return Key{}, &privatefile.UnsafeError{Path: path, Msg: "does not hold 32 bytes, plain, in hexadecimal or in base64", Fix: fix}
}

// passphrase derives the key from the first line of the file.
func (c KeyConfig) passphrase(path string) (Key, error) {
	fix := "head -c 24 /dev/urandom | base64 > " + shellword.Word(path)
	text, err := readGiven("the store's passphrase", path, fix)
	if err != nil {
		return Key{}, err
	}
	phrase, _, _ := strings.Cut(string(text), "\n")
	phrase = strings.TrimSuffix(phrase, "\r")
	if len(phrase) < leastPhrase {
		return Key{}, &privatefile.UnsafeError{Path: path, Msg: fmt.Sprintf("holds a passphrase of less than %d bytes", leastPhrase), Fix: fix}
	}
	salt, err := c.salt()
	if err != nil {
		return Key{}, err
	}
	key, err := pbkdf2.Key(sha256.New, phrase, salt, rounds, KeySize)
	return Key{key, KeyFromPassphrase, path}, err
}

func (c KeyConfig) salt() ([]byte, error) {
	path := filepath.Join(c.Dir, saltFile)
	read := func() ([]byte, error) {
		text, err := c.read(path)
		if err != nil {
			return nil, err
		}
		salt, err := hex.DecodeString(strings.TrimSpace(string(text)))
		if err != nil || len(salt) < 16 {
			return nil, &privatefile.UnsafeError{Path: path, Msg: "is damaged", Fix: "rm " + shellword.Word(path)}
		}
		return salt, nil
	}
	salt, err := read()
	if !errors.Is(err, fs.ErrNotExist) || !c.Make {
		return salt, err
	}
	unlock, err := c.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	if salt, err = read(); !errors.Is(err, fs.ErrNotExist) {
		return salt, err
	}
	salt = make([]byte, 16)
	rand.Read(salt)
	return salt, privatefile.Write(path, []byte(hex.EncodeToString(salt)+"\n"))
}

// made is the key that some rolecall made for this store, or a new one.
func (c KeyConfig) made() (Key, error) {
	path := filepath.Join(c.Dir, keyFile)
	key, err := c.recorded(path)
	if err == nil || !c.Make || !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errKeyLost) {
		return key, err
	}
	unlock, err := c.lock()
	if err != nil {
		return Key{}, err
	}
	defer unlock()
	if key, err = c.recorded(path); err == nil {
		return key, nil // another process was faster
	}
	if errors.Is(err, errKeyLost) {
		c.Warn("the key of the store is lost, and what was kept with it; a new one is made")
	}
	return c.make(path)
}

var errKeyLost = errors.New("the key of the store is lost")

// recorded reads the key file, which holds the key or says that the keychain
// does.
func (c KeyConfig) recorded(path string) (Key, error) {
	text, err := c.read(path)
	if err != nil {
		return Key{}, err
	}
	rest, ok := strings.CutPrefix(strings.TrimSuffix(string(text), "\n"), keyPrefix)
	kind, value, _ := strings.Cut(rest, " ")
	if !ok || value == "" {
		return Key{}, errKeyLost
	}
	switch KeyKind(kind) {
	case KeyInFile:
		if b, err := base64.StdEncoding.DecodeString(value); err == nil && len(b) == KeySize {
			return Key{b, KeyInFile, path}, nil
		}
		return Key{}, errKeyLost
	case KeyInKeychain:
		if c.Keychain == nil {
			return Key{}, &privatefile.UnsafeError{Path: path, Msg: "says that the key of the store is in the keychain, which this process cannot reach",
				Fix: "set ROLECALL_STORE_PASSPHRASE_FILE, or make a key file: rolecall store clear --key"}
		}
		b, err := c.Keychain.Get(value)
		if err != nil {
			return Key{}, err
		}
		return Key{b, KeyInKeychain, path}, nil
	}
	return Key{}, errKeyLost
}

// read returns what is in a file of the store's directory.
func (c KeyConfig) read(path string) ([]byte, error) {
	text, err := privatefile.Read(path, keyFileLimit)
	if info, e := os.Stat(c.Dir); err != nil && e == nil && !info.IsDir() {
		return nil, privatefile.EnsureDir(c.Dir) // its words are better
	}
	return text, err
}

// make puts a new key into the keychain, or where that cannot be, into the file.
func (c KeyConfig) make(path string) (Key, error) {
	key := make([]byte, KeySize)
	rand.Read(key)
	if c.Keychain != nil {
		id := make([]byte, 8)
		rand.Read(id)
		err := c.Keychain.Set(hex.EncodeToString(id), key)
		if err == nil {
			line := keyPrefix + string(KeyInKeychain) + " " + hex.EncodeToString(id) + "\n"
			return Key{key, KeyInKeychain, path}, privatefile.Write(path, []byte(line))
		}
		c.Warn("the keychain cannot be used for the key of the store, which is kept in a file: " + err.Error())
	}
	line := keyPrefix + string(KeyInFile) + " " + base64.StdEncoding.EncodeToString(key) + "\n"
	return Key{key, KeyInFile, path}, privatefile.Write(path, []byte(line))
}

// lock makes the directory and keeps other processes from making a key.
func (c KeyConfig) lock() (unlock func(), err error) {
	if err := privatefile.EnsureDir(c.Dir); err != nil {
		return nil, err
	}
	l := privatefile.NewLock(filepath.Join(c.Dir, keyFile+lockExt))
	for began := time.Now(); ; time.Sleep(lockPoll) {
		ok, err := l.TryLock()
		if err != nil {
			return nil, fmt.Errorf("locking the key of the store: %w", err)
		}
		if ok {
			return func() { _ = l.Unlock() }, nil
		}
		if time.Since(began) > lockWait {
			return nil, errors.New("another process holds the key of the store locked")
		}
	}
}

// DropKey forgets the key that was made for the store in dir. A keychain keeps
// its copy, which nothing refers to any more.
func DropKey(dir string) error {
	err := os.Remove(filepath.Join(dir, keyFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
