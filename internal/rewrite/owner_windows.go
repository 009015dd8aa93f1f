package rewrite

import (
	"io/fs"
	"os"
)

// sameOwner does nothing: what is made in a directory takes after it.
func sameOwner(*os.File, fs.FileInfo) error { return nil }
