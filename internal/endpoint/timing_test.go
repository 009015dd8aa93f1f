package endpoint

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// The comparison of authorization tokens takes the same time whether a guess is
// wrong at its first character or at its last: Welch's t-test of two classes
// that take turns at random (Reparaz et al., "Dude, is my code constant
// time?"). A comparison that ends at the first difference is measured beside it,
// to show that the test would find it.
func TestComparisonTellsNothingByItsTime(t *testing.T) {
	samples := 200_000
	if testing.Short() {
		samples = 20_000
	}
	right := strings.Repeat("0123456789abcdef", 3)[:43]
	early, late := "X"+right[1:], right[:42]+"X"
	a := NewGuard(Access{Mode: AuthToken, Tokens: []string{right}}).access.Load()
	best := math.Inf(1)
	for range 5 { // other programs make noise, which lasts; a leak would be there each time
		best = min(best, math.Abs(welch(samples, early, late, a.knows)))
		if best < 4.5 {
			break
		}
	}
	control := math.Abs(welch(samples, early, late, func(given string) bool {
		for i := range len(right) {
			if i >= len(given) || given[i] != right[i] {
				return false
			}
		}
		return true
	}))
	t.Logf("%d samples: |t| = %.2f; of a comparison that ends early: %.1f", samples, best, control)
	if best >= 4.5 {
		t.Errorf("|t| = %.2f, want less than 4.5", best)
	}
	if control < 4.5 {
		t.Errorf("|t| = %.2f for a comparison that ends early: the measurement has no power here", control)
	}
}

// welch is the t value of the times of f with one argument and the other. Each
// sample is a few calls, and the slowest tenth of all is left out.
func welch(samples int, one, other string, f func(string) bool) float64 {
	const calls = 8
	r := rand.New(rand.NewPCG(3, 4))
	buf := make([]byte, len(one)) // the same memory for both
	given := [2]string{one, other}
	var times [2][]float64
	found := false
	for range samples {
		class := r.IntN(2)
		copy(buf, given[class])
		text := string(buf)
		began := time.Now()
		for range calls {
			found = f(text) || found
		}
		times[class] = append(times[class], float64(time.Since(began)))
	}
	if found {
		return math.NaN()
	}
	all := slices.Sorted(slices.Values(slices.Concat(times[0], times[1])))
	limit := all[len(all)*9/10]
	var n, mean, m2 [2]float64
	for c := range times {
		for _, x := range times[c] {
			if x > limit {
				continue
			}
			n[c]++
			d := x - mean[c]
			mean[c] += d / n[c]
			m2[c] += d * (x - mean[c])
		}
	}
	return (mean[0] - mean[1]) / math.Sqrt(m2[0]/(n[0]-1)/n[0]+m2[1]/(n[1]-1)/n[1])
}
