package main

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/revoke"
	"github.com/golang-jwt/jwt/v5"
)

func guard(t *testing.T, o evercache.Options) Guard {
	t.Helper()
	o.Logger = slog.New(slog.DiscardHandler)
	o.CloseTimeout = time.Second
	c, err := evercache.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	l, err := revoke.New(c, revoke.Policy{AckTimeout: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = l.Close()
		_ = c.Close()
	})
	return Guard{l, []byte("0123456789abcdef0123456789abcdef")}
}

func (g Guard) token(t *testing.T, change func(*jwt.RegisteredClaims)) string {
	t.Helper()
	c := jwt.RegisteredClaims{
		ID: "1", Subject: "anna",
		IssuedAt: jwt.NewNumericDate(time.Now()), ExpiresAt: jwt.NewNumericDate(time.Now().Add(time.Hour)),
	}
	change(&c)
	s, err := jwt.NewWithClaims(jwt.SigningMethodHS256, c).SignedString(g.Key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (g Guard) ask(method, path, token string) int {
	r := httptest.NewRequest(method, path, nil)
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	routes(g).ServeHTTP(w, r)
	return w.Code
}

func TestARevokedTokenIsUnauthorized(t *testing.T) {
	g := guard(t, evercache.Options{MemoryOnly: true})
	good := g.token(t, func(*jwt.RegisteredClaims) {})
	for name, tt := range map[string]struct {
		token string
		want  int
	}{
		"good":       {good, http.StatusOK},
		"none":       {"", http.StatusUnauthorized},
		"without id": {g.token(t, func(c *jwt.RegisteredClaims) { c.ID = "" }), http.StatusUnauthorized},
		"expired":    {g.token(t, func(c *jwt.RegisteredClaims) { c.ExpiresAt = jwt.NewNumericDate(time.Now().Add(-time.Hour)) }), http.StatusUnauthorized},
	} {
		if got := g.ask("GET", "/hello", tt.token); got != tt.want {
			t.Errorf("%s: %d, want %d", name, got, tt.want)
		}
	}
	if got := g.ask("POST", "/logout", good); got != http.StatusNoContent {
		t.Errorf("logout: %d", got)
	}
	if got := g.ask("GET", "/hello", good); got != http.StatusUnauthorized {
		t.Errorf("after logout: %d", got)
	}
	other := g.token(t, func(c *jwt.RegisteredClaims) { c.ID = "2" })
	if got := g.ask("GET", "/hello", other); got != http.StatusOK {
		t.Errorf("another token: %d", got)
	}
	if _, err := g.List.RevokeIssuedBefore(t.Context(), "anna", time.Now(), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if got := g.ask("GET", "/hello", other); got != http.StatusUnauthorized {
		t.Errorf("after logging out everywhere: %d", got)
	}
}

func TestWhatNobodyCanKnowIsUnavailable(t *testing.T) {
	g := guard(t, evercache.Options{Addr: "127.0.0.1:1"})
	token := g.token(t, func(*jwt.RegisteredClaims) {})
	if got := g.ask("GET", "/hello", token); got != http.StatusServiceUnavailable {
		t.Errorf("without Redis: %d", got)
	}
	if got := g.ask("GET", "/readyz", ""); got != http.StatusServiceUnavailable {
		t.Errorf("readyz: %d", got)
	}
}
