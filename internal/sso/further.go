package sso

import (
	"context"
	"encoding/json"
	"path/filepath"
	"slices"

	"rolecall/internal/privatefile"
)

// mostFurther bounds rolecall's own file of sessions.
const mostFurther = 100

type furtherFile []struct {
	StartURL string `json:"start_url"`
	Region   string `json:"region"`
}

// ReadFurther lists the sessions that somebody signed in to by their start URL,
// from rolecall's own file. It is a convenience: what cannot be read is none.
func ReadFurther(path string) []Session {
	if path == "" {
		return nil
	}
	text, err := privatefile.Read(path, 0)
	if err != nil {
		return nil
	}
	return parseFurther(text)
}

func parseFurther(text []byte) (list []Session) {
	var file furtherFile
	if json.Unmarshal(text, &file) != nil {
		return nil
	}
	for _, f := range file[:min(len(file), mostFurther)] {
		if s, err := FromStartURL(f.StartURL, f.Region); err == nil {
			list = append(list, s)
		}
	}
	return list
}

// KeepFurther adds s to that file, or takes it out.
func KeepFurther(path string, s Session, keep bool) error {
	if err := privatefile.EnsureDir(filepath.Dir(path)); err != nil {
		return err
	}
	defer Lock(context.Background(), path)() // two sign-ins may end at once
	list := slices.DeleteFunc(ReadFurther(path), func(o Session) bool { return o.StartURL == s.StartURL })
	if keep {
		list = slices.Insert(list, 0, s)
	}
	file := make(furtherFile, min(len(list), mostFurther))
	for i := range file {
		file[i].StartURL, file[i].Region = list[i].StartURL, list[i].Region
	}
	text, err := json.Marshal(file)
	if err != nil {
		return err
	}
	return privatefile.Write(path, text)
}
