//go:build !windows

package peercred

import "os"

// OwnUID is the effective user of this process, whose sockets the kernel shows
// under it. False: this platform has no such number.
func OwnUID() (uint32, bool) { return uint32(os.Geteuid()), true }
