package daemon

import "net/http"

// health tells everything on loopback, and where the token is shown; else the words
// that monitors go by.
func (a *api) health() handler {
	whole, short := plain(a.status.Health()), plain(a.status.ShortHealth())
	return func(w http.ResponseWriter, q *request) *apiError {
		if a.inside || a.token.check(q.Request, true) == nil {
			return whole(w, q)
		}
		return short(w, q)
	}
}
