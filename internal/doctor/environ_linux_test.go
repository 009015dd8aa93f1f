package doctor

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// What is seen of a process that ends at that moment is its whole environment
// or none of it: one that is cut short would tell of variables that were lost.
func TestEnvironOfAProcessThatEnds(t *testing.T) {
	t.Parallel()
	env := []string{"FIRST=x", "LONG=" + strings.Repeat("x", 2000), "LAST=x"}
	whole := 0
	for range 300 {
		c := exec.Command("/bin/true")
		c.Env = env
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		path := fmt.Sprintf("/proc/%d/environ", c.Process.Pid)
		for range 500 {
			b, err := readEnviron(path)
			if err != nil || len(b) == 0 {
				if whole > 0 {
					break // it has ended
				}
				continue
			}
			if bytes.HasPrefix(b, []byte("FIRST=")) {
				if !bytes.HasSuffix(b, []byte("LAST=x\x00")) {
					t.Fatalf("%d bytes of its environment", len(b))
				}
				whole++
			}
		}
		if err := c.Wait(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("seen %d times", whole)
}

func TestReadEnviron(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "environ")
	if _, err := readEnviron(path); !os.IsNotExist(err) {
		t.Error(err)
	}
	for _, n := range []int{0, 1, environRoom - 1, environRoom, environRoom + 1, 3 * environRoom} {
		want := bytes.Repeat([]byte{'x'}, n)
		if err := os.WriteFile(path, want, 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := readEnviron(path); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes: %d, %v", n, len(got), err)
		}
	}
}
