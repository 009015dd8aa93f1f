package daemon

import (
	"net/http"
	"sync/atomic"

	"rolecall/internal/endpoint"
	"rolecall/internal/exposition"
	"rolecall/internal/slot"
)

// metrics are for Prometheus, in a registry of their own. No label comes from a
// request, and none holds an ARN.
type metrics struct {
	registry  exposition.Registry
	requests  *exposition.Counters
	ok        map[string]*exposition.Counter // requests that got credentials, by endpoint; found once
	v1        *exposition.Counter
	refreshes *exposition.Counters
	upstream  *exposition.Counter
	denials   *exposition.Counters
	answers   atomic.Uint64
	denied    atomic.Uint64
}

func newMetrics() *metrics {
	m := &metrics{}
	m.requests = m.registry.Counters("rolecall_requests_total", "Answered requests by endpoint and outcome (ok, or the code of the refusal).", "endpoint", "outcome")
	m.refreshes = m.registry.Counters("rolecall_refreshes_total", "Ended retrievals by outcome (ok, or the code of the error).", "outcome")
	m.upstream = m.registry.Counter("rolecall_upstream_calls_total", "Retrievals that asked a source, each of which may be more than one request.")
	m.denials = m.registry.Counters("rolecall_denials_total", "Requests that the guard turned away, by reason.", "reason")
	m.ok = map[string]*exposition.Counter{"ecs": m.requests.With("ecs", "ok"), "imds": m.requests.With("imds", "ok")}
	m.v1 = m.registry.Counter("rolecall_imds_v1_answers_total", "Answers of the metadata endpoint to requests without an IMDS token.")
	m.registry.Process()
	return m
}

func (m *metrics) handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", exposition.ContentType)
		_, _ = m.registry.WriteTo(w) // whoever asked has gone
	})
}

func (m *metrics) answered(r *endpoint.Record) {
	if r.IMDSv1 {
		m.v1.Inc()
	}
	if !r.Expires.IsZero() {
		m.ok[r.Endpoint].Inc()
		m.answers.Add(1)
		return
	}
	m.requests.With(r.Endpoint, r.Outcome).Inc()
	if r.Denied() {
		m.denied.Add(1)
		m.denials.With(r.Outcome).Inc()
	}
}

func (m *metrics) retrieved(e slot.Event) {
	outcome := "ok"
	if e.Err != nil {
		outcome = string(e.Err.Code)
	}
	m.refreshes.With(outcome).Inc()
	if e.Fetched {
		m.upstream.Inc()
	}
}

// mostSlotSeries bounds the series of one scrape: clients may upload slots.
const mostSlotSeries = 1000

// watch adds what is read off the slots at each scrape.
func (m *metrics) watch(t *slot.Table) {
	m.registry.Collect(func(s *exposition.Scrape) {
		states := map[slot.State]int{slot.Empty: 0, slot.Valid: 0, slot.Advisory: 0, slot.Mandatory: 0, slot.Expired: 0}
		n := 0
		for name, sl := range t.Slots {
			v := sl.Snapshot()
			states[v.State]++
			if n++; n <= mostSlotSeries {
				s.Gauge("rolecall_slot_seconds_to_expiry", "Life left of what a named slot holds; 0 when it holds nothing.", max(0, v.Remaining.Seconds()), "slot", shown(name))
			}
		}
		for state, n := range states {
			s.Gauge("rolecall_slots", "Slots by state.", float64(n), "state", string(state))
		}
	})
}

// metricsOnTCP is the handler at /metrics beside the credentials; nil: none.
func (d *daemon) metricsOnTCP() http.Handler {
	if !d.settings.Load().Metrics {
		return nil
	}
	return d.metrics.handler()
}
