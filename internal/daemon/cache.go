package daemon

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/evercache/evercache"
)

// keyOf decodes the path of a call on one key.
func keyOf(q *request) (class, key string, _ *apiError) {
	class, fault := parseClass(q.class)
	if fault != nil {
		return "", "", fault
	}
	key, fault = parseKey(q.key)
	return class, key, fault
}

// getKey answers GET and HEAD with the stored bytes.
func (a *api) getKey(w http.ResponseWriter, q *request) *apiError {
	name, key, fault := keyOf(q)
	if fault != nil {
		return fault
	}
	if _, _, fault := query(q.URL.RawQuery, ""); fault != nil {
		return fault
	}
	c, fault := a.classes.forReading(name)
	if fault != nil {
		return fault
	}
	e, err := c.Lookup(q.Context(), key)
	if err != nil {
		return failed(err)
	}
	if q.Method != http.MethodHead {
		var ok bool
		if q.held, ok = a.rooms.take(q.Context(), int64(len(e.Value)), q.slot()); !ok {
			return errTooManyBodies()
		}
	}
	describe(w.Header(), &e, q.Method == http.MethodHead)
	w.WriteHeader(http.StatusOK)
	writeBody(w, e.Value)
	return nil
}

// Values of headers that many answers have. net/http copies them.
var (
	octets   = []string{"application/octet-stream"}
	nosniff  = []string{"nosniff"}
	noStore  = []string{"no-store"} // we are the cache; a second one would not hear of changes
	truths   = map[bool][]string{true: {"true"}, false: {"false"}}
	fromHere = []string{evercache.SourceMemory.String()}
)

// netHTTPCounts is up to how many bytes net/http gives an answer its Content-Length by
// itself.
const netHTTPCounts = 2048

// describe fills in the headers of a value. With the id of the request these are eight:
// one more and the map would grow into another form, which costs as much as all of them.
func describe(h http.Header, e *evercache.Entry[[]byte], head bool) {
	h["Content-Type"], h["X-Content-Type-Options"], h["Cache-Control"] = octets, nosniff, noStore
	h["Evercache-Fresh"], h["Evercache-Coherent"] = truths[e.Fresh], truths[e.Coherent]
	h["Evercache-Source"] = fromHere
	if e.Source != evercache.SourceMemory {
		h["Evercache-Source"] = []string{e.Source.String()}
	}
	if e.Source == evercache.SourceReplica {
		h["Evercache-Behind"] = []string{strconv.FormatFloat(e.Behind.Seconds(), 'f', 3, 64)}
	}
	h["Age"] = []string{strconv.FormatInt(max(0, int64(e.Age/time.Second)), 10)}
	if n := len(e.Value); head || n > netHTTPCounts {
		h["Content-Length"] = []string{strconv.Itoa(n)}
	}
}

// putKey stores the body. Everything that can be refused is refused before the
// body is read, and the class is made after all of it has arrived.
func (a *api) putKey(w http.ResponseWriter, q *request) *apiError {
	name, key, fault := keyOf(q)
	if fault != nil {
		return fault
	}
	opts, fault := a.writeOptions(q)
	if fault != nil {
		return fault
	}
	body, fault := a.readBody(q)
	if fault != nil {
		return fault
	}
	c, fault := a.classes.forWriting(name)
	if fault != nil {
		return fault
	}
	receipt, err := c.Set(q.Context(), key, body, opts...)
	if err != nil {
		return failed(err)
	}
	acknowledge(w.Header(), receipt)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// writeOptions are those that the query and the headers of a PUT ask for.
func (a *api) writeOptions(q *request) ([]evercache.WriteOption, *apiError) {
	// Ignoring these would store a part as the whole, lose how the body is
	// encoded, or write where the caller
	// said not to.
	for _, name := range []string{"Content-Range", "Content-Encoding", "If-Match", "If-None-Match", "If-Unmodified-Since"} {
		if q.Header.Get(name) != "" {
			return nil, errUnsupportedHeader(name)
		}
	}
	ttl, given, fault := query(q.URL.RawQuery, "ttl")
	if fault != nil {
		return nil, fault
	}
	opts, fault := minDurabilityOption(q.Header)
	if fault != nil || !given {
		return opts, fault
	}
	d, fault := parseTTL(ttl, a.limits.ttl)
	return append(opts, evercache.TTL(d)), fault
}

// deleteKey is acknowledged in an outage too: the key is gone here at once and
// in Redis before anything else is sent to it.
func (a *api) deleteKey(w http.ResponseWriter, q *request) *apiError {
	name, key, fault := keyOf(q)
	if fault != nil {
		return fault
	}
	if _, _, fault := query(q.URL.RawQuery, ""); fault != nil {
		return fault
	}
	opts, fault := minDurabilityOption(q.Header)
	if fault != nil {
		return fault
	}
	c, fault := a.classes.forReading(name)
	if fault != nil {
		return fault
	}
	receipt, err := c.Delete(q.Context(), key, opts...)
	if err != nil {
		return failed(err)
	}
	acknowledge(w.Header(), receipt)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// acknowledge says how safely a write is stored.
func acknowledge(h http.Header, r evercache.Receipt) {
	h.Set("Evercache-Durability", r.Durability.String())
	h.Set("Evercache-Replicas", strconv.Itoa(r.Replicas))
}

// failed turns what the library says into what a caller of the API sees.
func failed(err error) *apiError {
	if below, ok := errors.AsType[*evercache.DurabilityError](err); ok {
		return belowDurability(below)
	}
	switch {
	case errors.Is(err, evercache.ErrNotFound):
		return errNotFound()
	case errors.Is(err, evercache.ErrClosed):
		return errShuttingDown(err)
	case errors.Is(err, evercache.ErrUnavailable):
		return errUnavailable("Redis does not answer, and memory cannot answer in its place", err)
	case errors.Is(err, evercache.ErrOriginPaused):
		return errUnavailable("the origin of the class has failed, and is not asked again at once", err)
	case errors.Is(err, evercache.ErrKey):
		return errBadKey("the key cannot be used")
	case errors.Is(err, evercache.ErrValue):
		return errValueTooLarge(err)
	case errors.Is(err, evercache.ErrTTL):
		return errBadTTL("the ttl cannot be used")
	case errors.Is(err, evercache.ErrDurability):
		return errBadDurability("the durability cannot be used")
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return errUnavailable("the request ended before its answer was known", err)
	}
	return errInternal(err)
}

func belowDurability(e *evercache.DurabilityError) *apiError {
	reached := http.Header{}
	acknowledge(reached, evercache.Receipt{Durability: e.Got, Replicas: e.GotReplicas})
	return errBelowDurability("the write is stored as "+e.Got.String()+" so far, which is less than was asked; "+
		"it is in force here and may still reach Redis, and repeating it is safe", reached, e)
}
