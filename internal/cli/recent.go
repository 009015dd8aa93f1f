package cli

import (
	"encoding/json"
	"path/filepath"
	"slices"

	"rolecall/internal/config"
	"rolecall/internal/privatefile"
)

const mostRecent = 200

func recentFile(d config.Dirs) string { return d.State("recent-profiles.json") }

// recent lists the profiles, and roles of SSO sessions, that were loaded, the last one first. It is a
// convenience: where it cannot be read, there are none.
func (a *app) recent() []string {
	d, err := a.dirs()
	if err != nil {
		return nil
	}
	b, err := privatefile.Read(recentFile(d), 0)
	if err != nil {
		return nil
	}
	var names []string
	if json.Unmarshal(b, &names) != nil {
		return nil
	}
	return names
}

// remember puts a profile first in that list, if it can.
func (a *app) remember(profile string) {
	d, err := a.dirs()
	if err != nil || profile == "" {
		return
	}
	names := slices.DeleteFunc(a.recent(), func(n string) bool { return n == profile })
	names = slices.Insert(names, 0, profile)
	b, err := json.Marshal(names[:min(len(names), mostRecent)])
	if err != nil {
		return
	}
	file := recentFile(d)
	if privatefile.EnsureDir(filepath.Dir(file)) == nil {
		_ = privatefile.Write(file, b) // the next load tries again
	}
}

// byRecency sorts the profiles that were loaded first, the last one first; the
// others follow in the order of the files.
func byRecency(all []profile, recent []string) []profile {
	rank := map[string]int{}
	for i, name := range recent {
		rank[name] = i + 1
	}
	sorted := make([]profile, 0, len(all))
	for _, p := range all {
		if rank[p.key()] > 0 {
			sorted = append(sorted, p)
		}
	}
	slices.SortStableFunc(sorted, func(a, b profile) int { return rank[a.key()] - rank[b.key()] })
	for _, p := range all {
		if rank[p.key()] == 0 {
			sorted = append(sorted, p)
		}
	}
	return sorted
}
