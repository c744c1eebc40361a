package proxy

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

// A gate whose upstream leads back to it took 20,000 descriptors in five
// seconds, for one request of somebody who was not signed in.
func TestRequestThatComesBackIsCut(t *testing.T) {
	engines(t, func(t *testing.T, s setting) {
		var back atomic.Pointer[url.URL]
		var rounds atomic.Int64
		relay := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
			rounds.Add(1)
			r.SetURL(back.Load())
			r.Out.Host = r.In.Host
		}})
		defer relay.Close()
		h := open(t, s, fixture(relay.URL))
		u, err := url.Parse(h.URL)
		if err != nil {
			t.Fatal(err)
		}
		back.Store(u)
		for i, request := range []string{"GET /public/x", "POST /public/x"} {
			answer := h.raw(t, request+" HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\n\r\n")
			if status(answer) != "508" || rounds.Load() != int64(i+1) {
				t.Errorf("%s: answer %q after %d rounds, want 508 after %d", request, answer, rounds.Load(), i+1)
			}
		}
		if !strings.Contains(h.log.String(), "leads back here") {
			t.Errorf("the log does not say why: %s", h.log)
		}
		if strings.Contains(h.get(t, "/_gate/login", "Via: 1.1 "+h.proxy.via.name+"\r\n"), "login page") {
			t.Error("our own page is served to a request that came back")
		}
	})
}

func TestVia(t *testing.T) {
	engines(t, func(t *testing.T, s setting) {
		up := record(t, okAnswer)
		removes := fixture(up.url())
		removes.Host, removes.RequestHeaders = "removes.test", HeaderConfig{Remove: []string{"Via"}}
		s.options = func(o *Options) { o.Pseudonym = "gate-test" }
		h := open(t, s, fixture(up.url()), removes)
		for _, tt := range []struct{ host, proto, line, want string }{
			{host, "1.1", "", "Via: 1.1 gate-test"},
			{host, "1.0", "", "Via: 1.0 gate-test"},
			{host, "1.1", "Via: 2 front, 1.0 other (of theirs)\r\nVia: 1.1 third\r\n", "Via: 2 front, 1.0 other (of theirs), 1.1 third, 1.1 gate-test"},
			{host, "1.1", "via: 1.1 gate-other\r\n", "Via: 1.1 gate-other, 1.1 gate-test"},
			{host, "1.1", "V_ia: 1.1 x\r\n", "Via: 1.1 gate-test"},
			{"removes.test", "1.1", "Via: 2 front\r\n", ""},
		} {
			up.forget()
			answer := h.raw(t, "GET /public/x HTTP/"+tt.proto+"\r\nHost: "+tt.host+"\r\nConnection: close\r\n"+tt.line+"\r\n")
			if status(answer) != "200" {
				t.Errorf("%q: answer %q", tt.line, answer)
				continue
			}
			if got := linesNamed(up.one(t), "Via"); !slices.Equal(got, slices.DeleteFunc([]string{tt.want}, func(s string) bool { return s == "" })) {
				t.Errorf("%q: upstream saw %q, want %q", tt.line, got, tt.want)
			}
		}
		up.forget()
		for _, line := range []string{"1.1 gate-test", "1.1 GATE-test (it)", "2 front,1.1\tx, HTTP/1.1   gate-test , 1.1 y"} {
			if answer := h.get(t, "/public/x", "Via: "+line+"\r\n"); status(answer) != "508" {
				t.Errorf("Via: %s: answer %q, want 508", line, answer)
			}
		}
		up.empty(t)
	})
}

func TestViaOverHTTP2(t *testing.T) {
	up := record(t, okAnswer)
	h := open(t, setting{https: true, options: func(o *Options) { o.Pseudonym = "gate-test" }}, fixture(up.url()))
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+host+"/public/x", http.NoBody)
	res, err := h.client(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer closing(res.Body)
	if got := linesNamed(up.one(t), "Via"); !slices.Equal(got, []string{"Via: 2 gate-test"}) {
		t.Errorf("upstream saw %q", got)
	}
}

func FuzzVia(f *testing.F) {
	f.Add("1.1 gate-test", "1.0 a (b, c)")
	f.Add(",, 2\t", "gate-test")
	f.Fuzz(func(t *testing.T, one, two string) {
		v := newVia("gate-test")
		if own := v.http11[0]; !v.names([]string{one, two + "," + own}) {
			t.Errorf("behind %q and %q our own element is not seen", one, two)
		}
		if v.names([]string{one, two}) && !strings.Contains(strings.ToLower(one+two), v.name) {
			t.Errorf("%q and %q name nobody", one, two)
		}
	})
}
