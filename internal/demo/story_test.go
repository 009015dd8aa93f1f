package demo

import (
	"strings"
	"testing"
	"time"
)

func TestCheck(t *testing.T) {
	var out strings.Builder
	s := &story{out: &out}
	s.check(true, "failures: %d", 0)
	s.check(false, "calls to AWS for %s: %d", slots[0], 2)
	s.check(false, "calls to AWS for %s: %d", slots[1], 3)
	want := `  failures: 0                                                        ok
  calls to AWS for the default slot: 2                               NOT AS PROMISED
  calls to AWS for slot "staging": 3                                 NOT AS PROMISED
`
	if out.String() != want || s.broken != 2 {
		t.Errorf("%d broken:\n%s", s.broken, &out)
	}
}

func TestRounded(t *testing.T) {
	for d, want := range map[time.Duration]string{
		1234567890: "1.2s", 15 * time.Second: "15s", 1234567: "1.23ms", 123456: "123µs", 0: "0s",
	} {
		if got := rounded(d).String(); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}

func TestGrouped(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 60012: "60,012", 1000001: "1,000,001"} {
		if got := grouped(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}
