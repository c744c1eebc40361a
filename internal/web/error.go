package web

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// An Error is a failure with two texts, one for each reader: Msg is shown to
// the visitor, Err goes to the log. Msg never holds Err's text, so nothing of
// the inside (paths, addresses, versions) can reach a page.
type Error struct {
	Code   int         // HTTP status, 400 to 599
	Msg    string      // a sentence for the visitor; empty: a general one for Code
	Err    error       // for the log; nil: the request was at fault, not we
	Header http.Header // added to the answer, such as Retry-After; may be nil
	Warn   bool        // log it as a warning although Code is below 500; see Because
}

// Error is the text for the log.
func (e *Error) Error() string {
	if e.Err == nil {
		return strconv.Itoa(e.Code) + " " + e.text()
	}
	return e.Err.Error()
}

// Unwrap gives Err.
func (e *Error) Unwrap() error { return e.Err }

// Refuse is an Error by the visitor's fault: there is nothing to look into.
func Refuse(code int, msg string) *Error { return &Error{Code: code, Msg: msg} }

// Because returns e with what the log says of it, as a warning: for refusals
// that the operator may have to do something about.
func (e *Error) Because(reason error) *Error {
	e.Err, e.Warn = reason, true
	return e
}

// Fail is an Error of ours: msg for the visitor, err for the log.
func Fail(code int, msg string, err error) *Error { return &Error{Code: code, Msg: msg, Err: err} }

// Later is an Error that says when to try again (Retry-After, RFC 9110 10.2.3,
// in whole seconds, at least one).
func Later(code int, msg string, wait time.Duration, err error) *Error {
	seconds := max(1, int64((wait+time.Second-1)/time.Second))
	return &Error{Code: code, Msg: msg, Err: err, Header: http.Header{"Retry-After": {strconv.FormatInt(seconds, 10)}}}
}

// AsError turns any error into an *Error; one that says nothing of HTTP is a
// 500 whose text stays in the log.
func AsError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Code: http.StatusInternalServerError, Err: fmt.Errorf("unexpected: %w", err)}
}

// Wait is how long Retry-After asks to wait; 0 when it does not.
func (e *Error) Wait() time.Duration {
	seconds, err := strconv.ParseInt(e.Header.Get("Retry-After"), 10, 32)
	if err != nil || seconds < 0 {
		return 0
	}
	return time.Duration(seconds) * time.Second
}

// title says in a few words what went wrong.
func (e *Error) title() string {
	if title, ok := titles[e.Code]; ok {
		return title
	}
	return titles[0]
}

func (e *Error) text() string {
	if e.Msg != "" {
		return e.Msg
	}
	if msg, ok := general[e.Code]; ok {
		return msg
	}
	return http.StatusText(e.Code)
}

// general holds what a person reads when nothing better is known.
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

// titles are for people, who have no use for the names of RFC 9110.
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
