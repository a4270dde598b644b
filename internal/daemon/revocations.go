package daemon

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/config"
	"github.com/evercache/evercache/revoke"
	"github.com/evercache/evercache/status"
)

// denylist is what the API needs of a revoke.List.
type denylist interface {
	Revoke(ctx context.Context, id string, expiresAt time.Time, opts ...revoke.Option) (evercache.Receipt, error)
	RevokeIssuedBefore(ctx context.Context, subject string, t, expiresAt time.Time, opts ...revoke.Option) (evercache.Receipt, error)
	Check(revoke.Token) revoke.Verdict
	CheckStrict(ctx context.Context, t revoke.Token) (revoke.Verdict, error)
}

// revocationPolicy is what the settings say of it.
func revocationPolicy(s config.Server) revoke.Policy {
	p := revoke.Policy{
		MaxLag:     s.RevocationsMaxLag,
		MaxLife:    s.RevocationsMaxLife,
		MaxEntries: s.RevocationsMaxEntries,
		NoFirstUse: s.Revocations == config.RevocationsRequired,
		Key:        s.RevocationsKey,
		OnDemand:   s.Revocations == config.RevocationsAuto,
	}
	if s.RevocationsOnUnknown == "allow" {
		p.OnUnknown = revoke.Allow
	}
	return p
}

// openDenylist opens the list that the settings ask for; nil: none. With
// required the process is not ready before the list is.
func (d *Daemon) openDenylist(c *evercache.Client) (*revoke.List, error) {
	if d.cfg.Server.Revocations == config.RevocationsOff {
		return nil, nil
	}
	return revoke.New(c, revocationPolicy(d.cfg.Server))
}

// awaitDenylist lets the process be ready when the list is.
func (d *Daemon) awaitDenylist(st *status.Status, list *revoke.List) {
	if list == nil || d.cfg.Server.Revocations != config.RevocationsRequired {
		return
	}
	if list.WaitReady(context.Background()) == nil { // ends with the list
		st.SetServing()
	}
}

// mostChecks bounds a batch.
const mostChecks = 1000

// postRevocation revokes a token, or all of a subject's.
func (a *api) postRevocation(w http.ResponseWriter, q *request) *apiError {
	opts, fault := revocationOptions(q.Header)
	if fault != nil {
		return fault
	}
	var b revocationBody
	if fault := a.readJSON(q, &b); fault != nil {
		return fault
	}
	receipt, err := b.apply(q.Context(), a.denylist, opts)
	if err != nil {
		fault := revocationFailed(err)
		a.auditRevocation(q, b, receipt, fault)
		return fault
	}
	a.auditRevocation(q, b, receipt, nil)
	acknowledge(w.Header(), receipt)
	writeJSON(w, http.StatusCreated, map[string]any{"durability": receipt.Durability.String(), "replicas": receipt.Replicas})
	return nil
}

// revocationOptions are those that the headers ask for.
func revocationOptions(h http.Header) ([]revoke.Option, *apiError) {
	asked, given, fault := minDurability(h)
	if fault != nil || !given {
		return nil, fault
	}
	if asked.Durability == evercache.Replicated {
		return []revoke.Option{revoke.MinReplicas(asked.Replicas)}, nil
	}
	return []revoke.Option{revoke.MinDurability(asked.Durability)}, nil
}

func (b revocationBody) apply(ctx context.Context, l denylist, opts []revoke.Option) (evercache.Receipt, error) {
	switch {
	case b.ID != "" && b.Subject == "" && b.IssuedBefore.IsZero():
		return l.Revoke(ctx, b.ID, b.ExpiresAt.Time, opts...)
	case b.ID == "" && b.Subject != "" && !b.IssuedBefore.IsZero():
		return l.RevokeIssuedBefore(ctx, b.Subject, b.IssuedBefore.Time, b.ExpiresAt.Time, opts...)
	}
	return evercache.Receipt{}, errRevocationBody
}

var errRevocationBody = errors.New("neither an id nor a subject")

// postCheck checks one token, or a batch.
func (a *api) postCheck(w http.ResponseWriter, q *request) *apiError {
	var b checkBody
	if fault := a.readJSON(q, &b); fault != nil {
		return fault
	}
	if fault := b.fault(); fault != nil {
		return fault
	}
	if b.Tokens == nil {
		writeJSON(w, http.StatusOK, a.check(q.Context(), []tokenBody{b.tokenBody}, b.Strict)[0])
		return nil
	}
	writeJSON(w, http.StatusOK, map[string]any{"results": a.check(q.Context(), b.Tokens, b.Strict)})
	return nil
}

// check answers for all tokens. A strict check of one brings the knowledge up to
// the moment of the call for all of them.
func (a *api) check(ctx context.Context, tokens []tokenBody, strict bool) []verdictBody {
	answers := make([]verdictBody, len(tokens))
	for i, t := range tokens {
		v := a.denylist.Check(t.token())
		if strict && v.Status != revoke.Revoked {
			var err error
			if v, err = a.denylist.CheckStrict(ctx, t.token()); err == nil {
				strict = false
			} else {
				ctx = ended(ctx) // nor can it be had for the rest
			}
		}
		answers[i] = verdictOf(v)
	}
	return answers
}

// ended is ctx, over.
func ended(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	return ctx
}

func revocationFailed(err error) *apiError {
	switch {
	case errors.Is(err, errRevocationBody):
		return errBadBody(`a revocation is {"id","expiresAt"} or {"subject","issuedBefore","expiresAt"}`)
	case errors.Is(err, revoke.ErrID):
		return badRequest("bad_id", "an id or subject has 1 to 4096 bytes of UTF-8")
	case errors.Is(err, revoke.ErrExpiry):
		return badRequest("bad_expiry", "expiresAt must be ahead, and at most EVERCACHE_REVOCATIONS_MAX_LIFE; issuedBefore must not be, and at most as long ago")
	case errors.Is(err, revoke.ErrFull):
		return &apiError{status: http.StatusInsufficientStorage, code: "revocations_full", message: "this process holds as many revocations as it may; this one is not in force", cause: err}
	}
	return failed(err)
}

// revocationsOff answers where there is no denylist: a clear no, so that nobody
// takes a 404 for "not revoked".
func revocationsOff(http.ResponseWriter, *request) *apiError {
	return &apiError{status: http.StatusNotImplemented, code: "revocations_off", message: "revocations are switched off here (EVERCACHE_REVOCATIONS)"}
}

// orOff is h where there is a denylist. Either wants JSON.
func (a *api) orOff(h handler) handler {
	return func(w http.ResponseWriter, q *request) *apiError {
		if fault := wantJSON(q.Header); fault != nil {
			return fault
		}
		if a.denylist == nil {
			return revocationsOff(w, q)
		}
		return h(w, q)
	}
}
