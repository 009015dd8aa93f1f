package slot

import (
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// SystemClock is the machine's. Boot is CLOCK_BOOTTIME, which counts sleep and
// which nobody can set.
//
// Asking for it is a system call, so within a twentieth of a second Go's
// monotonic clock, which stands still during sleep, is added to the last answer;
// unless the wall clock has gone another way meanwhile, as after a sleep.
func SystemClock() Clock { return &systemClock{} }

type systemClock struct{ last atomic.Pointer[reading] }

type reading struct {
	at   time.Time // with its monotonic part
	boot time.Duration
}

const (
	readingGood = 50 * time.Millisecond
	wallSlack   = 5 * time.Millisecond
)

// Now reads both clocks.
func (c *systemClock) Now() Moment {
	now := time.Now()
	wall := now.Round(0)
	if r := c.last.Load(); r != nil {
		ticked := now.Sub(r.at)
		if ticked < readingGood && (wall.Sub(r.at.Round(0))-ticked).Abs() < wallSlack {
			return Moment{Wall: wall, Boot: r.boot + ticked}
		}
	}
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return wallOnly()
	}
	boot := time.Duration(ts.Nano())
	c.last.Store(&reading{now, boot})
	return Moment{Wall: wall, Boot: boot}
}
