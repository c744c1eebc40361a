package web

import (
	"net/http"
	"time"
)

// answerTime is how long a visitor may take to receive an answer of ours. It is the
// default of timeouts.stall, which bounds answers of applications.
const answerTime = 60 * time.Second

// AnswerWithin sets a write deadline for an answer of ours that is about to be
// written: what a request holds in memory is held until the visitor has received
// the answer.
func AnswerWithin(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(answerTime))
}
