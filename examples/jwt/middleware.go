package main

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/revoke"
	"github.com/golang-jwt/jwt/v5"
)

// Guard lets in who has a token that is good and not revoked.
type Guard struct {
	List *revoke.List
	Key  []byte
}

type claimsKey struct{}

// Claims are those of the request's token.
func Claims(ctx context.Context) *jwt.RegisteredClaims {
	c, _ := ctx.Value(claimsKey{}).(*jwt.RegisteredClaims)
	return c
}

// Protect answers 401 for a token that is missing, bad or revoked, and 503 where
// nobody can know: the token may be good, so the caller should not throw it away.
func (g Guard) Protect(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		claims, err := g.parse(r.Header.Get("Authorization"))
		if err != nil {
			unauthorized(w, "invalid_token")
			return
		}
		v := g.List.Check(tokenOf(claims))
		switch {
		case v.Allowed():
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), claimsKey{}, claims)))
		case v.Status == revoke.Revoked:
			unauthorized(w, "invalid_token")
		default:
			w.Header().Set("Retry-After", "1")
			http.Error(w, "it cannot be told whether the token was revoked", http.StatusServiceUnavailable)
		}
	})
}

// Logout revokes the request's token. What 503 means, its text says: either the token
// is refused here already and others may not know yet, or nothing has changed. In
// both cases the client asks again, and must not tell its user that all is done.
func (g Guard) Logout(w http.ResponseWriter, r *http.Request) {
	c := Claims(r.Context())
	_, err := g.List.Revoke(r.Context(), c.ID, c.ExpiresAt.Time)
	switch {
	case err == nil:
		w.WriteHeader(http.StatusNoContent)
	case inForce(err):
		again(w, "logged out here, not everywhere yet")
	case errors.Is(err, revoke.ErrID), errors.Is(err, revoke.ErrExpiry):
		http.Error(w, "not logged out: this token cannot be revoked", http.StatusUnprocessableEntity)
	default: // the list is full, or it is being closed
		again(w, "not logged out")
	}
}

// inForce reports whether a revocation that has failed is in force in this process:
// it was stored less safely than asked for, or the caller has gone meanwhile.
func inForce(err error) bool {
	_, stored := errors.AsType[*evercache.DurabilityError](err)
	return stored || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

func again(w http.ResponseWriter, text string) {
	w.Header().Set("Retry-After", "1")
	http.Error(w, text, http.StatusServiceUnavailable)
}

var errIncomplete = errors.New("the token has no jti or iat")

// parse wants what the denylist needs: an id, an expiry and the time of issue.
func (g Guard) parse(header string) (*jwt.RegisteredClaims, error) {
	text, ok := strings.CutPrefix(header, "Bearer ")
	if !ok {
		return nil, errors.New("no bearer token")
	}
	claims := new(jwt.RegisteredClaims)
	_, err := jwt.ParseWithClaims(text, claims, func(*jwt.Token) (any, error) { return g.Key, nil },
		jwt.WithValidMethods([]string{"HS256"}), jwt.WithExpirationRequired(), jwt.WithLeeway(time.Minute))
	if err == nil && (claims.ID == "" || claims.IssuedAt == nil) {
		err = errIncomplete
	}
	return claims, err
}

func tokenOf(c *jwt.RegisteredClaims) revoke.Token {
	return revoke.Token{ID: c.ID, Subject: c.Subject, IssuedAt: c.IssuedAt.Time}
}

func unauthorized(w http.ResponseWriter, code string) {
	w.Header().Set("WWW-Authenticate", `Bearer error="`+code+`"`)
	http.Error(w, "log in", http.StatusUnauthorized)
}
