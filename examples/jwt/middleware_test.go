package main

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/revoke"
	"github.com/golang-jwt/jwt/v5"
)

func guard(t *testing.T, o evercache.Options) Guard { return guardWith(t, o, revoke.Policy{}) }

func guardWith(t *testing.T, o evercache.Options, p revoke.Policy) Guard {
	t.Helper()
	o.Logger = slog.New(slog.DiscardHandler)
	o.CloseTimeout = time.Second
	p.AckTimeout = 50 * time.Millisecond
	c, err := evercache.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	l, err := revoke.New(c, p)
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

func (g Guard) ask(method, path, token string) int { return g.answer(method, path, token).Code }

func (g Guard) answer(method, path, token string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	routes(g).ServeHTTP(w, r)
	return w
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

// A failed logout says whether the token is refused here: "logged out" over one that
// is still good would be believed.
func TestAFailedLogoutSaysWhatHolds(t *testing.T) {
	for name, tt := range map[string]struct {
		options evercache.Options
		policy  revoke.Policy
		spoil   func(Guard)
		change  func(*jwt.RegisteredClaims)
		code    int
		text    string
	}{
		"no Redis": {evercache.Options{Addr: "127.0.0.1:1"}, revoke.Policy{OnUnknown: revoke.Allow}, func(Guard) {}, func(*jwt.RegisteredClaims) {}, 503, "logged out here, not everywhere yet"},
		"full": {evercache.Options{MemoryOnly: true}, revoke.Policy{MaxEntries: 1}, func(g Guard) {
			if _, err := g.List.Revoke(t.Context(), "other", time.Now().Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
		}, func(*jwt.RegisteredClaims) {}, 503, "not logged out"},
		"closed": {evercache.Options{MemoryOnly: true}, revoke.Policy{}, func(g Guard) { _ = g.List.Close() }, func(*jwt.RegisteredClaims) {}, 503, "not logged out"},
		"a life that is too long": {
			evercache.Options{MemoryOnly: true},
			revoke.Policy{MaxLife: time.Hour},
			func(Guard) {},
			func(c *jwt.RegisteredClaims) { c.ExpiresAt = jwt.NewNumericDate(time.Now().Add(48 * time.Hour)) }, 422, "not logged out: this token cannot be revoked",
		},
	} {
		g := guardWith(t, tt.options, tt.policy)
		tt.spoil(g)
		token := g.token(t, tt.change)
		w := g.answer("POST", "/logout", token)
		if w.Code != tt.code || strings.TrimSpace(w.Body.String()) != tt.text {
			t.Errorf("%s: %d %q, want %d %q", name, w.Code, w.Body, tt.code, tt.text)
		}
		refused := g.ask("GET", "/hello", token) == http.StatusUnauthorized
		if want := strings.HasPrefix(tt.text, "logged out"); refused != want && name != "closed" {
			t.Errorf("%s: %q, and the token is refused: %v", name, tt.text, refused)
		}
	}
}
