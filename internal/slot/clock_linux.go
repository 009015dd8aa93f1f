package slot

import (
	"time"

	"golang.org/x/sys/unix"
)

// SystemClock is the machine's. Boot is CLOCK_BOOTTIME, which counts sleep and
// which nobody can set.
var SystemClock = ClockFunc(func() Moment {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return wallOnly()
	}
	return Moment{Wall: time.Now().Round(0), Boot: time.Duration(ts.Nano())}
})
