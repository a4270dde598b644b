package daemon

import (
	"fmt"
	"net/http"

	"github.com/evercache/evercache"
)

// mostDeletes is how many deletes by prefix there are at the same time: each goes
// over all that memory holds, and may go over all keys in Redis.
const mostDeletes = 32

// prefixAnswer has null for a number that nobody knows yet.
type prefixAnswer struct {
	Deleted *int `json:"deleted"`
	Pending bool `json:"pending,omitempty"`
}

// deletePrefix deletes the keys of a class that begin with ?prefix=. The
// parameter must be there: a path cut short by mistake must not empty a class.
func (a *api) deletePrefix(w http.ResponseWriter, q *request) *apiError {
	name, prefix, fault := prefixOf(q)
	if fault != nil {
		return fault
	}
	select {
	case a.deletes <- struct{}{}:
		defer func() { <-a.deletes }()
	default:
		return errTooManyDeletes()
	}
	c, fault := a.classes.forReading(name)
	if fault != nil {
		return fault
	}
	n, receipt, err := c.DeletePrefix(q.Context(), prefix)
	if err != nil {
		fault := failed(err)
		a.auditPrefix(q, name, prefix, n, receipt, fault)
		return fault
	}
	a.auditPrefix(q, name, prefix, n, receipt, nil)
	acknowledge(w.Header(), receipt)
	if n < 0 {
		writeJSON(w, http.StatusAccepted, prefixAnswer{Pending: true})
	} else {
		writeJSON(w, http.StatusOK, prefixAnswer{Deleted: &n})
	}
	return nil
}

func prefixOf(q *request) (class, prefix string, _ *apiError) {
	class, fault := parseClass(q.class)
	if fault != nil {
		return "", "", fault
	}
	prefix, given, fault := query(q.URL.RawQuery, "prefix")
	switch {
	case fault != nil:
		return "", "", fault
	case !given:
		return "", "", errPrefixRequired()
	case len(prefix) > evercache.MaxKeyBytes:
		return "", "", errBadQuery(fmt.Sprintf("a prefix has at most %d bytes", evercache.MaxKeyBytes))
	case q.Header.Get(minDurabilityHeader) != "":
		return "", "", errBadDurability(minDurabilityHeader + " does not go with a delete by prefix; its answer says what is known")
	}
	return class, prefix, nil
}
