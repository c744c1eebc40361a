package portal

import (
	"crypto/sha256"
	"encoding/base64"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"gatehouse/auth/throttle"
	"gatehouse/internal/limit"
	"gatehouse/internal/web"
)

// A return-to address that is too long for the address of the login page, or
// for its form, is kept in the visitor's session, which is nobody's until the
// login. In its place stands a reference to it.
const (
	maxShown   = 2048    // bytes of a return-to address in an address of ours, as it is sent
	keptPrefix = "kept:" // of a reference: no path begins like this
	keptKey    = "_next" // in the session
	maxKept    = 4       // for as many tabs

	keepBuckets = 4096
)

// How often a session may be made for one, since each is a write to the store
// that nobody signed in for. Over it the visitor is led to the front page.
var (
	keepRate    = limit.Rate{Count: 30, Per: 10 * time.Minute}  // by network
	keepRateAll = limit.Rate{Count: 600, Per: 10 * time.Minute} // in all
)

// A kept is one such address.
type kept struct {
	ID   string `json:"id"`
	Next string `json:"next"`
}

// shortNext returns what stands for a safe return-to address in an address or
// a form of ours: next itself, or a reference where that is too long. "/": it
// is too long, and could not be kept.
func (p *Portal) shortNext(w http.ResponseWriter, r *http.Request, next string) string {
	if len(quote(next)) <= maxShown {
		return next
	}
	sum := sha256.Sum256([]byte(next))
	id := base64.RawURLEncoding.EncodeToString(sum[:12])
	s := p.o.Sessions.Open(r)
	var list []kept
	if _, err := s.Get(r.Context(), keptKey, &list); err != nil {
		return p.notKept(r, err)
	}
	if slices.ContainsFunc(list, func(k kept) bool { return k.ID == id }) {
		return keptPrefix + id
	}
	ok, _ := p.keeping.Take(
		limit.Bucket{Key: limit.KeyOf("network", throttle.Network(web.From(r.Context()).Client)), Rate: keepRate},
		limit.Bucket{Key: limit.KeyOf("all"), Rate: keepRateAll})
	if !ok {
		return "/"
	}
	list = append(list, kept{id, next})
	err := s.Set(r.Context(), keptKey, list[max(0, len(list)-maxKept):])
	if err == nil {
		err = p.o.Sessions.Commit(s, w.Header(), http.StatusOK)
	}
	if err != nil {
		return p.notKept(r, err)
	}
	return keptPrefix + id
}

// notKept says why an address is lost. It is no reason to let nobody sign in.
func (p *Portal) notKept(r *http.Request, err error) string {
	p.o.Log.LogAttrs(r.Context(), slog.LevelWarn, "return-to address not kept", slog.Any("error", err))
	return "/"
}

// safeNext is SafeNext for what came back to us: it may be a reference.
func (p *Portal) safeNext(r *http.Request, next string) (string, bool) {
	id, ok := strings.CutPrefix(next, keptPrefix)
	if !ok {
		return SafeNext(next)
	}
	id, fragment, _ := strings.Cut(id, "#") // the page's script adds the browser's
	if fragment != "" {
		fragment = "#" + fragment
	}
	var list []kept
	if _, err := p.o.Sessions.Open(r).Get(r.Context(), keptKey, &list); err != nil {
		return p.notKept(r, err), false
	}
	for _, k := range list {
		if k.ID == id {
			return SafeNext(k.Next + fragment)
		}
	}
	return "/", false
}
