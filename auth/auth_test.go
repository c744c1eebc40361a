package auth_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"gatehouse/auth"
	"gatehouse/auth/account"
	"gatehouse/auth/password"
	"gatehouse/sessions"
)

func ExampleAuth() {
	ctx := context.Background()
	hasher := password.NewHasher(password.Options{})
	hash, err := hasher.Hash(ctx, "correct horse battery staple")
	if err != nil {
		fmt.Println(err)
		return
	}
	file, err := account.FileSource(hasher, []account.UserConfig{{Name: "alice", PasswordHash: hash}})
	if err != nil {
		fmt.Println(err)
		return
	}
	keys := [][]byte{[]byte("thirty-two bytes that nobody knows")}
	manager, err := sessions.NewManager(sessions.Options{Store: sessions.NewMemory(), Secrets: keys, Lifetime: 12 * time.Hour})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer manager.Close()
	cookies, err := auth.NewCookies("", nil, keys)
	if err != nil {
		fmt.Println(err)
		return
	}
	a, err := auth.New(auth.Options{Sessions: manager, Accounts: account.InOrder(hasher, file), Cookies: cookies})
	if err != nil {
		fmt.Println(err)
		return
	}

	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/login", nil)
	found, err := a.CheckPassword(r, "alice", "correct horse battery staple")
	fmt.Println(found.Name, err)
	w := httptest.NewRecorder()
	fmt.Println(a.SignIn(w, r, auth.SignIn{Account: found}))
	next := httptest.NewRequestWithContext(ctx, http.MethodGet, "/wiki", nil)
	for _, c := range w.Result().Cookies() {
		next.AddCookie(c)
	}
	who, err := a.Identify(next)
	fmt.Println(who.Name, who.Methods, err)
	// Output:
	// alice <nil>
	// <nil>
	// alice [pwd] <nil>
}
