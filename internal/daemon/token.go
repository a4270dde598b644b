package daemon

import (
	"crypto/sha256"
	"crypto/subtle"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/config"
	"github.com/evercache/evercache/internal/censor"
)

// right is what a token is good for; several are joined.
type right uint8

const (
	mayRead right = 1 << iota
	mayWrite
	mayRevoke
	mayCheck
	maySeeMetrics

	mayAll = mayRead | mayWrite | mayRevoke | mayCheck | maySeeMetrics
)

// tokens are the secrets that callers must show. A nil *tokens means that the
// listener is open.
type tokens struct {
	all      []granted
	failures *failures
}

// granted are tokens with what they are good for.
type granted struct {
	name   string // of the setting
	rights right
	source *tokenSource
}

// newTokens returns the tokens to check, or nil when none is configured.
func newTokens(s config.Tokens, log *slog.Logger) *tokens {
	if !s.Any() {
		return nil
	}
	t := &tokens{failures: newFailures(log)}
	for _, one := range []struct {
		name   string
		rights right
		token  config.Token
	}{
		{"EVERCACHE_TOKEN", mayAll, s.All},
		{"EVERCACHE_READ_TOKEN", mayRead | mayCheck, s.Read},
		{"EVERCACHE_WRITE_TOKEN", mayRead | mayCheck | mayWrite, s.Write},
		{"EVERCACHE_REVOKE_TOKEN", mayRevoke | mayCheck, s.Revoke},
		{"EVERCACHE_METRICS_TOKEN", maySeeMetrics, s.Metrics},
	} {
		if len(one.token.Values) > 0 {
			t.all = append(t.all, granted{one.name, one.rights, newTokenSource(one.token, log)})
		}
	}
	return t
}

type tokenSum [sha256.Size]byte

// sumsOf are those of tokens, which are never shown from then on.
func sumsOf(values []evercache.Secret) []tokenSum {
	sums := make([]tokenSum, len(values))
	for i, v := range values {
		censor.Hide(v.Reveal())
		sums[i] = sha256.Sum256([]byte(v.Reveal()))
	}
	return sums
}

// rights are those of a token, and whose it is: the settings that have it. known: it is one
// of ours. It compares with all of them, in constant time; the sums have one length whatever
// was given.
func (t *tokens) rights(given string) (rights right, whose string, known bool) {
	sum := tokenSum(sha256.Sum256([]byte(given)))
	for _, trusted := range []time.Duration{trustedFor, doubtedFor} { // it may have just been put there
		for _, g := range t.all {
			if holds(g.source.fresh(trusted), sum) {
				rights |= g.rights
				whose = strings.TrimPrefix(whose+" "+g.name, " ")
			}
		}
		if rights != 0 {
			return rights, whose, true
		}
	}
	return 0, "", false
}

func holds(sums []tokenSum, sum tokenSum) bool {
	found := 0
	for i := range sums {
		found |= subtle.ConstantTimeCompare(sums[i][:], sum[:])
	}
	return found == 1
}

const (
	bearerChallenge = `Bearer realm="evercache"`
	basicChallenge  = `Basic realm="evercache", charset="UTF-8"`
)

// check lets a request pass that shows a token which is good for any of what is
// wanted. Where basic is true the token may also be the password of Basic, for
// browsers and scrapers that know no other way; the user name does not matter.
func (t *tokens) check(r *http.Request, basic bool, wanted right) (whose string, _ *apiError) {
	rights, whose, known := t.shown(r, basic)
	switch {
	case !known:
		challenges := []string{bearerChallenge}
		if basic {
			challenges = append(challenges, basicChallenge)
		}
		return "", errUnauthorized(challenges...)
	case rights&wanted == 0:
		return whose, errForbiddenToken()
	}
	return whose, nil
}

func (t *tokens) shown(r *http.Request, basic bool) (rights right, whose string, known bool) {
	scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "Bearer") {
		return t.rights(strings.TrimSpace(given))
	}
	if _, password, ok := r.BasicAuth(); basic && ok {
		return t.rights(password)
	}
	return 0, "", false
}
