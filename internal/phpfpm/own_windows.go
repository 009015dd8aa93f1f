package phpfpm

import (
	"errors"
	"io/fs"
	"os/exec"
)

var errWindows = errors.New("there is no PHP-FPM on Windows")

func ownedBy(fs.FileInfo, int) bool { return true }

// Trusted trusts nothing here.
func (*Tree) Trusted(string) error { return errWindows }

// FindBinary finds none here.
func (*Tree) FindBinary(string) string { return "" }

func (*Tree) jail(*exec.Cmd) (func(), error) { return nil, errWindows }

// Reload reloads none here.
func (Finder) Reload(*Master) error { return errWindows }
