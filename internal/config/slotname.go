package config

import (
	"errors"
	"fmt"
	"unicode"
	"unicode/utf8"
)

const (
	maxSlotName = 128  // bytes
	maxSource   = 2304 // bytes: two ARNs and a profile fit
)

// CheckSlotName says what makes a text unfit to name a slot: at most 128 bytes
// of UTF-8, not empty, not "." or "..", and nothing that a reader cannot see or
// that changes how the rest is shown (control and format characters, line and
// paragraph separators). The error shows the name only where that is safe.
func CheckSlotName(name string) error {
	switch {
	case name == "":
		return errors.New("a slot's name is empty")
	case len(name) > maxSlotName:
		return fmt.Errorf("a slot's name has %d bytes, and at most %d are allowed", len(name), maxSlotName)
	case !utf8.ValidString(name):
		return errors.New("a slot's name is not valid UTF-8")
	case name == "." || name == "..":
		return fmt.Errorf("%q cannot be a slot's name, since URLs leave it out", name)
	}
	if r, bad := firstUnseen(name); bad {
		return fmt.Errorf("a slot's name has the invisible character %U", r)
	}
	return nil
}

// CheckSource says what makes a text unfit to be a source, whatever sources
// there are.
func CheckSource(source string) error {
	switch {
	case source == "":
		return errors.New("a source is empty")
	case len(source) > maxSource:
		return fmt.Errorf("a source has %d bytes, and at most %d are allowed", len(source), maxSource)
	case !utf8.ValidString(source):
		return errors.New("a source is not valid UTF-8")
	}
	if r, bad := firstUnseen(source); bad {
		return fmt.Errorf("a source has the invisible character %U", r)
	}
	return nil
}

func firstUnseen(text string) (rune, bool) {
	for _, r := range text {
		if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) {
			return r, true
		}
	}
	return 0, false
}
