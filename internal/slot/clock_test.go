package slot

import (
	"testing"
	"time"
)

func TestSystemClock(t *testing.T) {
	c := SystemClock()
	before := c.Now()
	for end := time.Now().Add(200 * time.Millisecond); time.Now().Before(end); {
		now := c.Now()
		if now.Boot < before.Boot-time.Millisecond || now.Boot > before.Boot+time.Second {
			t.Fatalf("boot clock went from %v to %v", before.Boot, now.Boot)
		}
		if wall := now.Wall.Sub(before.Wall); (wall - (now.Boot - before.Boot)).Abs() > 50*time.Millisecond {
			t.Fatalf("wall clock passed %v, boot clock %v", wall, now.Boot-before.Boot)
		}
		before = now
	}
}

func BenchmarkSystemClock(b *testing.B) {
	c := SystemClock()
	for b.Loop() {
		c.Now()
	}
}
