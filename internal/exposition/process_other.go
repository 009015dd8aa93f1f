//go:build !linux && !windows

package exposition

func system(s *Scrape) { usage(s) }
