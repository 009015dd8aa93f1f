package source

import (
	"os"
	"testing"
	"time"
)

func waitForEnd(t *testing.T, pid int) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		if _, err := os.FindProcess(pid); err != nil {
			return
		}
		<-time.After(5 * time.Millisecond)
	}
	t.Errorf("process %d is still there", pid)
}
