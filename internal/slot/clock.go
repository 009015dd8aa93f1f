package slot

import "time"

// Moment is one reading of the two clocks that decisions are made by.
type Moment struct {
	Wall time.Time     // local wall clock; may be wrong and may be set
	Boot time.Duration // time since some fixed start, sleep included; never set
}

// Clock reads both clocks. Tests set them apart to step the one or to sleep.
type Clock interface{ Now() Moment }

// ClockFunc is a Clock made of a function.
type ClockFunc func() Moment

// Now calls f.
func (f ClockFunc) Now() Moment { return f() }

// sleptFor is how much further the wall and boot clocks went between two
// readings than the ticker between them: a machine that slept.
func sleptFor(before, after Moment, ticked time.Duration) time.Duration {
	return max(0, after.Boot-before.Boot-ticked)
}
