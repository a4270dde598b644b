package daemon

import "net/http"

// health tells everything on loopback, and where a token is shown that may see metrics,
// or where there is none; else the words that monitors go by.
func (a *api) health() handler {
	whole, short := plain(a.status.Health()), plain(a.status.ShortHealth())
	return func(w http.ResponseWriter, q *request) *apiError {
		if a.inside || a.tokens == nil {
			return whole(w, q)
		}
		if _, refused := a.tokens.check(q.Request, true, maySeeMetrics); refused != nil {
			return short(w, q)
		}
		return whole(w, q)
	}
}
