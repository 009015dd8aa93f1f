package store

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"rolecall/internal/privatefile"
)

const (
	mostBad       = 3
	sweepAfter    = 48 * time.Hour // no AWS session lives longer than 36 h
	leftOverAfter = time.Minute    // no write takes as long
)

// Entry is what may be shown of a kept entry.
type Entry struct {
	Name        string    // of its file, without the ending
	Source      string    // canonical text; "" when it cannot be read
	AccountID   string    // "" when not known
	RoleName    string    // "" when not known
	AccessKeyID string    // all but its end hidden
	Expires     time.Time // zero when it cannot be read
	Stored      time.Time // zero where the server keeps it
	Where       string    // file, redis
	Problem     string    // why it cannot be used; "" for a good one
}

// List is all entries, by source.
func (f *File) List() ([]Entry, error) {
	files, err := os.ReadDir(f.c.Dir)
	if err != nil {
		return nil, err
	}
	var all []Entry
	for _, file := range files {
		name, isEntry := strings.CutSuffix(file.Name(), entryExt)
		if !isEntry || !isName(name) {
			continue
		}
		if e, ok := f.entry(name); ok {
			all = append(all, e)
		}
	}
	slices.SortStableFunc(all, func(a, b Entry) int { return strings.Compare(a.Source, b.Source) })
	return all, nil
}

// entry reads without setting anything aside: to look must change nothing.
func (f *File) entry(name string) (e Entry, ok bool) {
	path := f.path(name, entryExt)
	info, err := os.Lstat(path)
	if err != nil {
		return e, false // gone meanwhile
	}
	e = Entry{Name: name, Stored: info.ModTime(), Where: "file"}
	sealed, err := privatefile.Read(path, maxSealed)
	if err != nil {
		e.Problem = err.Error()
		return e, true
	}
	c, err := f.c.Sealer.Open(name, sealed)
	if err != nil {
		e.Problem = err.Error()
		return e, true
	}
	e.Source, e.AccountID, e.RoleName, e.AccessKeyID, e.Expires = c.Source, c.AccountID, c.RoleName, c.MaskedKeyID(), c.Expires
	if Remaining(c, e.Stored, f.c.Now()) <= 0 {
		e.Problem = "ended"
	}
	return e, true
}

// Clear removes the entries of the source, or with "" everything but the key.
// It says how many entries it removed.
func (f *File) Clear(source string) (removed int, err error) {
	if source == "" {
		return Wipe(f.c.Dir)
	}
	all, err := f.List()
	if err != nil {
		return 0, err
	}
	var errs []error
	for _, e := range all {
		if e.Source != source {
			continue
		}
		switch err := os.Remove(f.path(e.Name, entryExt)); {
		case err == nil:
			removed++
			_ = os.Remove(f.path(e.Name, failExt))
		case !errors.Is(err, fs.ErrNotExist):
			errs = append(errs, err)
		}
	}
	return removed, errors.Join(errs...)
}

// Wipe removes everything but the key from the store in dir, for which no key
// is needed.
func Wipe(dir string) (removed int, err error) {
	files, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	var errs []error
	for _, file := range files {
		if !ours(file.Name()) {
			continue
		}
		switch err := os.Remove(filepath.Join(dir, file.Name())); {
		case err == nil && filepath.Ext(file.Name()) == entryExt:
			removed++
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			errs = append(errs, err)
		}
	}
	return removed, errors.Join(errs...)
}

// ours says whether the file belongs to an entry, or was left over by a writer
// that was killed, by its name.
func ours(file string) bool {
	if leftOver(file) {
		return true
	}
	ext := filepath.Ext(file)
	return isName(strings.TrimSuffix(file, ext)) && slices.Contains([]string{entryExt, lockExt, linkExt, badExt, failExt}, ext)
}

// leftOver says whether the file is one of privatefile.Write's before it gets
// its name: of an entry, of the key or of the salt.
func leftOver(file string) bool {
	hidden, isHidden := strings.CutPrefix(file, ".")
	to, _, isTemp := strings.Cut(hidden, ".tmp-")
	name, _, _ := strings.Cut(to, ".")
	return isHidden && isTemp && (isName(name) || to == keyFile || to == saltFile)
}

// isName says whether text could be what Sealer.Name made.
func isName(text string) bool {
	return len(text) == 32 && strings.Trim(text, "0123456789abcdef") == ""
}

// setAside puts an entry that cannot be opened out of the way, for whoever wants
// to know what happened to it. Of such, the newest three are kept.
func (f *File) setAside(name string, sealed []byte) {
	path := f.path(name, entryExt)
	if again, err := privatefile.Read(path, maxSealed); err != nil || !bytes.Equal(again, sealed) {
		return // another process has mended it
	}
	f.warn("a kept entry is not used: %v; it is set aside as *%s, and the credentials are fetched anew", f.openError(name, sealed), badExt)
	if err := os.Rename(path, f.path(name, badExt)); err != nil {
		_ = os.Remove(path) // at worst it is a miss each time
	}
	bad := f.aged(badExt)
	for _, old := range bad[:max(0, len(bad)-mostBad)] {
		_ = os.Remove(old.path)
	}
}

func (f *File) openError(name string, sealed []byte) error {
	_, err := f.c.Sealer.Open(name, sealed)
	return err
}

// sweep removes what nobody can want any more.
func (f *File) sweep(now time.Time) {
	files, err := os.ReadDir(f.c.Dir)
	if err != nil {
		return // whatever is there does no harm
	}
	for _, file := range files {
		info, err := file.Info()
		if err != nil || !ours(file.Name()) || filepath.Ext(file.Name()) == badExt {
			continue
		}
		age, most := now.Sub(info.ModTime()), sweepAfter
		if leftOver(file.Name()) {
			most = leftOverAfter
		}
		if age > most {
			_ = os.Remove(filepath.Join(f.c.Dir, file.Name())) // a lock that somebody holds costs one more fetch at most
		}
	}
}

type aged struct {
	path string
	at   time.Time
}

// aged is the files of that ending, oldest first.
func (f *File) aged(ext string) (all []aged) {
	files, err := os.ReadDir(f.c.Dir)
	if err != nil {
		return nil
	}
	for _, file := range files {
		if filepath.Ext(file.Name()) != ext || !ours(file.Name()) {
			continue
		}
		if info, err := file.Info(); err == nil {
			all = append(all, aged{filepath.Join(f.c.Dir, file.Name()), info.ModTime()})
		}
	}
	slices.SortFunc(all, func(a, b aged) int { return a.at.Compare(b.at) })
	return all
}
