package doctor

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// reader is a user as the kernel looks at one before a file is opened.
type reader struct {
	uid  int
	gids []int
}

// readerOf reads it from /proc/PID/status, nil when that is gone. Of the four
// numbers there the last is the one that counts for files.
func readerOf(dir string) *reader {
	b, err := os.ReadFile(filepath.Join(dir, "status"))
	if err != nil {
		return nil
	}
	r := &reader{uid: -1}
	for line := range bytes.Lines(b) {
		key, rest, _ := strings.Cut(string(line), ":")
		var ids []int
		for _, f := range strings.Fields(rest) {
			if id, err := strconv.Atoi(f); err == nil {
				ids = append(ids, id)
			}
		}
		switch {
		case key == "Uid" && len(ids) == 4:
			r.uid = ids[3]
		case key == "Gid" && len(ids) == 4:
			r.gids = append(r.gids, ids[3])
		case key == "Groups":
			r.gids = append(r.gids, ids...)
		}
	}
	if r.uid < 0 {
		return nil
	}
	return r
}

// may says whether the mode of a file lets the user do want: 4 is to read it, 1
// to pass a directory. Access control lists and capabilities are not looked at.
func (r *reader) may(info fs.FileInfo, want fs.FileMode) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || r.uid == 0 {
		return true
	}
	mode := info.Mode().Perm()
	switch {
	case int(st.Uid) == r.uid:
		mode >>= 6
	case slices.Contains(r.gids, int(st.Gid)):
		mode >>= 3
	}
	return mode&want == want
}
