// Package exposition counts, and writes what was counted in the text format of
// Prometheus, version 0.0.4. It has what a small server needs: counters with
// labels, and values that are read off at each scrape. Prometheus' own client
// would do more, and cost every short-lived rolecall a millisecond at its start.
package exposition

import (
	"bufio"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// ContentType is what WriteTo writes.
const ContentType = "text/plain; version=0.0.4; charset=utf-8"

// Kind is the type that a family is declared to have.
type Kind string

const (
	KindCounter Kind = "counter"
	KindGauge   Kind = "gauge"
)

// Registry is all that one scrape shows. The zero Registry is empty and ready
// for use, by several goroutines.
type Registry struct {
	mu      sync.Mutex // guards both
	series  []*Counters
	collect []func(*Scrape)
}

// Counters are the counters of one name, one for each combination of values of
// its labels.
type Counters struct {
	name, help string
	labels     []string

	mu  sync.RWMutex // guards all
	all map[string]*Counter
}

// Counter only ever grows.
type Counter struct {
	n      atomic.Uint64
	values []string
}

// Inc adds one.
func (c *Counter) Inc() { c.n.Add(1) }

// Value is the count so far.
func (c *Counter) Value() uint64 { return c.n.Load() }

// Counters makes the counters of a name. Those without labels show from the
// start, the others once they are asked for.
func (r *Registry) Counters(name, help string, labels ...string) *Counters {
	c := &Counters{name: name, help: help, labels: labels, all: map[string]*Counter{}}
	if len(labels) == 0 {
		c.With()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.series = append(r.series, c)
	return c
}

// Counter makes a counter without labels.
func (r *Registry) Counter(name, help string) *Counter { return r.Counters(name, help).With() }

// With is the counter for these values of the labels, in their order; labels
// for which there is none have the value "".
func (c *Counters) With(values ...string) *Counter {
	key := strings.Join(values, "\xff")
	c.mu.RLock()
	found := c.all[key]
	c.mu.RUnlock()
	if found != nil {
		return found
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if found = c.all[key]; found == nil {
		found = &Counter{values: slices.Clone(values)}
		c.all[key] = found
	}
	return found
}

// Collect lets f add values to each scrape. Scrapes may come at the same time.
func (r *Registry) Collect(f func(*Scrape)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.collect = append(r.collect, f)
}

// Scrape is what one scrape has so far.
type Scrape struct{ families map[string]*family }

type family struct {
	help  string
	kind  Kind
	lines []string
}

// Add adds a value. labels are names and values in turn.
func (s *Scrape) Add(kind Kind, name, help string, value float64, labels ...string) {
	var b strings.Builder
	b.WriteString(name)
	for i := 0; i+1 < len(labels); i += 2 {
		b.WriteString(separator(i))
		b.WriteString(labels[i])
		b.WriteString(`="`)
		b.WriteString(escapeValue.Replace(strings.ToValidUTF8(labels[i+1], "\uFFFD")))
		b.WriteString(`"`)
	}
	if len(labels) > 1 {
		b.WriteString("}")
	}
	b.WriteString(" ")
	b.WriteString(number(value))
	f := s.families[name]
	if f == nil {
		f = &family{help: help, kind: kind}
		s.families[name] = f
	}
	f.lines = append(f.lines, b.String())
}

// Gauge adds a value that goes up and down.
func (s *Scrape) Gauge(name, help string, value float64, labels ...string) {
	s.Add(KindGauge, name, help, value, labels...)
}

// WriteTo writes the scrape: families by name, and their lines in order.
func (r *Registry) WriteTo(w io.Writer) (int64, error) {
	r.mu.Lock()
	series, collect := slices.Clone(r.series), slices.Clone(r.collect)
	r.mu.Unlock()
	s := &Scrape{families: map[string]*family{}}
	for _, c := range series {
		c.add(s)
	}
	for _, f := range collect {
		f(s)
	}
	names := make([]string, 0, len(s.families))
	for name := range s.families {
		names = append(names, name)
	}
	slices.Sort(names)
	out := &counted{w: w}
	b := bufio.NewWriter(out)
	for _, name := range names {
		f := s.families[name]
		slices.Sort(f.lines)
		_, _ = b.WriteString("# HELP " + name + " " + escapeHelp.Replace(f.help) + "\n# TYPE " + name + " " + string(f.kind) + "\n")
		for _, l := range f.lines {
			_, _ = b.WriteString(l + "\n")
		}
	}
	err := b.Flush()
	return out.n, err
}

func (c *Counters) add(s *Scrape) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for _, one := range c.all {
		labels := make([]string, 0, 2*len(c.labels))
		for i, l := range c.labels {
			v := ""
			if i < len(one.values) {
				v = one.values[i]
			}
			labels = append(labels, l, v)
		}
		s.Add(KindCounter, c.name, c.help, float64(one.Value()), labels...)
	}
}

var (
	escapeHelp  = strings.NewReplacer(`\`, `\\`, "\n", `\n`)
	escapeValue = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)
)

func separator(i int) string {
	if i == 0 {
		return "{"
	}
	return ","
}

func number(v float64) string {
	switch {
	case math.IsInf(v, 1):
		return "+Inf"
	case math.IsInf(v, -1):
		return "-Inf"
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}

type counted struct {
	w io.Writer
	n int64
}

func (c *counted) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
