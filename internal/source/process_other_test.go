//go:build unix && !linux

package source

func zombie(int) bool { return false }
