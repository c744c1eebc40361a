package portal

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// openSession returns the page that tells scripts about their session in JSON.
func openSession(p *Portal) (page, error) { return page{get: p.showSession}, nil }

// A sessionStatus is what scripts may know about their session. Times are in
// seconds; null means without limit, and 0 that nobody is signed in.
type sessionStatus struct {
	Authenticated bool     `json:"authenticated"`
	User          string   `json:"user"`
	Groups        []string `json:"groups"`
	IdleRemaining *int64   `json:"idle_remaining"` // until the session ends if it is not used
	Remaining     *int64   `json:"remaining"`      // until it ends even if it is used
}

// showSession responds with a sessionStatus, with 200 also if nobody is signed in.
// It never extends the session: a script that polls is no activity of a person.
func (p *Portal) showSession(w http.ResponseWriter, r *http.Request) error {
	id, err := p.person(r)
	if err != nil {
		return err
	}
	s := sessionStatus{Groups: []string{}}
	if id == nil {
		s.IdleRemaining, s.Remaining = new(int64), new(int64)
	} else {
		s.Authenticated, s.User = true, id.Name
		s.Groups = append(s.Groups, id.Groups...)
		if id.Session.Idle > 0 {
			s.IdleRemaining = secondsUntil(id.Session.Expires)
		}
		s.Remaining = secondsUntil(id.Session.Limit)
	}
	body, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("encode the session's state: %w", err)
	}
	send(w, r, "application/json", append(body, '\n'))
	return nil
}

// secondsUntil returns the whole seconds until t, at least 0; nil for the zero time.
func secondsUntil(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	left := max(0, int64(time.Until(t)/time.Second))
	return &left
}
