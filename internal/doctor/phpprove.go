package doctor

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"rolecall/internal/phpfpm"
)

// proveWithin is how long a reload may take, and oldWorkers how long workers that
// were started before it may still answer.
const (
	proveWithin = 10 * time.Second
	oldWorkers  = 3 * time.Second
)

// prove asks the workers until they see what they should, or it is too late.
func (f *FPMFix) prove(ctx context.Context, failed func(string, string, ...Fix) []Result) []Result {
	reloaded := time.Now()
	ctx, cancel := context.WithTimeout(ctx, proveWithin)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		lacks := f.proved(ctx)
		if lacks == nil {
			summary := "php-fpm has taken the files, and its workers answer"
			if names := f.names(); len(names) > 0 {
				summary = "proved: workers see " + strings.Join(names, " and ")
			}
			return []Result{{Check: "php-fpm --fix", Target: f.Target, Outcome: OK, Summary: summary}}
		}
		select {
		case <-tick.C:
			if !lacks.settled(time.Since(reloaded)) {
				continue
			}
		case <-ctx.Done():
		}
		if lacks.empty != "" {
			r := failed("php-fpm.restart-needed", lacks.Error(), Fix{Text: "restart php-fpm where it gets the variable: a reload does not change the master's own environment", Command: restart(f.master)})
			return r
		}
		return failed("php-fpm.not-proved", "the files are changed and php-fpm is reloaded, but "+lacks.Error())
	}
}

// unproved is what a worker does not see yet.
type unproved struct {
	text  string
	empty string // a variable that workers get, but empty: the master lacks it
	final bool   // the new files are in force, so that waiting does not help
}

func (u *unproved) Error() string { return u.text }

// settled says whether waiting does not help any more, so long after the reload.
// An empty variable may have been so before, in workers that are about to end.
func (u *unproved) settled(since time.Duration) bool {
	return u.final || u.empty != "" && since >= oldWorkers
}

func (f *FPMFix) proved(ctx context.Context) *unproved {
	for _, pool := range f.master.setup.Pools {
		w, ok := f.want[pool.Name]
		if !ok {
			continue
		}
		p := &fpmPool{master: f.master, pool: pool}
		p.ask(ctx)
		if p.view == nil {
			return &unproved{text: "pool " + pool.Name + " was not asked: " + p.why.Error()}
		}
		for _, n := range w.Names {
			v := p.view.Vars[n]
			if v.Empty {
				return &unproved{"pool " + pool.Name + " gets " + n + " empty: the master does not have it", n, false}
			}
			if !v.Set() {
				return &unproved{text: "pool " + pool.Name + " does not see " + n}
			}
		}
		for _, n := range f.inherited(pool, w) {
			if !p.view.Vars[n].Set() {
				return &unproved{text: "pool " + pool.Name + " does not see " + n}
			}
		}
		for n, value := range w.Values {
			if got := p.view.Vars[n]; !got.Set() || phpfpm.Shown(n) && got.Value != value {
				return &unproved{text: "pool " + pool.Name + " does not see the new " + n}
			}
		}
		for _, n := range w.Hide {
			if p.view.Vars[n].Set() {
				return &unproved{text: "pool " + pool.Name + " still sees " + n}
			}
		}
		if t := p.view.TokenFile; w.Values[varTokenFile] != "" && t != nil && !t.Readable {
			return &unproved{text: "pool " + pool.Name + " cannot read " + w.Values[varTokenFile], final: true}
		}
	}
	return nil
}

// inherited are the variables that a pool gets by clear_env = no, as far as it
// is known what the master has.
func (f *FPMFix) inherited(pool *phpfpm.Pool, w phpfpm.Wanted) (all []string) {
	for _, n := range phpfpm.Names() {
		v, known := f.master.given(n)
		if _, set := pool.Env(n); w.AllEnv && !set && known && v != "" {
			all = append(all, n)
		}
	}
	return all
}

// names are all variables that workers shall see.
func (f *FPMFix) names() []string {
	var all []string
	for pool, w := range f.want {
		all = append(append(all, w.Names...), f.inherited(f.master.setup.Pool(pool), w)...)
		all = slices.AppendSeq(all, maps.Keys(w.Values))
	}
	slices.Sort(all)
	return slices.Compact(all)
}
