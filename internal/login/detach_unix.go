//go:build unix

package login

import (
	"os/exec"
	"syscall"
)

// detach keeps signals of this terminal from the program.
func detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }
