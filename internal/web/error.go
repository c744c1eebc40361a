package web

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// An Error is a failure with two texts for two readers: Msg is shown to the visitor,
// Err goes to the log. Msg must never hold text of Err, so that nothing from the
// inside (paths, addresses, versions) reaches a page.
//
// Err and Warn decide what is logged. Without Err the request was at fault, and no
// error is logged. With Err, its text is in the access log; from status 500 on, or with
// Warn, a warning is logged as well.
type Error struct {
	Code   int         // HTTP status, 400 to 599
	Msg    string      // an English sentence for the visitor, which is translated; "": a general one for Code
	Err    error       // for the log; nil: the request was at fault
	Header http.Header // replaces fields of the answer, such as Retry-After; nil: none
	Warn   bool        // log a warning although Code is below 500, see Because
}

// Error returns the text for the log: that of Err, or the status and the text for the
// visitor where there is none.
func (e *Error) Error() string {
	if e.Err == nil {
		return strconv.Itoa(e.Code) + " " + e.text()
	}
	return e.Err.Error()
}

// Unwrap returns Err, for errors.Is and errors.As.
func (e *Error) Unwrap() error { return e.Err }

// Refuse returns an Error for a request that is itself at fault: nothing is logged for
// the operator. msg is for the visitor; "": a general sentence for code.
func Refuse(code int, msg string) *Error { return &Error{Code: code, Msg: msg} }

// Because sets Err to reason and Warn to true, and returns e. It is for refusals that
// the operator may have to act on.
func (e *Error) Because(reason error) *Error {
	e.Err, e.Warn = reason, true
	return e
}

// Fail returns an Error for a failure of ours, or of the application: msg is for the
// visitor ("": a general sentence for code), err for the log.
func Fail(code int, msg string, err error) *Error { return &Error{Code: code, Msg: msg, Err: err} }

// Later is Fail with a Retry-After (RFC 9110, 10.2.3): wait in whole seconds, rounded
// up, at least one.
func Later(code int, msg string, wait time.Duration, err error) *Error {
	seconds := max(1, int64((wait+time.Second-1)/time.Second))
	return &Error{Code: code, Msg: msg, Err: err, Header: http.Header{"Retry-After": {strconv.FormatInt(seconds, 10)}}}
}

// AsError returns the *Error that err is or wraps. Any other error becomes one with
// status 500 whose text stays in the log.
func AsError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Code: http.StatusInternalServerError, Err: fmt.Errorf("unexpected: %w", err)}
}

// Wait returns the time that Header's Retry-After asks to wait; 0 if there is none.
func (e *Error) Wait() time.Duration {
	seconds, err := strconv.ParseInt(e.Header.Get("Retry-After"), 10, 32)
	if err != nil || seconds < 0 {
		return 0
	}
	return time.Duration(seconds) * time.Second
}

// title returns what went wrong in a few words, in English.
func (e *Error) title() string {
	if title, ok := titles[e.Code]; ok {
		return title
	}
	return titles[0]
}

// text returns what went wrong in a sentence, in English.
func (e *Error) text() string {
	if e.Msg != "" {
		return e.Msg
	}
	if msg, ok := general[e.Code]; ok {
		return msg
	}
	return http.StatusText(e.Code)
}

// general holds the sentences for errors without Msg, by status.
var general = map[int]string{
	http.StatusBadRequest:            "The request could not be understood.",
	http.StatusUnauthorized:          "Please sign in.",
	http.StatusForbidden:             "You are signed in, but you may not see this page.",
	http.StatusNotFound:              "There is no such page.",
	http.StatusMethodNotAllowed:      "This cannot be done here.",
	http.StatusRequestEntityTooLarge: "That is more than this application accepts.",
	http.StatusMisdirectedRequest:    "There is no such site here.",
	http.StatusTooManyRequests:       "Too many tries. Please wait a little.",
	http.StatusInternalServerError:   "Something went wrong on our side.",
	http.StatusBadGateway:            "The application behind this page does not answer properly.",
	http.StatusServiceUnavailable:    "This page is not available right now. Please try again in a moment.",
	http.StatusGatewayTimeout:        "The application behind this page took too long to answer.",
}

// titles are the headings of the error page, by status. The reason phrases of RFC
// 9110 would say nothing to visitors.
var titles = map[int]string{
	0:                                "This did not work", // any other
	http.StatusBadRequest:            "Not understood",
	http.StatusUnauthorized:          "Please sign in",
	http.StatusForbidden:             "No access",
	http.StatusNotFound:              "Page not found",
	http.StatusMethodNotAllowed:      "Not possible here",
	http.StatusRequestTimeout:        "That took too long",
	http.StatusRequestEntityTooLarge: "Too large",
	http.StatusMisdirectedRequest:    "Unknown site",
	http.StatusTooManyRequests:       "Too many tries",
	http.StatusInternalServerError:   "Something went wrong",
	http.StatusBadGateway:            "No proper answer",
	http.StatusServiceUnavailable:    "Not available right now",
	http.StatusGatewayTimeout:        "No answer in time",
}
