package store

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"github.com/zalando/go-keyring"
)

// Keychain keeps secrets for a user who is logged in. The error of a Get of what
// is not there is errKeyLost's.
type Keychain interface {
	Get(id string) ([]byte, error)
	Set(id string, key []byte) error
}

// keychainTime bounds a call: a keychain that is locked may be waiting for a
// person, for whom no background process may wait.
const keychainTime = 3 * time.Second

const service = "rolecall"

// SystemKeychain is that of macOS, of Windows, or the Secret Service of a Linux
// desktop; nil where there is none. It is not used where ROLECALL_DIR keeps
// everything in one directory.
func SystemKeychain(getenv func(string) string) Keychain {
	if getenv("ROLECALL_DIR") != "" {
		return nil
	}
	switch runtime.GOOS {
	case "darwin", "windows":
		return systemKeychain{}
	case "linux", "freebsd", "openbsd", "netbsd", "dragonfly":
		// Without a session bus that is running already, the library would try
		// to start one.
		if os.Getenv("DBUS_SESSION_BUS_ADDRESS") != "" {
			return systemKeychain{}
		}
		bus := filepath.Join("/run/user", strconv.Itoa(os.Geteuid()), "bus")
		if info, err := os.Lstat(bus); err == nil && info.Mode()&os.ModeSocket != 0 && os.Getenv("XDG_RUNTIME_DIR") != "" {
			return systemKeychain{}
		}
	}
	return nil
}

type systemKeychain struct{}

func (systemKeychain) Get(id string) (key []byte, err error) {
	err = bounded(func() error {
		text, err := keyring.Get(service, account(id))
		if errors.Is(err, keyring.ErrNotFound) {
			return errKeyLost
		}
		if err != nil {
			return errors.New("the keychain refuses to give the key of the store") // the library's text may quote
		}
		b, err := base64.StdEncoding.DecodeString(text)
		if err != nil || len(b) != KeySize {
			return errKeyLost
		}
		key = b
		return nil
	})
	if err != nil {
		return nil, err
	}
	return key, nil
}

func (systemKeychain) Set(id string, key []byte) error {
	return bounded(func() error {
		if err := keyring.Set(service, account(id), base64.StdEncoding.EncodeToString(key)); err != nil {
			return errors.New("it refuses to keep a new entry")
		}
		return nil
	})
}

func account(id string) string { return "store key " + id }

// bounded gives f up after keychainTime; f then ends whenever the keychain
// answers.
func bounded(f func() error) error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err
	case <-time.After(keychainTime):
		return fmt.Errorf("the keychain has not answered for %v; is it locked?", keychainTime)
	}
}
