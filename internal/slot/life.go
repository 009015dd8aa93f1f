package slot

import "time"

// The figures of refreshing. Where they come from is told in docs/refresh.md.
const (
	// StaticTold is the life told to clients for credentials that never end:
	// SDKs need an Expiration.
	StaticTold = time.Hour

	leastLeft         = 27 * time.Minute // refresh is due here at the latest, when the lifetime is about an hour or more
	longLife          = 55 * time.Minute // lifetimes from here on obey leastLeft; "one hour" arrives as 59:59
	mandatoryLeft     = 2 * time.Minute  // below it a reader waits briefly for a newer set
	criticalLeft      = 15 * time.Second // below it a reader waits as for a cold slot
	clocksAgree       = time.Minute      // wall and boot clock may differ by this much before one is disbelieved
	mandatoryPatience = 800 * time.Millisecond
	coldPatience      = 4500 * time.Millisecond
)

// life is what is known of the time of one set of credentials. It is made once,
// when the set arrives, and judged against any later Moment.
type life struct {
	expires time.Time     // true end by the upstream's clock
	total   time.Duration // full lifetime, for proportions
	left    time.Duration // what was left of it at start
	start   Moment

	// trusted says that left was counted by the upstream's own clock. Then a
	// wall clock that disagrees is the one that is wrong.
	trusted bool

	refreshBelow time.Duration // a refresh is due when less than this is left
}

// newLife judges a set that was received at start. observed is the upstream's
// time when it answered, zero if unknown; fetched says that the set is new and
// not one that was kept for a while. rotates is how often the source has a new
// set, zero if unknown. r is uniform in [0, 1) and spreads refreshes of many
// slots and processes.
func newLife(expires, observed time.Time, fetched bool, rotates time.Duration, start Moment, r float64) life {
	l := life{expires: expires.Round(0), start: start}
	l.left = l.expires.Sub(start.Wall)
	l.total = l.left
	if !observed.IsZero() {
		l.total = l.expires.Sub(observed.Round(0))
		if fetched {
			l.left, l.trusted = l.total, true
		}
	}
	l.refreshBelow = refreshBelow(l.total, rotates, r)
	return l
}

// refreshBelow is the remaining life at which a refresh is due: half of the
// lifetime, five percentage points to either side, and never less than 27
// minutes where the lifetime is an hour or more, so that no answer leaves with
// less than 25 (botocore's metadata client needs more than that). Where the
// source has a new set every so often, however long each lives, that is when it
// is asked, as far to either side: the more is left when it falls silent.
func refreshBelow(total, rotates time.Duration, r float64) time.Duration {
	age := 0.45 + 0.10*r
	below := time.Duration(float64(total) * (1 - age))
	if total >= longLife {
		below = max(below, leastLeft)
	}
	if rotates > 0 {
		below = max(below, total-time.Duration(float64(rotates)*(0.5+age)))
	}
	return below
}

// remaining is the life left at now. It is the smaller of what the wall clock
// and the boot clock say; where they differ by more than a minute and the
// upstream's clock is known, the boot clock is believed.
func (l life) remaining(now Moment) time.Duration {
	byBoot := l.left - (now.Boot - l.start.Boot)
	byWall := l.expires.Sub(now.Wall)
	if l.trusted && (byWall-byBoot).Abs() > clocksAgree {
		return byBoot
	}
	return min(byBoot, byWall)
}

// skew is how far the wall clock is ahead of the upstream's; zero if unknown.
func (l life) skew(now Moment) time.Duration {
	if !l.trusted {
		return 0
	}
	return l.left - (now.Boot - l.start.Boot) - l.expires.Sub(now.Wall)
}

// The floors shrink with lifetimes of a few minutes, so that such credentials
// can be served at all.
func (l life) mandatory() time.Duration { return min(mandatoryLeft, l.total/4) }
func (l life) critical() time.Duration  { return min(criticalLeft, l.total/8) }

// State of a slot. The same words stand in status output, metrics and docs.
type State string

const (
	Empty     State = "empty"     // holds nothing
	Valid     State = "valid"     // good
	Advisory  State = "advisory"  // good; a refresh is due or under way
	Mandatory State = "mandatory" // about to end; readers wait for a newer set
	Expired   State = "expired"   // ended; never served
)

func (l life) state(now Moment) State {
	switch left := l.remaining(now); {
	case left <= 0:
		return Expired
	case left < l.mandatory():
		return Mandatory
	case left <= l.refreshBelow:
		return Advisory
	default:
		return Valid
	}
}

// patience is how long a reader waits for a newer set before it takes what is
// there: not at all, briefly, or as long as with nothing.
func (l life) patience(now Moment) time.Duration {
	switch left := l.remaining(now); {
	case left >= l.mandatory():
		return 0
	case left >= l.critical():
		return mandatoryPatience
	default:
		return coldPatience
	}
}
