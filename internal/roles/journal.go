package roles

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"rolecall/internal/privatefile"
)

// Journal is the record of one run, in a file of its own that only the user can
// read: what was done, and the calls that take it back. A nil Journal keeps
// nothing.
type Journal struct {
	path    string
	rec     record
	instead string // the file of the record that this one takes the place of; "" for none
	back    bool   // the run is being taken back: what is done is struck out
}

type record struct {
	Version int       `json:"version"`
	Command string    `json:"command"`
	Role    string    `json:"role"`
	Account string    `json:"account"`
	Region  string    `json:"region"`
	Wanted  string    `json:"wanted"` // digest of what was asked for
	Began   time.Time `json:"began"`
	Ended   bool      `json:"ended"` // the whole plan was carried out
	Undo    []Undo    `json:"undo"`  // in the order of the doing
}

const (
	journalVersion = 1
	journalLimit   = 1 << 20
	journalKept    = 20 // of one command and role; older ones are removed
)

// Begin makes the record of a run that is about to start. The file is written
// with the first change.
func (a *Account) Begin(dir string, p *Plan, wanted string) *Journal {
	now := time.Now().UTC()
	name := a.journalPrefix(p.Command, p.Role) + now.Format("20060102T150405.000000000") + fmt.Sprintf("-%d.json", os.Getpid())
	return &Journal{path: filepath.Join(dir, name), rec: record{Version: journalVersion, Command: p.Command, Role: p.Role.String(),
		Account: a.ID, Region: a.Region, Wanted: wanted, Began: now.Truncate(time.Second)}}
}

// journalPrefix is the beginning of the names of all records of a command and
// role. Two names may differ in case only, which not every file system keeps.
func (a *Account) journalPrefix(command string, role Name) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{command, role.Name, a.ID, a.Region, a.Partition}, "\n")))
	return command + "-" + hex.EncodeToString(sum[:6]) + "-"
}

// Digest stands for what was asked for, in a record.
func Digest(wanted any) string {
	b, err := json.Marshal(wanted)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:12])
}

// Continue makes j the record of a run that goes on with last, which was broken
// off: --undo then takes both back.
func (j *Journal) Continue(last *Journal) {
	j.rec.Undo, j.instead = slices.Clone(last.rec.Undo), last.path
}

// done writes a step down, or strikes it out where the run is taken back.
func (j *Journal) done(s Step, answer any, changed bool) error {
	switch {
	case j == nil:
		return nil
	case j.back:
		if j.rec.Undo = j.rec.Undo[:len(j.rec.Undo)-1]; len(j.rec.Undo) == 0 {
			return j.forget()
		}
		return j.write()
	case !changed || s.undo == nil:
		return nil
	}
	undo := s.undo(answer)
	if len(undo) == 0 {
		return nil
	}
	j.rec.Undo = append(j.rec.Undo, undo...)
	return j.write()
}

func (j *Journal) finish() error {
	if j == nil || len(j.rec.Undo) == 0 {
		return nil
	}
	j.rec.Ended = true
	return j.write()
}

func (j *Journal) write() error {
	b, err := json.MarshalIndent(j.rec, "", "  ")
	if err == nil {
		if err = privatefile.EnsureDir(filepath.Dir(j.path)); err == nil {
			err = privatefile.Write(j.path, append(b, '\n'))
		}
	}
	if err == nil && j.instead != "" {
		_ = os.Remove(j.instead) // where it stays, --undo finds that nothing is left of it
		j.instead = ""
	}
	if err != nil {
		return &Error{Msg: "what was done cannot be written down: " + err.Error(), Next: "make " + filepath.Dir(j.path) + " writable for you alone, then run it again", Err: err}
	}
	return nil
}

// Last is the newest record of a command and role in this account and region
// that has something to undo; nil when there is none.
func (a *Account) Last(dir, command string, role Name) (*Journal, error) {
	names, err := a.records(dir, command, role)
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Backward(names) {
		b, err := privatefile.Read(filepath.Join(dir, name), journalLimit)
		if errors.Is(err, fs.ErrNotExist) {
			continue // undone by another process just now
		}
		if err != nil {
			return nil, err
		}
		j := &Journal{path: filepath.Join(dir, name)}
		if json.Unmarshal(b, &j.rec) != nil || j.rec.Version != journalVersion || j.rec.Account != a.ID || j.rec.Command != command {
			continue
		}
		if len(j.rec.Undo) > 0 {
			return j, nil
		}
	}
	return nil, nil
}

// records are the names of a command's and role's records, oldest first. Old
// ones beyond journalKept are removed.
func (a *Account) records(dir, command string, role Name) (names []string, err error) {
	all, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, e := range all {
		if strings.HasPrefix(e.Name(), a.journalPrefix(command, role)) && strings.HasSuffix(e.Name(), ".json") {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names) // the names begin with the time
	for len(names) > journalKept {
		_ = os.Remove(filepath.Join(dir, names[0])) // at worst it stays
		names = names[1:]
	}
	return names, nil
}

// Unfinished says whether the run was broken off, and wanted the same.
func (j *Journal) Unfinished(wanted string) bool {
	return j != nil && !j.rec.Ended && j.rec.Wanted == wanted
}

// Began is when the run started.
func (j *Journal) Began() time.Time { return j.rec.Began }

// PlanUndo is the plan that takes the run back, last step first. With j as the
// record of the plan's run, what was taken back is struck out as it goes.
func (a *Account) PlanUndo(j *Journal) (*Plan, error) {
	name, err := ParseName(j.rec.Role)
	if err != nil {
		return nil, err
	}
	j.back = true
	p := &Plan{Command: j.rec.Command, Role: name, Exists: true, undoes: true,
		Title: fmt.Sprintf("take back `role %s %s` of %s", j.rec.Command, j.rec.Role, j.rec.Began.Local().Format("2006-01-02 15:04:05"))}
	for _, u := range slices.Backward(j.rec.Undo) {
		c, ok := callOf(u.Action)
		if !ok {
			return nil, &Error{Msg: "the record " + j.path + " names a call that this version does not know: " + u.Action, Next: "use the version that wrote it"}
		}
		in := c.input()
		if err := json.Unmarshal(u.Input, in); err != nil {
			return nil, &Error{Msg: "the record " + j.path + " cannot be read", Next: "remove it; what it says must be taken back by hand"}
		}
		p.add(Step{Text: u.Text, Action: u.Action, Input: in, needs: u.Needs})
	}
	return a.finish(p), nil
}

// forget removes the record, after its undoing.
func (j *Journal) forget() error {
	if err := os.Remove(j.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
