package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"rolecall/internal/privatefile"
)

// Check says what would keep credentials from being kept in dir and, with a URL,
// on the fleet's server, without making anything or asking the server.
func Check(dir string, fleet RedisConfig) (problems []error) {
	if err := checkDir(dir); err != nil {
		problems = append(problems, err)
	}
	if fleet.URL != "" {
		if _, err := redisOptions(fleet); err != nil {
			problems = append(problems, err)
		}
	}
	return problems
}

// checkDir looks at the directory, or where it is missing at the nearest one in
// which it would be made.
func checkDir(dir string) error {
	_, err := os.Stat(dir)
	if err == nil {
		if err := privatefile.EnsureDir(dir); err != nil { // there: it only looks
			return err
		}
	}
	for errors.Is(err, fs.ErrNotExist) && filepath.Dir(dir) != dir {
		dir = filepath.Dir(dir)
		_, err = os.Stat(dir)
	}
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".rolecall-check-*") // modes alone do not tell of read-only file systems
	if err != nil {
		return fmt.Errorf("the directory of the store cannot be written: %w", err)
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}
