//go:build unix

package world

import "syscall"

func (d *Daemon) terminate() error { return d.cmd.Process.Signal(syscall.SIGTERM) }
