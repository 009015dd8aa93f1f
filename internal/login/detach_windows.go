package login

import (
	"os/exec"
	"syscall"
)

// detach keeps Ctrl-C at this console from the program.
func detach(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}
