package fakeaws_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"rolecall/internal/fakeaws"
)

func TestThrottle(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	throttle := fakeaws.NewThrottle(http.NotFoundHandler(), 100, 10, func() time.Time { return now })
	burst := func(n int) (passed int) {
		for range n {
			w := httptest.NewRecorder()
			throttle.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
			switch w.Code {
			case http.StatusNotFound:
				passed++
			case http.StatusTooManyRequests:
			default:
				t.Errorf("status %d", w.Code)
			}
		}
		return passed
	}
	for i, step := range []struct {
		later time.Duration
		want  int
	}{{0, 10}, {0, 0}, {50 * time.Millisecond, 5}, {time.Hour, 10}, {-time.Hour, 0}, {10 * time.Millisecond, 1}} {
		now = now.Add(step.later)
		if got := burst(20); got != step.want {
			t.Errorf("step %d: %d of 20 were let through, want %d", i, got, step.want)
		}
	}
	if passed, refused := throttle.Counts(); passed != 26 || refused != 94 {
		t.Errorf("%d let through, %d refused", passed, refused)
	}
}
