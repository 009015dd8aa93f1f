package login

import (
	"os/exec"
	"syscall"
)

// Detach keeps Ctrl-C at this console from the program.
func Detach(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}
