package mock

import (
	"maps"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"rolecall/internal/fakeaws"
)

// The two endpoints, as on= names them.
const (
	OnIMDS = "imds"
	OnECS  = "ecs"
)

// rules are the faults in force, and what they have done so far.
type rules struct {
	seed uint64
	mode Kind // V1Only, V2Only or "", where no fault of such a kind is in force
	now  func() time.Time

	mu       sync.Mutex // guards everything below
	random   *rand.Rand
	faults   []*live
	requests map[string]int // :: operation → how many came in
}

// live is a fault in force.
type live struct {
	Fault
	text   string
	hits   int     // requests that drew it
	passed int     // requests that it let pass, up to Fault.After
	full   float64 // what is left of a rate's second
	filled time.Time
}

func newRules(seed uint64, mode Kind, now func() time.Time) *rules {
	r := &rules{seed: seed, mode: mode, now: now}
	r.reset()
	return r
}

// reset puts everything back to the start: no faults, no counts, the random numbers from the beginning.
func (r *rules) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.random = rand.New(rand.NewPCG(r.seed, 0))
	r.faults, r.requests = nil, map[string]int{}
}

// set puts faults into force, in place of those that are, or after them.
func (r *rules) set(faults []Fault, add bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var next []*live
	if add {
		next = append(next, r.faults...)
	}
	for _, f := range faults {
		next = append(next, &live{Fault: f, text: f.String()})
	}
	if len(next) > maxFaults {
		return wrong("more than 100 faults", "")
	}
	modes := map[Kind]bool{}
	for _, l := range next {
		if l.mode() {
			modes[l.Kind] = true
		}
	}
	if len(modes) > 1 {
		return wrong("v1-only and v2-only exclude each other", "")
	}
	r.faults = next
	return nil
}

const maxFaults = 100

// labelGap stands between the faults in a request's label; no fault has it in its text.
const labelGap = "; "

// choose is the fault of a request; see fakeaws.Config.Choose.
func (r *rules) choose(op string, q *http.Request) (fakeaws.Fault, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests[op]++
	d := draw{op: op, request: q, path: "/" + strings.TrimLeft(q.URL.Path, "/")}
	mode := r.mode
	for _, f := range r.faults { // the answer is decided by the first that can
		if f.mode() {
			mode = f.Kind
		} else if f.decides() && !d.decided && r.drawnLocked(f, d) {
			d.decide(f.Fault)
		}
	}
	for _, f := range r.faults {
		if !f.decides() && !f.mode() && d.takes(f.Fault) && r.drawnLocked(f, d) {
			d.change(f.Fault, r.random)
		}
	}
	d.fault.NoTokens, d.fault.NeedToken = mode == V1Only, mode == V2Only
	d.fault.Label = strings.Join(d.labels, labelGap)
	return d.fault, mode != "" || len(d.labels) > 0
}

// drawnLocked says whether d's request draws f, and counts it.
func (r *rules) drawnLocked(f *live, d draw) bool {
	if f.Count > 0 && f.hits >= f.Count || !f.matches(d) {
		return false
	}
	if f.passed < f.After {
		f.passed++
		return false
	}
	if f.Chance > 0 && r.random.Float64()*100 >= f.Chance {
		return false
	}
	if f.PerSecond > 0 && !f.exceeded(r.now()) {
		return false
	}
	f.hits++
	return true
}

// exceeded takes one request out of a bucket that holds what the rate gives in a second, and at least one.
func (f *live) exceeded(now time.Time) bool {
	size := max(f.PerSecond, 1)
	if f.filled.IsZero() {
		f.full = size
	} else if gone := now.Sub(f.filled); gone > 0 {
		f.full = min(size, f.full+gone.Seconds()*f.PerSecond)
	}
	f.filled = now
	if f.full < 1 {
		return true
	}
	f.full--
	return false
}

// status is what is in force, and what it has done.
func (r *rules) status() (faults []FaultStatus, requests map[string]int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	faults = make([]FaultStatus, len(r.faults))
	for i, f := range r.faults {
		faults[i] = FaultStatus{Fault: f.text, Hits: f.hits}
		if f.Count > 0 {
			left := f.Count - f.hits
			faults[i].Left = &left
		}
	}
	return faults, maps.Clone(r.requests)
}
