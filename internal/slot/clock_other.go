//go:build !linux

package slot

// SystemClock is the machine's. The boot clock stands still while the machine
// sleeps on some systems; the wall clock then tells that it slept.
func SystemClock() Clock { return ClockFunc(wallOnly) }
