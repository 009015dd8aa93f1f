package slot

import "time"

// processStart anchors the fallback: its monotonic part is what counts.
var processStart = time.Now()

// wallOnly is the best that is known where the kernel has no clock that counts
// sleep: Go's monotonic clock. A sleep then shows by the wall clock alone.
func wallOnly() Moment {
	now := time.Now()
	return Moment{Wall: now.Round(0), Boot: now.Sub(processStart)}
}
