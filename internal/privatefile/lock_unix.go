//go:build !windows

package privatefile

import "syscall"

// A FIFO or a link in place of the lock must neither hold us nor lead away.
const lockFlags = syscall.O_NOFOLLOW | syscall.O_NONBLOCK
