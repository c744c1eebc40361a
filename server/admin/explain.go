package admin

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"gatehouse/access"
	"gatehouse/auth/account"
	"gatehouse/proxy"
)

// An ExplainRequest describes the request to explain. User need not be signed in.
type ExplainRequest struct {
	User   string `json:"user,omitempty"` // "": nobody is signed in
	Method string `json:"method"`
	From   string `json:"from,omitempty"` // the client's IP address; "": unknown
	URL    string `json:"url"`
}

// explain asks the proxy of the site in force and adds the line of the rule in
// the configuration file, if it is known.
func (b *Backend) explain(ctx context.Context, q ExplainRequest) (proxy.Explanation, error) {
	site := b.Site()
	who, err := lookUp(ctx, site.Accounts, normalize(q.User))
	if err != nil {
		return proxy.Explanation{}, err
	}
	var from netip.Addr
	if q.From != "" {
		if from, err = netip.ParseAddr(q.From); err != nil {
			return proxy.Explanation{}, fmt.Errorf("--from %q is no IP address", q.From)
		}
	}
	e := site.Proxy.Explain(ctx, proxy.ExplainRequest{Method: q.Method, URL: q.URL, Client: from, Who: who})
	if route := e.RouteAt(); route >= 0 {
		if line := site.Config.RuleLine(route, e.Rule); line > 0 {
			e.Line = fmt.Sprintf("%s:%d", site.Config.File, line)
		}
	}
	return e, nil
}

// lookUp returns the account as access rules see it. For the name "" it returns
// nil: nobody is signed in.
func lookUp(ctx context.Context, accounts *account.Sources, name string) (*access.Who, error) {
	if name == "" {
		return nil, nil //nolint:nilnil // nobody is signed in
	}
	a, err := accounts.Account(ctx, name)
	if errors.Is(err, account.ErrNoAccount) {
		return nil, userError(name, err)
	} else if err != nil {
		return nil, fmt.Errorf("look up %q: %w", name, err)
	}
	return &access.Who{Name: a.Name, Groups: a.Groups}, nil
}
