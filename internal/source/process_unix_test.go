//go:build unix

package source

import (
	"errors"
	"syscall"
	"testing"
	"time"
)

// waitForEnd waits until no process has the pid. An orphan's end is announced
// to init only.
func waitForEnd(t *testing.T, pid int) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		if err := syscall.Kill(pid, 0); errors.Is(err, syscall.ESRCH) || zombie(pid) {
			return
		}
		<-time.After(5 * time.Millisecond)
	}
	t.Errorf("process %d is still there", pid)
}
