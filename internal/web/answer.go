package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"

	"gatehouse/internal/web/lang"
)

// Pages answers errors, with the operator's branding. It is safe for concurrent use.
type Pages struct {
	branding Branding
	failure  *Page
}

// A failure is the data of error.html.
type failure struct {
	PageData
	Code      int
	Title     string
	Message   string
	Wait      string // when to try again; "": unknown
	RequestID string
	Again     bool // offer to load the page again
	Home      bool // offer the way to the front page
	Account   bool // offer the account page
}

// NewPages returns the Pages with this branding. An error means that the error page cannot be
// rendered.
func NewPages(branding Branding) (*Pages, error) {
	p, err := NewPage("error.html", errorHTML, branding, failure{PageData: PageData{Lang: lang.All()[0]}})
	if err != nil {
		return nil, fmt.Errorf("error page: %w", err)
	}
	return &Pages{branding: branding, failure: p.AllowExternalForms()}, nil
}

// Answer answers a request with an error: a person who navigates to a page
// (IsNavigation) gets an HTML page in their language, everybody else problem+json
// (RFC 9457). Nothing else writes errors. err may be any error, see AsError; its text
// for the log is stored in Info.Failure. A 503 without Retry-After gets one of 5
// seconds.
//
// If the answer has already begun, Answer panics with http.ErrAbortHandler, so that
// the client sees a broken answer and not a complete one.
func (p *Pages) Answer(w http.ResponseWriter, r *http.Request, err error) {
	e := AsError(err)
	info := From(r.Context())
	if e.Err != nil {
		info.Failure = e
	}
	if rec, ok := w.(*Recorder); ok && rec.Status != 0 {
		panic(http.ErrAbortHandler)
	}
	if e.Code != http.StatusBadRequest && e.Code != http.StatusRequestTimeout { // there the body may be the fault
		defer Linger(w, r, lingerStall)()
	}
	AnswerWithin(w)
	maps.Copy(w.Header(), e.Header)
	if e.Code == http.StatusServiceUnavailable && e.Header.Get("Retry-After") == "" {
		w.Header().Set("Retry-After", "5")
	}
	if IsNavigation(r) {
		perr := p.failure.Write(w, r, e.Code, p.describe(r, e))
		if perr == nil {
			return
		}
		info.Failure = errors.Join(info.Failure, perr)
	}
	WriteProblem(w, r, Problem{Status: e.Code, Detail: e.text()})
}

// describe returns the data of the error page in the visitor's language. The page
// offers to load again only where that may help and repeats nothing but a GET or HEAD.
func (p *Pages) describe(r *http.Request, e *Error) failure {
	here, repeatable := "/", r.Method == http.MethodGet || r.Method == http.MethodHead
	if repeatable {
		here = r.URL.RequestURI()
	}
	f := failure{
		PageData: p.branding.PageData(r, here), Code: e.Code, RequestID: From(r.Context()).ID,
		Home: r.URL.Path != "/" && e.Code != http.StatusMisdirectedRequest, Account: e.Code == http.StatusForbidden,
	}
	f.Title, f.Message, f.Wait = f.T(e.title()), f.T(e.text()), f.Lang.Wait(e.Wait())
	switch e.Code {
	case http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		f.Again = repeatable
	}
	return f
}

// A Problem is the body of an error answer to a program, application/problem+json
// (RFC 9457). Empty fields are left out, except title and status.
type Problem struct {
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail,omitempty"`
	RequestID string `json:"request_id,omitempty"`
	LoginURL  string `json:"login_url,omitempty"` // where a person signs in; only in a 401
}

// WriteProblem sends p with its status and PageHeaders. An empty Title becomes the
// reason phrase of the status, an empty RequestID that of the request.
func WriteProblem(w http.ResponseWriter, r *http.Request, p Problem) {
	if p.Title == "" {
		p.Title = http.StatusText(p.Status)
	}
	if p.RequestID == "" {
		p.RequestID = From(r.Context()).ID
	}
	body, err := json.Marshal(p)
	if err != nil {
		body = []byte("{}") // cannot happen: strings and a number
	}
	PageHeaders(r, w.Header())
	w.Header().Set("Content-Type", "application/problem+json")
	send(w, r, p.Status, append(body, '\n'))
}
