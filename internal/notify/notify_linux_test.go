package notify

import (
	"context"
	"errors"
	"testing"
)

func TestNoDesktop(t *testing.T) {
	for _, dir := range []string{"", t.TempDir()} {
		getenv := func(name string) string {
			if name == "XDG_RUNTIME_DIR" {
				return dir
			}
			return ""
		}
		if err := Send(context.Background(), getenv, "a", "b"); !errors.Is(err, ErrNoDesktop) {
			t.Errorf("%q: %v", dir, err)
		}
	}
	if err := Send(context.Background(), func(string) string { return "unix:path=/nonexistent" }, "a", "b"); err == nil || errors.Is(err, ErrNoDesktop) {
		t.Errorf("a bus that is gone: %v", err)
	}
}
