//go:build !linux

package footprint

import "runtime/debug"

// GiveBack returns unused heap to the system.
func GiveBack() { debug.FreeOSMemory() }
