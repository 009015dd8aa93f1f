package daemon

import (
	"net/http"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"rolecall/internal/endpoint"
	"rolecall/internal/slot"
)

// metrics are for Prometheus, in a registry of their own. No label comes from a
// request, and none holds an ARN.
type metrics struct {
	registry  *prometheus.Registry
	requests  *prometheus.CounterVec
	ok        map[string]prometheus.Counter // requests that got credentials, by endpoint; found once
	v1        prometheus.Counter
	refreshes *prometheus.CounterVec
	upstream  prometheus.Counter
	denials   *prometheus.CounterVec
	answers   atomic.Uint64
	denied    atomic.Uint64
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "rolecall_requests_total",
			Help: "Answered requests by endpoint and outcome (ok, or the code of the refusal)."}, []string{"endpoint", "outcome"}),
		refreshes: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "rolecall_refreshes_total",
			Help: "Ended retrievals by outcome (ok, or the code of the error)."}, []string{"outcome"}),
		upstream: prometheus.NewCounter(prometheus.CounterOpts{Name: "rolecall_upstream_calls_total",
			Help: "Retrievals that asked a source, each of which may be more than one request."}),
		denials: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "rolecall_denials_total",
			Help: "Requests that the guard turned away, by reason."}, []string{"reason"}),
	}
	m.ok = map[string]prometheus.Counter{"ecs": m.requests.WithLabelValues("ecs", "ok"), "imds": m.requests.WithLabelValues("imds", "ok")}
	m.v1 = prometheus.NewCounter(prometheus.CounterOpts{Name: "rolecall_imds_v1_answers_total",
		Help: "Answers of the metadata endpoint to requests without an IMDS token."})
	m.registry.MustRegister(m.requests, m.refreshes, m.upstream, m.denials, m.v1,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{DisableCompression: true})
}

func (m *metrics) answered(r endpoint.Record) {
	if r.IMDSv1 {
		m.v1.Inc()
	}
	if !r.Expires.IsZero() {
		m.ok[r.Endpoint].Inc()
		m.answers.Add(1)
		return
	}
	m.requests.WithLabelValues(r.Endpoint, r.Outcome).Inc()
	if r.Denied() {
		m.denied.Add(1)
		m.denials.WithLabelValues(r.Outcome).Inc()
	}
}

func (m *metrics) retrieved(e slot.Event) {
	outcome := "ok"
	if e.Err != nil {
		outcome = string(e.Err.Code)
	}
	m.refreshes.WithLabelValues(outcome).Inc()
	if e.Fetched {
		m.upstream.Inc()
	}
}

// watch adds what is read off the slots at each scrape.
func (m *metrics) watch(t *slot.Table) { m.registry.MustRegister(slotCollector{t}) }

// mostSlotSeries bounds the series of one scrape: clients may upload slots.
const mostSlotSeries = 1000

type slotCollector struct{ table *slot.Table }

var (
	expiryDesc = prometheus.NewDesc("rolecall_slot_seconds_to_expiry", "Life left of what a named slot holds; 0 when it holds nothing.", []string{"slot"}, nil)
	stateDesc  = prometheus.NewDesc("rolecall_slots", "Slots by state.", []string{"state"}, nil)
)

func (slotCollector) Describe(ch chan<- *prometheus.Desc) { ch <- expiryDesc; ch <- stateDesc }

func (c slotCollector) Collect(ch chan<- prometheus.Metric) {
	states := map[slot.State]int{slot.Empty: 0, slot.Valid: 0, slot.Advisory: 0, slot.Mandatory: 0, slot.Expired: 0}
	n := 0
	for name, s := range c.table.Slots {
		v := s.Snapshot()
		states[v.State]++
		if n++; n <= mostSlotSeries {
			ch <- prometheus.MustNewConstMetric(expiryDesc, prometheus.GaugeValue, max(0, v.Remaining.Seconds()), shown(name))
		}
	}
	for s, n := range states {
		ch <- prometheus.MustNewConstMetric(stateDesc, prometheus.GaugeValue, float64(n), string(s))
	}
}

// metricsOnTCP is the handler at /metrics beside the credentials; nil: none.
func (d *daemon) metricsOnTCP() http.Handler {
	if !d.settings.Load().Metrics {
		return nil
	}
	return d.metrics.handler()
}
