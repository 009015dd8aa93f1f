package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"rolecall/internal/phpfpm"
)

// fpmPool is one pool while it is looked at.
type fpmPool struct {
	master *fpmMaster
	pool   *phpfpm.Pool
	view   *phpfpm.View // what a worker said; nil: it was not asked, or did not say
	why    error        // why not
}

// routes are the ways in which variables give credentials, in the order in which
// the AWS SDK for PHP looks at them. The first name of each decides.
func routes() [][]string {
	return [][]string{
		{varKeyID, varSecret, varSession},
		{varIdentity, varRole, "AWS_ROLE_SESSION_NAME"},
		{"AWS_PROFILE"},
		{varRelative},
		{varFull, varTokenFile, varToken},
	}
}

func regionNames() []string { return []string{"AWS_REGION", "AWS_DEFAULT_REGION"} }

// check asks a worker, and then goes through what can be wrong, most telling
// first. Its first result is the one cause.
func (p *fpmPool) check(ctx context.Context) []Result {
	p.ask(ctx)
	var all []Result
	for _, rule := range []func(context.Context) []Result{p.socket, p.functions, p.lines, p.hiddenVars, p.shadows, p.endpoint, p.nothing} {
		if found := rule(ctx); len(found) > 0 {
			all = append(all, found...)
			if slices.ContainsFunc(found, func(r Result) bool { return r.Outcome == Failed }) {
				break
			}
		}
	}
	all = append(all, p.region()...)
	if len(all) == 0 {
		all = append(all, p.healthy())
	}
	if p.view == nil && p.why != nil {
		all = append(all, Result{Outcome: Skipped, Summary: "no worker was asked what it sees", Why: p.why.Error()})
	}
	return all
}

// Workers are asked a few at a time, since php-fpm may have to start each: a
// hundred at once would keep each other from answering within NetworkLimit.
const (
	askedAtOnce = 16
	poolsLimit  = 2500 * time.Millisecond // for all of them
)

var errNoTurn = errors.New("there was no time left: other pools took long to answer")

// ask asks a worker what it sees, within NetworkLimit from its turn.
func (p *fpmPool) ask(ctx context.Context) {
	if p.master.Master == nil {
		p.why = errors.New("no php-fpm runs with this configuration")
		return
	}
	if p.master.offline {
		p.why = errors.New("no worker was to be asked (--offline)")
		return
	}
	select {
	case p.master.turns <- struct{}{}:
		defer func() { <-p.master.turns }()
	case <-ctx.Done():
		p.why = errNoTurn
		return
	}
	ctx, cancel := context.WithTimeout(ctx, NetworkLimit)
	defer cancel()
	dial, err := phpfpm.Dialer(p.master.tree, p.pool, p.master.OtherNet)
	if err == nil {
		var v phpfpm.View
		if v, err = phpfpm.Probe(ctx, p.master.tree, p.pool, dial); err == nil {
			p.view = &v
		}
	}
	p.why = err
}

// sees says whether workers take a variable as set: as one of them told, else as
// it follows from the files and from what the master got.
func (p *fpmPool) sees(name string) (set, known bool) {
	if p.view != nil && !p.view.NoGetenv {
		return p.view.Vars[name].Set(), true
	}
	return p.should(name)
}

// should says the same from the files alone.
func (p *fpmPool) should(name string) (set, known bool) {
	if s, ok := p.pool.Env(name); ok {
		if ref := s.Reference(); ref != "" {
			v, known := p.master.given(ref)
			return v != "", known
		}
		return s.Value != "", true
	}
	if clear, _, _ := p.pool.ClearEnv(); clear {
		return false, true
	}
	v, known := p.master.given(name)
	return v != "", known
}

// missing are variables that somebody around has and workers do not see: those
// of each route whose deciding name is out there, and the region.
func (p *fpmPool) missing() []string {
	var names []string
	for _, route := range routes() {
		if _, has := p.master.whoHas(route[0]); !has {
			continue
		}
		for _, name := range route {
			_, has := p.master.whoHas(name)
			if set, known := p.sees(name); has && known && !set && !p.hidden(name) {
				names = append(names, name)
			}
		}
	}
	// The one route that is seen suffices: what else is out there does no good
	// beside it, but a route must be seen as a whole.
	for _, route := range routes() {
		if set, _ := p.sees(route[0]); set {
			names = slices.DeleteFunc(names, func(n string) bool { return !slices.Contains(route, n) })
			break
		}
	}
	slices.SortStableFunc(names, func(a, b string) int { return fpmRank(a) - fpmRank(b) })
	return names
}

// hidden says whether the pool itself takes a variable away on purpose.
func (p *fpmPool) hidden(name string) bool {
	s, ok := p.pool.Env(name)
	return ok && s.Reference() == phpfpm.Hidden
}

// fpmRank puts the URI first, which is what applications miss.
func fpmRank(name string) int {
	return slices.Index([]string{varTokenFile, varToken, varFull, varRelative}, name) * -1
}

