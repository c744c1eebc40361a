package web

import (
	"net/http"
	"time"
)

// answerTime is how long a visitor may take to take an answer of ours, as long
// as timeouts.stall for one of an application.
const answerTime = 60 * time.Second

// AnswerWithin bounds how long the visitor may take to take the answer of ours
// that is about to be written: what a request holds in memory is held until it
// has been.
func AnswerWithin(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(answerTime))
}
