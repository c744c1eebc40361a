package portal

import (
	_ "embed" // the page
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"gatehouse/auth"
	"gatehouse/auth/password"
	"gatehouse/internal/web"
	"gatehouse/internal/web/lang"
	"gatehouse/sessions"
)

//go:embed account.html
var accountHTML string

// openAccount returns the account page, where people see their own account and
// their sessions, and change their password.
func openAccount(p *Portal) (_ page, err error) {
	sample := accountPage{PageData: web.PageData{Lang: lang.All()[0]}, Sessions: []sessionRow{{}}}
	if p.account, err = web.NewPage("account.html", accountHTML, p.o.Face, sample); err != nil {
		return page{}, fmt.Errorf("account page: %w", err)
	}
	return page{get: p.showAccount}, nil
}

// accountPage is the data of account.html. Texts are translated; an empty one is
// not shown.
type accountPage struct {
	web.PageData
	Name, DisplayName, Email string
	Groups                   string // sorted, separated by commas
	CSRFToken                string
	Notice                   string       // what was done
	Error                    string       // why the password was not changed
	Wait                     string       // when to try that again
	Confirm                  bool         // ending other sessions requires the password
	ConfirmError             string       // why other sessions were not ended
	ConfirmWait              string       // when to try that again
	Sessions                 []sessionRow // this session first, then by last use
	More                     bool         // there are more sessions than shown
	Others                   bool         // there are sessions besides this one
	CanChange                bool         // the password can be changed on this page
	MinPassword              int          // characters that a new password must have
}

// A sessionRow is a session in the list of the account page.
type sessionRow struct {
	Handle, Agent, Addr string
	Hosts               string    // the hosts that it spans besides this one, separated by commas; "": none
	Login, Seen         time.Time // in UTC
	This                bool      // it is the session that the page was requested with
}

// Device returns what the row's browser claims to be, in the visitor's language,
// such as "Firefox on Linux". The template calls it.
func (p accountPage) Device(s sessionRow) string {
	browser, system := device(s.Agent)
	switch {
	case browser == "" && system == "":
		return p.T("Unknown device")
	case system == "":
		return browser
	case browser == "":
		return strings.Replace(p.T("A browser on {system}"), "{system}", system, 1)
	default:
		return strings.NewReplacer("{browser}", browser, "{system}", system).Replace(p.T("{browser} on {system}"))
	}
}

// maxRows is the largest number of sessions that the page shows.
const maxRows = 200

// showAccount shows the page, and the notice that an earlier request left for it.
// Looking at it counts as activity of the session.
func (p *Portal) showAccount(w http.ResponseWriter, r *http.Request) error {
	id, err := p.person(r)
	if err != nil {
		return err
	}
	if id == nil {
		return p.Challenge(w, r, auth.NeedLogin)
	}
	p.o.Auth.RecordActivity(id)
	return p.accountForm(w, r, id, http.StatusOK, p.takeNotice(w, r).onAccount(), trouble{})
}

// A trouble says why a password was not changed or other sessions were not ended,
// and when to try again. The zero value shows nothing.
type trouble struct {
	why      lang.Text
	wait     time.Duration // 0: at once
	sessions bool          // it belongs to the form with the sessions, not to that with the password
}

// freshFor is how long after a login other sessions can be ended without the
// password. Later it is required, so that somebody who has stolen one session
// cannot sign its owner out of the others.
const freshFor = 5 * time.Minute

// isFresh reports whether the login is recent enough to end other sessions.
func (p *Portal) isFresh(id *auth.Identity) bool { return time.Since(id.Session.Login) < p.fresh }

// accountForm writes the account page with the status code, what was done, and
// what went wrong.
func (p *Portal) accountForm(w http.ResponseWriter, r *http.Request, id *auth.Identity, code int, done lang.Text, problem trouble) error {
	data := accountPage{
		PageData: p.frame(r, prefix),
		Name:     id.Name, DisplayName: id.DisplayName, Email: id.Email, Groups: strings.Join(slices.Sorted(slices.Values(id.Groups)), ", "),
		CSRFToken: p.formToken(w, r, id.Session.Key),
		CanChange: p.canChange(id), MinPassword: p.o.PasswordMin,
	}
	data.Notice = data.Lang.Say(done)
	if problem.sessions {
		data.ConfirmError, data.ConfirmWait = data.Lang.Say(problem.why), data.Lang.Wait(problem.wait)
	} else {
		data.Error, data.Wait = data.Lang.Say(problem.why), data.Lang.Wait(problem.wait)
	}
	for info, err := range p.o.Sessions.List(r.Context(), sessions.Query{User: id.Name}) {
		if err != nil {
			return couldNot("list sessions", err)
		}
		if len(data.Sessions) == maxRows {
			data.More = true
			break
		}
		data.Sessions = append(data.Sessions, sessionRow{
			Handle: info.Handle, Agent: info.Agent, Addr: info.Addr,
			Login: info.Login.UTC(), Seen: info.Seen.UTC(), This: info.Key == id.Session.Key,
			Hosts: strings.Join(info.HostNames(), ", "),
		})
	}
	slices.SortStableFunc(data.Sessions, func(x, y sessionRow) int {
		if x.This != y.This {
			if x.This {
				return -1
			}
			return 1
		}
		return y.Seen.Compare(x.Seen)
	})
	data.Others = len(data.Sessions) > 1
	data.Confirm = data.Others && !p.isFresh(id)
	return p.account.Write(w, r, code, data)
}

// canChange reports whether the account's source lets passwords be changed.
func (p *Portal) canChange(id *auth.Identity) bool {
	return p.o.Accounts.PasswordStore(id.Source) != nil
}

// reconfirmed reports whether the visitor's other sessions may be ended: the login
// is fresh, or the form has the right password. If it returns false and no error,
// the response is already written, and the caller must return.
func (p *Portal) reconfirmed(w http.ResponseWriter, r *http.Request, id *auth.Identity, f form) (ok bool, err error) {
	if p.isFresh(id) {
		return true, nil
	}
	code, problem := http.StatusUnauthorized, because(msgOld, 0)
	if plain := f["password"]; plain != "" && len(plain) <= password.MaxLength {
		if _, err = p.o.Auth.ConfirmPassword(r, id, plain); err == nil {
			return true, nil
		}
		if code, problem, err = unconfirmed(w, err); err != nil {
			return false, err
		}
	}
	problem.sessions = true
	return false, p.accountForm(w, r, id, code, lang.Text{}, problem)
}

// unconfirmed turns an error of Auth.ConfirmPassword into a status and a message.
// It returns err itself if it is not about the password or the throttle. It sets
// Retry-After.
func unconfirmed(w http.ResponseWriter, err error) (int, trouble, error) {
	switch e := (*web.Error)(nil); {
	case errors.Is(err, auth.ErrWrong):
		return http.StatusUnauthorized, because(msgOld, 0), nil
	case errors.As(err, &e) && e.Code == http.StatusTooManyRequests:
		w.Header().Set("Retry-After", e.Header.Get("Retry-After"))
		return e.Code, because(e.Msg, e.Wait()), nil
	default:
		return 0, trouble{}, err
	}
}

// What visitors read on the account page, or on the login page after it.
const (
	msgOld  = "The current password is not right."
	msgLost = "Your account was changed elsewhere at the same time. Your password is not changed. Please sign in again."
)

// because returns the trouble with an untranslated message and a wait.
func because(text string, wait time.Duration) trouble {
	return trouble{why: lang.Text{Key: text}, wait: wait}
}
