// Package metrics counts what the gate does, for Prometheus. The names of the metrics must
// not change: dashboards and alert rules use them. No label holds a user name or a path:
// visitors choose both, and would create an unlimited number of series.
package metrics

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics are the metrics of one process. A nil *Metrics counts nothing. It is safe for
// concurrent use; Handler alone must not be called on nil.
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

// New returns new Metrics, all of them zero. version becomes the label of
// gatehouse_build_info.
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

// Handler returns a handler that serves the metrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// SessionCount registers gatehouse_sessions. count is called at each scrape. It must be
// called at most once.
func (m *Metrics) SessionCount(count func() float64) {
	if m == nil {
		return
	}
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "gatehouse_sessions", Help: "Sessions in the store, expired ones included until they are swept.",
	}, count))
}

// LogDropped registers gatehouse_log_dropped_total, unless dropped is nil. dropped is
// called at each scrape. LogDropped must be called at most once.
func (m *Metrics) LogDropped(dropped func() uint64) {
	if m == nil || dropped == nil {
		return
	}
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "gatehouse_log_dropped_total", Help: "Lines of the log that were dropped because its reader did not take them.",
	}, func() float64 { return float64(dropped()) }))
}

// Request counts an answered request, and how long it took. route is "" if none was found.
func (m *Metrics) Request(route, method string, code int, took time.Duration) {
	if m == nil {
		return
	}
	m.requests.WithLabelValues(route, knownMethod(method), strconv.Itoa(code)).Inc()
	m.durations.Observe(took.Seconds())
}

// Login counts an attempt to sign in, with its result: success, failure, throttled or
// error.
func (m *Metrics) Login(result string) {
	if m != nil {
		m.logins.WithLabelValues(result).Inc()
	}
}

// LoginSpray counts that an attack with wrong passwords for many names was noticed.
func (m *Metrics) LoginSpray() {
	if m != nil {
		m.sprays.Inc()
	}
}

// SessionEnded counts a session that ended, with the reason: logout, expired, revoked,
// password, account, limit or replaced.
func (m *Metrics) SessionEnded(reason string) {
	if m != nil {
		m.ended.WithLabelValues(reason).Inc()
	}
}

// LiveStreams adds delta to the number of open streams.
func (m *Metrics) LiveStreams(delta int) {
	if m != nil {
		m.streams.Add(float64(delta))
	}
}

// UpstreamError counts a request that an upstream did not answer properly, with the kind
// of the failure (engine.Error).
func (m *Metrics) UpstreamError(route, kind string) {
	if m != nil {
		m.upstreamErrors.WithLabelValues(route, kind).Inc()
	}
}

// Reloaded sets whether the last reload succeeded. The start counts as one.
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

// knownMethod returns m, or "other" for an unusual method: clients may invent methods, and
// the label must have few values.
func knownMethod(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return m
	default:
		return "other"
	}
}
