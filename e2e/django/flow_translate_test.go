//go:build e2e

package django_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"gatehouse/sessions"
)

// Django's names, and ours. Pages:
//
//	/login/, /login/redirecting/, /login/hosts/   /_gate/login
//	/logout/, /logout/next/                       /_gate/logout, with next=/public
//	/password/                                    /_gate/password, whose form is on /_gate/
//	/whoami, /protected, /public, /slow           the application's
//
// A password p is "correct horse battery p", because ours are longer. Fields
// of forms: new_password1 and 2 are new_password and new_password_again.

// flowPassword is the password that Django's stands for.
func flowPassword(p string) string {
	if p == "" {
		return ""
	}
	return "correct horse battery " + p
}

// flowPath is where a page of Django's is found.
func flowPath(target string) string {
	path, query, _ := strings.Cut(target, "?")
	q, err := url.ParseQuery(query)
	if err != nil {
		return target
	}
	next, given := q.Get("next"), q.Has("next")
	switch path {
	case "/login/", "/login/redirecting/", "/login/hosts/":
		path = "/_gate/login"
	case "/logout/":
		path = "/_gate/logout"
	case "/logout/next/":
		path = "/_gate/logout"
		if !given {
			next, given = "/public", true
		}
	case "/password/":
		path = "/_gate/password"
	default:
		return target
	}
	if given {
		path += "?next=" + url.QueryEscape(strings.Replace(next, "/login/", "/_gate/login", 1))
	}
	return path
}

// flowForm translates what is posted to a page of ours. account gives the
// name of an account.
func flowForm(form url.Values, account func(string) string) url.Values {
	out := url.Values{}
	for name, values := range form {
		for _, v := range values {
			switch name {
			case "username":
				v = account(v)
			case "password", "old_password":
				v = flowPassword(v)
			case "new_password1":
				name, v = "new_password", flowPassword(v)
			case "new_password2":
				name, v = "new_password_again", flowPassword(v)
			}
			out.Add(name, v)
		}
	}
	return out
}

// flowTokenPage is the page whose form is posted to a path of ours.
func flowTokenPage(path string) (page, field string) {
	page, _, _ = strings.Cut(path, "?")
	switch {
	case !strings.HasPrefix(page, "/_gate/"):
		return "", ""
	case page == "/_gate/password":
		page = "/_gate/"
	}
	return page, "csrf_token"
}

// cookieValue is what the visitor brings for a key of Django's. Long enough to
// be one, it is a cookie that we have signed ourselves, for a session that is
// not in the store: what anybody else makes up does not get as far.
func (f *flow) cookieValue(key string) string {
	if !regexp.MustCompile(`^[a-z0-9]{8,40}$`).MatchString(key) {
		return key
	}
	m, err := sessions.NewManager(sessions.Options{
		Store: sessions.NewMemory(), Secrets: flowSecrets(f.row.settings), IdleTimeout: 1e15,
		Cookie: sessions.Cookie{Name: flowCookieBase(f.row.settings), Secure: func(*http.Request) bool { return false }},
	})
	if err != nil {
		f.t.Fatal(err)
	}
	defer m.Close()
	s, h := m.OpenByID(""), http.Header{}
	if err := s.Set(f.t.Context(), "k", 1); err != nil {
		f.t.Fatal(err)
	}
	if err := m.Commit(s, h, http.StatusOK); err != nil {
		f.t.Fatal(err)
	}
	_, value, _ := strings.Cut(h.Get("Set-Cookie"), "=")
	value, _, _ = strings.Cut(value, ";")
	return value
}

// flowCookieBase is the session cookie's name, without a prefix.
func flowCookieBase(settings map[string]any) string {
	if name := settingOf[string](settings, "SESSION_COOKIE_NAME"); name != "" {
		return name
	}
	return "gatehouse"
}

func flowSecrets(settings map[string]any) (keys [][]byte) {
	for _, s := range secretsOf(settings) {
		keys = append(keys, []byte(s))
	}
	return keys
}

// flowWeakHash is a hash of flowPassword("password") that is upgraded at the
// next login.
func flowWeakHash() string {
	return "pbkdf2_sha256$1000$flowsalt$W8nGNl1Lf8L6h9dCGTZ0h3KRZ6r09f1Hy2Q2h1RobYY="
}
