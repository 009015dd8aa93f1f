// Package awsconfig reads the files that the AWS CLI and SDKs share,
// ~/.aws/config and ~/.aws/credentials: which profiles, sso-sessions and
// services sections they have, and where (file and line) each value stands. It
// follows the parser of aws-sdk-go-v2, and says where it does not. It knows no
// network and no environment, and does nothing with the keys it reads.
package awsconfig

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// MaxFileSize is the size in bytes above which Load refuses a file.
const MaxFileSize = 16 << 20

// Paths are the places of the two files. An empty path is a file that is
// missing.
type Paths struct {
	Config      string // usually ~/.aws/config
	Credentials string // usually ~/.aws/credentials
}

// DefaultPaths are the places the AWS SDKs use: AWS_CONFIG_FILE and
// AWS_SHARED_CREDENTIALS_FILE where set, else .aws in home. A leading "~/" in a
// variable is home, as in the AWS CLI (the Go SDK takes it literally).
func DefaultPaths(getenv func(string) string, home string) Paths {
	place := func(variable, name string) string {
		p := getenv(variable)
		switch {
		case p == "" && home == "":
			return ""
		case p == "":
			return filepath.Join(home, ".aws", name)
		case home != "" && (p == "~" || strings.HasPrefix(p, "~/") || strings.HasPrefix(p, "~"+string(filepath.Separator))):
			return filepath.Join(home, p[1:])
		}
		return p
	}
	return Paths{
		Config:      place("AWS_CONFIG_FILE", "config"),
		Credentials: place("AWS_SHARED_CREDENTIALS_FILE", "credentials"),
	}
}

// Fingerprint is what a stat tells of the two files. Two equal fingerprints of
// the same Paths mean that nothing has changed in between; compare with ==.
type Fingerprint struct{ config, credentials stamp }

type stamp struct {
	exists bool
	size   int64
	mtime  int64 // Unix nanoseconds
}

// Fingerprint looks at the files without reading them.
func (p Paths) Fingerprint() Fingerprint {
	return Fingerprint{stampOf(p.Config), stampOf(p.Credentials)}
}

func stampOf(path string) stamp {
	if path == "" {
		return stamp{}
	}
	info, err := os.Stat(path)
	if err != nil {
		return stamp{}
	}
	return stamp{true, info.Size(), info.ModTime().UnixNano()}
}

// Load reads both files. A missing file is an empty one. Lines that mean
// nothing harm only themselves, as in the SDK, and are told by Files.Faults. The
// error names the file that cannot be read at all: no permission, not a regular
// file, larger than MaxFileSize, or UTF-16.
func Load(p Paths) (*Files, error) {
	seen := p.Fingerprint()
	config, err := read(p.Config)
	if err != nil {
		return nil, err
	}
	credentials, err := read(p.Credentials)
	if err != nil {
		return nil, err
	}
	f, err := Parse(p, config, credentials)
	if err != nil {
		return nil, err
	}
	f.Fingerprint = seen
	return f, nil
}

// read returns the content of a file, nothing where it is missing.
func read(path string) ([]byte, error) {
	if path == "" || path == os.DevNull {
		return nil, nil
	}
	// A stat first: opening a FIFO would wait for its writer.
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the AWS configuration: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading the AWS configuration: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, MaxFileSize+1))
	if err != nil {
		return nil, fmt.Errorf("reading the AWS configuration: %w", err)
	}
	if len(text) > MaxFileSize {
		return nil, fmt.Errorf("%s is larger than %d MiB, which is no AWS configuration", path, MaxFileSize>>20)
	}
	return text, nil
}
