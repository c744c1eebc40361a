package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"

	"gatehouse/config"
)

// The control socket speaks HTTP: POST /noun.verb with a JSON object, answered
// by a JSON object, or by one object a line where there may be many. Whoever
// may open the socket (its owner: mode 0600, in a folder with mode 0700) may
// do everything.

// maxControlBody bounds what the control socket reads.
const maxControlBody = 64 << 10

// status is the answer of health, and of what has no other answer.
type status struct {
	Ready   bool   `json:"ready"`
	Version string `json:"version"`
	Why     string `json:"why,omitempty"` // why it is not ready
}

// count is the answer of what ends or removes things.
type count struct {
	Count int `json:"count"`
}

// A failure is what a control socket says instead of an answer, also in the
// last line of a list that broke off.
type failure struct {
	Error     string           `json:"error"`
	NoUser    bool             `json:"no_user,omitempty"`
	NoSession bool             `json:"no_session,omitempty"`
	Exists    bool             `json:"exists,omitempty"`
	Problems  []config.Problem `json:"problems,omitempty"`
}

type byName struct {
	Name string `json:"name"`
}

type byID struct {
	ID string `json:"id"`
}

type setDisabled struct {
	Name     string `json:"name"`
	Disabled bool   `json:"disabled"`
}

type nothing struct{}

// control is the handler of the control socket.
func (s *Server) control() http.Handler {
	st := s.parts.state
	a := &filesAdmin{site: s.site.Load, accounts: st.accounts, store: st.store, db: st.db, log: s.log, audit: s.parts.audit}
	mux := http.NewServeMux()
	mux.Handle("POST /config.reload", answer(func(ctx context.Context, _ nothing) (nothing, error) {
		return nothing{}, s.Reload(ctx)
	}))
	mux.Handle("POST /health", answer(func(ctx context.Context, _ nothing) (status, error) {
		return s.status(ctx), nil
	}))
	mux.Handle("POST /session.list", list(a.Sessions))
	mux.Handle("POST /session.count", answer(func(ctx context.Context, _ nothing) (count, error) {
		n, err := a.Count(ctx)
		return count{n}, err
	}))
	mux.Handle("POST /session.show", answer(func(ctx context.Context, q byID) (Session, error) { return a.Session(ctx, q.ID) }))
	mux.Handle("POST /session.revoke", answer(func(ctx context.Context, q Revocation) (count, error) {
		n, err := a.Revoke(ctx, q)
		return count{n}, err
	}))
	mux.Handle("POST /session.purge", answer(func(ctx context.Context, _ nothing) (count, error) {
		n, err := a.Purge(ctx)
		return count{n}, err
	}))
	mux.Handle("POST /user.list", list(a.Users))
	mux.Handle("POST /user.show", answer(func(ctx context.Context, q byName) (User, error) { return a.User(ctx, q.Name) }))
	mux.Handle("POST /user.add", answer(func(ctx context.Context, u NewUser) (nothing, error) { return nothing{}, a.AddUser(ctx, u) }))
	mux.Handle("POST /user.set", answer(a.ChangeUser))
	mux.Handle("POST /user.passwd", answer(func(ctx context.Context, p NewPassword) (nothing, error) {
		return nothing{}, a.SetPassword(ctx, p)
	}))
	mux.Handle("POST /user.disable", answer(func(ctx context.Context, q setDisabled) (nothing, error) {
		return nothing{}, a.SetDisabled(ctx, q.Name, q.Disabled)
	}))
	mux.Handle("POST /user.delete", answer(func(ctx context.Context, q byName) (nothing, error) {
		return nothing{}, a.DeleteUser(ctx, q.Name)
	}))
	mux.Handle("POST /explain", answer(a.Explain))
	mux.Handle("POST /backup", sendBackup(a))
	return mux
}

// answer makes a handler of a function from one JSON object to another.
func answer[Q, A any](f func(context.Context, Q) (A, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q, err := decodeRequest[Q](r)
		if err != nil {
			writeFailure(w, http.StatusBadRequest, err)
			return
		}
		a, err := f(r.Context(), q)
		if err != nil {
			writeFailure(w, http.StatusConflict, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(a) // the other end has left: nobody to tell
	})
}

// list makes a handler of a function that yields objects: one a line.
func list[Q, A any](f func(context.Context, Q) iter.Seq2[A, error]) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q, err := decodeRequest[Q](r)
		if err != nil {
			writeFailure(w, http.StatusBadRequest, err)
			return
		}
		w.Header().Set("Content-Type", "application/x-ndjson")
		enc := json.NewEncoder(w)
		for a, err := range f(r.Context(), q) {
			if err != nil {
				_ = enc.Encode(describe(err))
				return
			}
			if enc.Encode(a) != nil {
				return
			}
		}
	})
}

func decodeRequest[Q any](r *http.Request) (q Q, err error) {
	dec := json.NewDecoder(io.LimitReader(r.Body, maxControlBody))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&q); err != nil {
		return q, fmt.Errorf("read question: %w", err)
	}
	return q, nil
}

func writeFailure(w http.ResponseWriter, code int, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(describe(err))
}

func describe(err error) failure {
	f := failure{Error: err.Error(), NoUser: errors.Is(err, ErrNoUser), NoSession: errors.Is(err, ErrNoSession), Exists: errors.Is(err, ErrExists)}
	if ps, ok := errors.AsType[config.Problems](err); ok {
		f.Problems = ps
	}
	return f
}
