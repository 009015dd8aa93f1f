//go:build !linux

package doctor

// Deepest is Process.
func Deepest(pid int) (Program, error) { return Process(pid) }
