package fileedit

import (
	"io/fs"
	"os"
)

// SameOwner does nothing: what is made in a directory takes after it.
func SameOwner(*os.File, fs.FileInfo) error { return nil }
