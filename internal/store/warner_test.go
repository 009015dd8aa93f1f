package store

import (
	"strings"
	"testing"
	"time"
)

func TestWarner(t *testing.T) {
	now := time.Now()
	var told []string
	w := newWarner(func(m string) { told = append(told, m) }, func() time.Time { return now })
	for _, step := range []struct {
		after      time.Duration
		kind, text string
		want       string
	}{
		{0, "a", "1", "1"},
		{warnLull - 1, "a", "2", "1"},
		{0, "b", "3", "1 3"},
		{1, "a", "4", "1 3 4"},
		{0, "a", "5", "1 3 4"},
		{-time.Hour, "a", "6", "1 3 4 6"}, // the clock was set back
	} {
		now = now.Add(step.after)
		w.tell(step.kind, step.text)
		if got := strings.Join(told, " "); got != step.want {
			t.Errorf("%+v: told %s", step, got)
		}
	}
	newWarner(nil, time.Now).tell("a", "nobody listens")
}
