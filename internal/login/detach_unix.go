//go:build unix

package login

import (
	"os/exec"
	"syscall"
)

// Detach keeps signals of this terminal from the program.
func Detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }
