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

// A return-to address that is too long for the query of the login page, or for a
// field of its form, is stored in the visitor's session, which is anonymous until
// the login. The query and the form then carry a reference to it.
const (
	maxShown   = 2048    // longest return-to address in a URL of ours, in bytes, percent-encoded
	keptPrefix = "kept:" // begins a reference; no path begins like this
	keptKey    = "_next" // the key of the list in the session's data
	maxKept    = 4       // addresses in a session, for as many tabs; older ones are dropped

	keepBuckets = 4096 // capacity of the table that counts by the rates below
)

// The rates at which addresses are stored, since each is a write to the store on
// behalf of somebody who has not signed in. Beyond them the visitor goes to the
// front page after the login.
var (
	keepRate    = limit.Rate{Count: 30, Per: 10 * time.Minute}  // for each network; see throttle.Network
	keepRateAll = limit.Rate{Count: 600, Per: 10 * time.Minute} // for all visitors together
)

// A kept is a stored return-to address. ID is derived from Next, so that a reload
// of the page stores nothing new.
type kept struct {
	ID   string `json:"id"`
	Next string `json:"next"`
}

// shortNext returns what represents the return-to address next, which must be
// safe, in a URL or form of ours: next itself, or a reference if next is too long.
// It returns "/" if next is too long and could not be stored. It may set the
// session cookie, so it must be called before the header is written.
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

// notKept logs why an address could not be stored or read, and returns "/" in its
// place: people can still sign in.
func (p *Portal) notKept(r *http.Request, err error) string {
	p.o.Log.LogAttrs(r.Context(), slog.LevelWarn, "return-to address not kept", slog.Any("error", err))
	return "/"
}

// safeNext is safe for a value that came back from the client and may be a
// reference. It returns "/" and false if the reference is unknown.
func (p *Portal) safeNext(r *http.Request, next string) (string, bool) {
	if !strings.HasPrefix(next, keptPrefix) {
		return p.safe(r, next)
	}
	next, ok := resolveNext(p.keptList(r), next)
	if !ok {
		return "/", false
	}
	return p.safe(r, next)
}

// keptList returns the addresses that are stored in the visitor's session.
func (p *Portal) keptList(r *http.Request) (list []kept) {
	if _, err := p.o.Sessions.Open(r).Get(r.Context(), keptKey, &list); err != nil {
		p.notKept(r, err)
		return nil
	}
	return list
}

// resolveNext returns the address that next stands for, if it is a reference to one of
// list; else next itself. It returns "/" and false if the reference is unknown. The
// caller checks the address.
func resolveNext(list []kept, next string) (string, bool) {
	id, ok := strings.CutPrefix(next, keptPrefix)
	if !ok {
		return next, true
	}
	id, fragment, _ := strings.Cut(id, "#") // added by the page's script, since browsers do not send it
	if fragment != "" {
		fragment = "#" + fragment
	}
	for _, k := range list {
		if k.ID == id {
			return k.Next + fragment, true
		}
	}
	return "/", false
}
