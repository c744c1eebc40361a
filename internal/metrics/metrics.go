// Package metrics counts what the gate does, for Prometheus. The names are
// part of the contract. No label holds a user name or a raw path: both are
// chosen by visitors, and would make series without end.
package metrics

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics holds the counters of one process. A nil *Metrics counts nothing;
// all methods may be called at once.
type Metrics struct {
	registry       *prometheus.Registry
	requests       *prometheus.CounterVec
	durations      prometheus.Histogram
	logins         *prometheus.CounterVec
	sprays         prometheus.Counter
	ended          *prometheus.CounterVec
	streams        prometheus.Gauge
	upstreamErrors *prometheus.CounterVec
	reloaded       prometheus.Gauge
	reloadedAt     prometheus.Gauge
}

// New makes the counters; version is shown as gatehouse_build_info.
func New(version string) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gatehouse_http_requests_total", Help: "Requests answered, by route of the configuration, method and status.",
		}, []string{"route", "method", "code"}),
		durations: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "gatehouse_http_request_duration_seconds", Help: "From the request's head to the end of the answer.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
		}),
		logins: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gatehouse_logins_total", Help: "Tries to sign in, by result: success, failure, throttled, error.",
		}, []string{"result"}),
		sprays: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gatehouse_login_sprays_total", Help: "How often it was noticed that many names are tried with wrong passwords.",
		}),
		ended: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gatehouse_sessions_ended_total", Help: "Sessions that ended, by reason.",
		}, []string{"reason"}),
		streams: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "gatehouse_live_streams", Help: "Upgraded connections and answers that are open right now.",
		}),
		upstreamErrors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gatehouse_upstream_errors_total", Help: "Requests that an upstream did not answer properly, by kind: connect, timeout, protocol, aborted, refused, busy.",
		}, []string{"route", "kind"}),
		reloaded: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "gatehouse_config_last_reload_successful", Help: "1 when the last reload (or the start) succeeded, else 0.",
		}),
		reloadedAt: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "gatehouse_config_last_reload_success_timestamp_seconds", Help: "When a configuration was last taken over.",
		}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "gatehouse_build_info", Help: "Always 1; the label says which version runs.",
		ConstLabels: prometheus.Labels{"version": version},
	})
	build.Set(1)
	m.registry.MustRegister(m.requests, m.durations, m.logins, m.sprays, m.ended, m.streams, m.upstreamErrors, m.reloaded, m.reloadedAt, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Handler serves the counters.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// SessionCount registers how gatehouse_sessions is counted; count is called
// at each scrape.
func (m *Metrics) SessionCount(count func() float64) {
	if m == nil {
		return
	}
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "gatehouse_sessions", Help: "Sessions in the store, expired ones included until they are swept.",
	}, count))
}

// LogDropped registers gatehouse_log_dropped_total; dropped is called at each
// scrape. nil: there is no such counter.
func (m *Metrics) LogDropped(dropped func() uint64) {
	if m == nil || dropped == nil {
		return
	}
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "gatehouse_log_dropped_total", Help: "Lines of the log that were dropped because its reader did not take them.",
	}, func() float64 { return float64(dropped()) }))
}

// Request counts an answered request. Route is "" when none was taken.
func (m *Metrics) Request(route, method string, code int, took time.Duration) {
	if m == nil {
		return
	}
	m.requests.WithLabelValues(route, knownMethod(method), strconv.Itoa(code)).Inc()
	m.durations.Observe(took.Seconds())
}

// Login counts a try to sign in: success, failure, throttled or error.
func (m *Metrics) Login(result string) {
	if m != nil {
		m.logins.WithLabelValues(result).Inc()
	}
}

// LoginSpray counts that many names were tried with wrong passwords.
func (m *Metrics) LoginSpray() {
	if m != nil {
		m.sprays.Inc()
	}
}

// SessionEnded counts a session that ended: logout, expired, revoked,
// password, account, limit or replaced.
func (m *Metrics) SessionEnded(reason string) {
	if m != nil {
		m.ended.WithLabelValues(reason).Inc()
	}
}

// LiveStreams moves the number of open streams.
func (m *Metrics) LiveStreams(delta int) {
	if m != nil {
		m.streams.Add(float64(delta))
	}
}

// UpstreamError counts a request that the upstream failed.
func (m *Metrics) UpstreamError(route, kind string) {
	if m != nil {
		m.upstreamErrors.WithLabelValues(route, kind).Inc()
	}
}

// Reloaded says how the last reload went; the start counts as one.
func (m *Metrics) Reloaded(ok bool) {
	if m == nil {
		return
	}
	if !ok {
		m.reloaded.Set(0)
		return
	}
	m.reloaded.Set(1)
	m.reloadedAt.SetToCurrentTime()
}

// knownMethod keeps the label's values few: a client may invent methods.
func knownMethod(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return m
	default:
		return "other"
	}
}