// socket is about a pool that gives no answer.
func (p *fpmPool) socket(context.Context) []Result {
	network, address := p.pool.Listen()
	r := Result{Outcome: Failed, Evidence: []Evidence{{Where: address, Text: "pool " + p.pool.Name + " listens here (" + network + ")"}}}
	switch {
	case p.why == nil || p.master.Master == nil:
		return nil
	case errors.Is(p.why, phpfpm.ErrClosed) && network == "tcp" && p.pool.Value("listen.allowed_clients") != "":
		p.why = errors.New("its listen.allowed_clients keeps this machine out")
		return nil
	case errors.Is(p.why, phpfpm.ErrNonsense):
		r.Cause, r.Summary = "php-fpm.nonsense", "what answers at its address speaks no FastCGI"
		r.Fixes = []Fix{{Text: "find out who listens there", Command: "ss -ltnxp"}}
	case errors.Is(p.why, phpfpm.ErrNoAnswer), errors.Is(p.why, context.DeadlineExceeded):
		r.Cause, r.Summary = "php-fpm.no-answer", "its workers do not answer: all of them are busy, or hang"
		r.Fixes = []Fix{{Text: "look at what its requests wait for (slow log), or raise pm.max_children"}}
	case errors.Is(p.why, syscall.ECONNREFUSED), errors.Is(p.why, fs.ErrNotExist):
		r.Cause, r.Summary = "php-fpm.no-socket", "nobody listens at its address"
		r.Fixes = []Fix{{Text: "restart php-fpm: its files say another address than it runs with, or its socket was removed"}}
	default:
		return nil
	}
	return []Result{r}
}

// functions is about PHP functions that the SDK cannot do without.
func (p *fpmPool) functions(context.Context) []Result {
	s, set := p.pool.PHP("disable_functions")
	names := strings.FieldsFunc(s.Value, func(r rune) bool { return r == ',' || r == ' ' })
	if (p.view == nil || !p.view.NoGetenv) && !slices.Contains(names, "getenv") {
		return nil
	}
	r := Result{Outcome: Failed, Cause: "php-fpm.getenv-disabled", Summary: "getenv is disabled, so PHP sees no variable at all"}
	if set {
		r.Evidence = []Evidence{{Where: s.Place.String(), Text: s.Text}}
		r.Fixes = []Fix{{Text: "take getenv out of disable_functions", Where: s.Place.String()}}
	} else {
		r.Fixes = []Fix{{Text: "take getenv out of disable_functions in php.ini"}}
	}
	return []Result{r}
}

// region warns when the region is out there and workers do not see it.
func (p *fpmPool) region() []Result {
	for _, n := range regionNames() {
		if set, known := p.sees(n); set || !known {
			return nil
		}
	}
	for _, n := range regionNames() {
		e, has := p.master.whoHas(n)
		if !has || !e.Certain {
			continue
		}
		return []Result{{Outcome: Warning, Cause: "php-fpm.region", Summary: "workers do not see " + n,
			Evidence: []Evidence{{Text: who(e) + "; the AWS SDK for PHP then needs a region in the application's code"}},
			Fixes:    []Fix{{Text: "add to [" + p.pool.Name + "]   env[" + n + "] = $" + n}}}}
	}
	return nil
}

// nothing is about a pool around which nobody has anything.
func (p *fpmPool) nothing(context.Context) []Result {
	for _, route := range routes() {
		if set, _ := p.sees(route[0]); set {
			return nil
		}
	}
	off, _ := p.master.given(varIMDSOff)
	if p.view != nil {
		off = p.view.Vars[varIMDSOff].Value
	}
	if strings.EqualFold(off, "true") && len(p.homeFiles()) == 0 {
		return []Result{{Outcome: Failed, Cause: "php-fpm.no-source", Summary: "nothing gives workers credentials, and the instance metadata service is turned off (AWS_EC2_METADATA_DISABLED)",
			Fixes: []Fix{{Text: "give php-fpm a source", Command: "rolecall doctor php-fpm --use-rolecall"}}}}
	}
	return nil
}

// homeFiles are AWS files in the home directory of the pool's user, at which
// the SDK looks before it asks an endpoint.
func (p *fpmPool) homeFiles() (found []string) {
	home := ""
	if p.view != nil {
		home = p.view.Home
	}
	if home == "" {
		home = p.master.tree.Home(p.pool.Value("user"))
	}
	for _, name := range []string{"/.aws/credentials", "/.aws/config"} {
		if home == "" {
			break
		}
		b, err := p.master.tree.ReadFile(home+name, 1<<20)
		if err == nil && strings.Contains(string(b), "[default]") {
			found = append(found, home+name)
		}
	}
	return found
}

func (p *fpmPool) healthy() Result {
	var seen []string
	for _, route := range routes() {
		if set, _ := p.sees(route[0]); set {
			seen = append(seen, route[0])
		}
	}
	r := Result{Outcome: OK}
	switch files := p.homeFiles(); {
	case len(seen) > 0:
		r.Summary = "workers see " + strings.Join(seen, " and ")
	case len(files) > 0:
		r.Summary = "workers see no variable, and use " + files[0]
	default:
		r.Summary = "nobody gives php-fpm a variable, so the SDK asks the instance metadata service"
		r.Evidence = []Evidence{{Text: "rolecall doctor imds looks at that"}}
	}
	if p.view == nil {
		r.Summary += ", by its files"
	}
	return r
}

// who names an environment in a sentence.
func who(e phpfpm.Environment) string {
	if e.Where == "pid 1" && os.Getpid() != 1 {
		return "the container has it (pid 1)"
	}
	return fmt.Sprintf("%s has it", e.Where)
}
