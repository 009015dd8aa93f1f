package mock_test

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// A test suite may read the URLs and drop the pipe: the mock goes on, and still ends with stdin.
func TestGoesOnWithoutAReader(t *testing.T) {
	t.Parallel()
	cmd, stdin, stdout, stderr := started(t)
	kill := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	defer kill.Stop()
	r := bufio.NewReader(stdout)
	_, first := r.ReadString('\n')
	line, second := r.ReadString('\n')
	if first != nil || second != nil {
		t.Fatalf("%v, %v", first, second)
	}
	_ = stdout.Close()
	client := &http.Client{Timeout: 20 * time.Second}
	for range 20 {
		resp, err := client.Get(strings.TrimSpace(strings.TrimPrefix(line, "ecs ")))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("status %d", resp.StatusCode)
		}
	}
	_ = stdin.Close()
	if err := cmd.Wait(); err != nil || stderr.Len() > 0 {
		t.Errorf("%v: %s", err, stderr)
	}
}
