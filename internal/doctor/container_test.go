package doctor

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rolecall/internal/fakeaws"
)

// Java sends the variable, the others the file: each is asked for what it would
// get.
func TestContainerAsksWithEachToken(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(canary), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		server  string
		cause   string
		outcome Outcome
		words   string
		asked   int
	}{
		{canary, "container.unauthorized", Warning, "with the token of Java", 2},                 // Java's is refused
		{canary + "2", "container.unauthorized", Failed, "with the token of PHP, Python/CLI", 2}, // all but Java's
	} {
		s := fake(t, fakeaws.Config{ContainerAuthorization: tt.server})
		r := look(t, Config{}, "AWS_CONTAINER_CREDENTIALS_FULL_URI="+s.ContainerURL("app"), varToken+"="+canary+"2", varTokenFile+"="+file)
		found := false
		for _, res := range r.Results {
			found = found || res.Cause == tt.cause && res.Outcome == tt.outcome && strings.Contains(fmt.Sprint(res.Evidence), tt.words)
		}
		if n := s.Calls("container:credentials"); !found || n != tt.asked {
			t.Errorf("%d requests: %+v", n, r.Results[:2])
		}
	}
}
