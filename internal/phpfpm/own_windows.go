package phpfpm

import (
	"errors"
	"io/fs"
	"os"
)

var errWindows = errors.New("there is no PHP-FPM on Windows")

func own(*os.File, fs.FileInfo) error { return nil }

func ownedBy(fs.FileInfo, int) bool { return true }

// Trusted trusts nothing here.
func Trusted(string) error { return errWindows }

// FindBinary finds none here.
func FindBinary(string) string { return "" }

// Reload reloads none here.
func (Finder) Reload(*Master) error { return errWindows }
