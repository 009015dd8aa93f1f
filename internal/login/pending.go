package login

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	"rolecall/internal/privatefile"
)

// PendingError says that another sign-in is waiting for its person.
type PendingError struct {
	Session string // "" where that cannot be told
	PID     int
	Since   time.Time
}

func (e *PendingError) Error() string {
	if e.PID == 0 {
		return "another sign-in is waiting already"
	}
	return fmt.Sprintf("a sign-in to %s is waiting already, since %s (process %d)", e.Session, e.Since.Local().Format("15:04:05"), e.PID)
}

// Hint is how to get on.
func (e *PendingError) Hint() string {
	return "finish it in its browser or terminal, or end it there with Ctrl-C"
}

type holder struct {
	Session string    `json:"session"`
	PID     int       `json:"pid"`
	Since   time.Time `json:"since"`
}

// hold lets one sign-in of this user wait at a time. The system gives the lock
// back when the process ends, however it ends.
func hold(path, session string) (release func(), err error) {
	l := privatefile.NewLock(path + ".lock")
	ok, err := l.TryLock()
	if err != nil {
		return nil, &Error{fmt.Sprintf("the lock of sign-ins cannot be had: %v", err), "correct the permissions of " + path + ".lock"}
	}
	if !ok {
		e := &PendingError{}
		var h holder
		if text, err := privatefile.Read(path, 0); err == nil && json.Unmarshal(text, &h) == nil {
			e.Session, e.PID, e.Since = h.Session, h.PID, h.Since
		}
		return nil, e
	}
	text, err := json.Marshal(holder{session, os.Getpid(), time.Now().UTC()})
	if err == nil {
		_ = privatefile.Write(path, text) // it only says who is waiting
	}
	return func() {
		_ = os.Remove(path)
		_ = l.Unlock()
	}, nil
}
