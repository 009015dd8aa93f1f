package privatefile

import (
	"io/fs"
	"os"
	"time"
)

// On Windows the access list that a file inherits from the user's own profile
// directory keeps other users out; owner and mode bits are not checked.

func openNoFollow(path string) (*os.File, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if info.Mode()&(fs.ModeSymlink|fs.ModeIrregular) != 0 {
		return nil, &UnsafeError{path, "is a symbolic link", "remove it; it is made anew"}
	}
	return os.Open(path)
}

func openFollow(path string) (*os.File, error) { return os.Open(path) }

func checkOwner(string, fs.FileInfo, bool) error { return nil }

func checkMode(string, fs.FileInfo, fs.FileMode, string, string) error { return nil }

func ofRoot(fs.FileInfo) bool { return false }

func links(fs.FileInfo) uint64 { return 1 }

// rename replaces to. A reader that holds the old file open makes Windows
// refuse for that moment, so it is tried for up to a tenth of a second.
func rename(from, to string) error {
	err := os.Rename(from, to)
	for i := 0; err != nil && i < 10; i++ {
		time.Sleep(10 * time.Millisecond)
		err = os.Rename(from, to)
	}
	return err
}

func syncDir(string) error { return nil }
