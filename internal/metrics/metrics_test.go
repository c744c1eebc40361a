package metrics_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/metrics"
)

func TestTheNamesOfTheContract(t *testing.T) {
	m := metrics.New("1.2.3")
	m.SessionCount(func() float64 { return 7 })
	m.LogDropped(func() uint64 { return 3 })
	m.Request("app.example.test/", http.MethodGet, 200, 30*time.Millisecond)
	m.Request("app.example.test/", "INVENTED-BY-A-CLIENT", 405, time.Millisecond)
	m.Login("failure")
	m.SessionEnded("logout")
	m.UpstreamError("app.example.test/", "connect")
	m.LiveStreams(2)
	m.LiveStreams(-1)
	m.Reloaded(true)
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	for _, line := range []string{
		`gatehouse_http_requests_total{code="200",method="GET",route="app.example.test/"} 1`,
		`gatehouse_http_requests_total{code="405",method="other",route="app.example.test/"} 1`,
		`gatehouse_http_request_duration_seconds_count 2`,
		`gatehouse_logins_total{result="failure"} 1`,
		`gatehouse_sessions 7`,
		`gatehouse_log_dropped_total 3`,
		`gatehouse_sessions_ended_total{reason="logout"} 1`,
		`gatehouse_live_streams 1`,
		`gatehouse_upstream_errors_total{kind="connect",route="app.example.test/"} 1`,
		`gatehouse_config_last_reload_successful 1`,
		`gatehouse_build_info{version="1.2.3"} 1`,
	} {
		if !strings.Contains(w.Body.String(), line+"\n") {
			t.Errorf("missing: %s", line)
		}
	}
	if strings.Contains(w.Body.String(), "INVENTED") {
		t.Error("a client can make series")
	}
	m.Reloaded(false)
	w = httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	if !strings.Contains(w.Body.String(), "gatehouse_config_last_reload_successful 0\n") {
		t.Error("a failed reload does not show")
	}
}

func TestNoMetricsAreNoTrouble(*testing.T) {
	var m *metrics.Metrics
	m.SessionCount(nil)
	m.LogDropped(nil)
	m.Request("", "", 0, 0)
	m.Login("")
	m.SessionEnded("")
	m.UpstreamError("", "")
	m.LiveStreams(1)
	m.Reloaded(true)
}
