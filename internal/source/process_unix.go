//go:build unix

package source

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
)

// runGroup runs cmd in a session of its own, so that it has no terminal to
// prompt on, and ends its whole process group with its context.
func runGroup(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Cancel = func() error {
		err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		if errors.Is(err, syscall.ESRCH) {
			return os.ErrProcessDone
		}
		return err
	}
	return cmd.Run()
}

// splitCommand splits a credential_process into its words.
func splitCommand(text string) ([]string, error) { return splitWords(text) }
