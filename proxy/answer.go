package proxy

import (
	"fmt"
	"net/http"
	"strings"

	"gatehouse/internal/httpfield"
	"gatehouse/internal/web"
)

// answer is shown the head of every answer of the upstream, and takes out what
// must not pass: what speaks for us (our cookie, who the visitor is), and what
// would harm our own pages. An error refuses the answer.
func (s *exchange) answer(status int, h http.Header) error {
	var data dataChange
	if s.keepsData(status) {
		data = takeData(h)
	}
	for name, values := range h {
		if f := s.p.names.of(name); f == identity || f == answers {
			delete(h, name)
			continue
		}
		for _, v := range values {
			if !httpfield.IsOneLine(v) {
				return fmt.Errorf("answer header %s holds a line break or NUL", name)
			}
		}
	}
	s.rewriteAnswer(h)
	s.changeCookies(h)
	s.dropSetCookie(h)
	if s.route.conf.ClearSite != passClear {
		dropClearSiteData(h)
	}
	s.dropWideWorker(h)
	s.route.responseHeaders.drop(h)
	if status >= http.StatusOK {
		s.route.responseHeaders.put(h)
	}
	if s.asked && status >= http.StatusOK {
		varyByCookie(h)
	}
	s.setCookies(status, h)
	s.answers(status, h)
	if data.asks() {
		return s.keepData(h, &data) // last: an answer that is refused keeps nothing
	}
	return nil
}

// trailer does the same with what comes behind the body, where cookies and
// the like have no business at all.
func (s *exchange) trailer(h http.Header) {
	for name, values := range h {
		switch f := s.p.names.of(name); {
		case f == identity, f == drop, f == answers, s.route.responseHeaders.takes(name), name == "Set-Cookie", name == "Clear-Site-Data", name == "Service-Worker-Allowed",
			!httpfield.IsOneLine(strings.Join(values, "")):
			delete(h, name)
		}
	}
}

func (s *exchange) dropSetCookie(h http.Header) {
	for _, name := range []string{"Set-Cookie", "Set-Cookie2"} {
		lines := h[name]
		kept := lines[:0]
		for _, line := range lines {
			if !s.p.cookies.mentions(line) && !forOurPages(line) {
				kept = append(kept, line)
			}
		}
		switch {
		case len(lines) == 0:
		case len(kept) == 0:
			delete(h, name)
		default:
			h[name] = kept
		}
	}
}

// forOurPages reports whether a Set-Cookie line is for our pages alone, where
// an application has no business: such cookies could only get in our way.
func forOurPages(line string) bool {
	_, attributes, _ := strings.Cut(line, ";")
	for part := range strings.SplitSeq(attributes, ";") {
		if name, path := attribute(part); strings.EqualFold(name, "path") && ownLike(path) {
			return true
		}
	}
	return false
}

// dropClearSiteData drops the header when it names cookies, or everything:
// one application must not sign people out of all. The route can pass it.
func dropClearSiteData(h http.Header) {
	for _, line := range h["Clear-Site-Data"] {
		if low := strings.ToLower(line); strings.Contains(low, "cookies") || strings.Contains(low, "*") {
			delete(h, "Clear-Site-Data")
			return
		}
	}
}

// setCookies sets cookies of ours where the visitor needs one, and keeps the
// answer out of caches that others use: one that is for somebody unless the
// route says otherwise, and one with a cookie of ours always.
func (s *exchange) setCookies(status int, h http.Header) {
	ours := s.stick(status, h)
	if status < http.StatusOK {
		return
	}
	if s.id != nil {
		s.p.auth.Refresh(s.in, s.id, h)
		ours = ours || s.id.Session.StaleSignature
	}
	if s.id == nil && s.data.StaleSignature {
		s.refreshData(h)
		ours = true
	}
	somebody := s.id != nil || s.data.Key != ""
	switch policy := s.route.conf.AuthenticatedCache; {
	case somebody && policy == noStoreCache:
		keepNowhere(h)
	case ours, somebody && policy != keepCache:
		keepPrivate(h)
	}
}

// varyByCookie tells caches that another cookie may get another answer.
func varyByCookie(h http.Header) {
	if len(h["Vary"]) == 0 {
		h["Vary"] = varyCookie
	} else {
		web.AddVary(h, "Cookie")
	}
}
