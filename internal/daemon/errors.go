package daemon

import (
	"encoding/json"
	"maps"
	"net/http"
	"strconv"
)

// apiError is an error as a caller of the API sees it. Its text never holds a
// key, a value or a secret; cause is for the log only.
type apiError struct {
	status  int
	code    string
	message string
	retry   bool        // repeating the same request later may succeed: Retry-After
	header  http.Header // further headers of the answer
	cause   error
}

func (e *apiError) Error() string { return e.code + ": " + e.message }

func (e *apiError) Unwrap() error { return e.cause }

// The codes are a contract with callers: a caller may rely on them, never on
// the messages. The functions below are the only places that make errors.

func errBadClass() *apiError {
	return badRequest("bad_class", "a class is 1 to 64 of a-z, 0-9, _ and -, beginning with a letter or digit")
}

func errBadKey(message string) *apiError { return badRequest("bad_key", message) }

func errBadQuery(message string) *apiError { return badRequest("bad_query", message) }

func errBadTTL(message string) *apiError { return badRequest("bad_ttl", message) }

func errBadDurability(message string) *apiError { return badRequest("bad_durability", message) }

func errPrefixRequired() *apiError {
	return badRequest("prefix_required", "deleting in a class needs ?prefix=…; prefix= with nothing after it deletes the whole class")
}

func errUnsupportedHeader(name string) *apiError {
	return badRequest("unsupported_header", name+" is not supported here")
}

func errBodyCutOff(cause error) *apiError {
	e := badRequest("body_cut_off", "the body ended before its announced length; nothing was stored")
	e.cause = cause
	return e
}

func badRequest(code, message string) *apiError {
	return &apiError{status: http.StatusBadRequest, code: code, message: message}
}

// The next five are about what cannot be read as a request.

func errUnreadable(why string) *apiError {
	return badRequest("bad_request", "this cannot be read as a request: "+why)
}

func errExpectation() *apiError {
	return &apiError{
		status: http.StatusExpectationFailed, code: "expectation_failed",
		message: "the only Expect that is known here is 100-continue",
	}
}

func errHeadersTooLarge() *apiError {
	return &apiError{
		status: http.StatusRequestHeaderFieldsTooLarge, code: "headers_too_large",
		message: "the first line and the headers may have " + strconv.Itoa(maxHeaderBytes) + " bytes here",
	}
}

func errEncoding() *apiError {
	return &apiError{
		status: http.StatusNotImplemented, code: "unsupported_encoding",
		message: "no Transfer-Encoding but chunked is supported here",
	}
}

func errVersion() *apiError {
	return &apiError{
		status: http.StatusHTTPVersionNotSupported, code: "unsupported_version",
		message: "HTTP/1.1 is spoken here",
	}
}

func errUnauthorized(challenges ...string) *apiError {
	return &apiError{
		status: http.StatusUnauthorized, code: "unauthorized",
		message: "this needs a token that the server knows (EVERCACHE_TOKEN): Authorization: Bearer …",
		header:  http.Header{"Www-Authenticate": challenges},
	}
}

func errForbiddenToken() *apiError {
	return &apiError{
		status: http.StatusForbidden, code: "token_not_for_this",
		message: "this token is good for other calls; EVERCACHE_TOKEN is good for all",
	}
}

func errHostNotAllowed() *apiError {
	return &apiError{
		status: http.StatusForbidden, code: "host_not_allowed",
		message: "the Host of this request is not one of ours; add it to EVERCACHE_HOSTS if it should be",
	}
}

func errCrossOrigin() *apiError {
	return &apiError{
		status: http.StatusForbidden, code: "cross_origin",
		message: "requests made by web pages of other origins are refused",
	}
}

func errNotFound() *apiError {
	return &apiError{status: http.StatusNotFound, code: "not_found", message: "the key has no value"}
}

// errNoSuchPath has a code of its own: a caller with a wrong path must not take
// the answer for a miss.
func errNoSuchPath() *apiError {
	return &apiError{status: http.StatusNotFound, code: "no_such_path", message: "there is nothing at this path; GET / lists what there is"}
}

func errMethod(allow string) *apiError {
	return &apiError{
		status: http.StatusMethodNotAllowed, code: "method_not_allowed",
		message: "this path takes " + allow, header: http.Header{"Allow": {allow}},
	}
}

func errBodyTimeout(cause error) *apiError {
	return &apiError{
		status: http.StatusRequestTimeout, code: "body_timeout", cause: cause,
		message: "the body took too long to arrive; nothing was stored",
		header:  http.Header{"Connection": {"close"}},
	}
}

func errBodyTooLarge(limit int64) *apiError {
	return &apiError{
		status: http.StatusRequestEntityTooLarge, code: "body_too_large",
		message: "a body may have " + strconv.FormatInt(limit, 10) + " bytes here; nothing was stored",
		header:  http.Header{"Connection": {"close"}},
	}
}

// errValueTooLarge is about a body that was read to its end: its connection lives.
func errValueTooLarge(cause error) *apiError {
	return &apiError{
		status: http.StatusRequestEntityTooLarge, code: "value_too_large", cause: cause,
		message: "the value is longer than the Redis server takes (its proto-max-bulk-len); nothing was stored",
	}
}

func errMediaType() *apiError {
	return &apiError{
		status: http.StatusUnsupportedMediaType, code: "unsupported_media_type",
		message: "POST wants Content-Type: application/json",
	}
}

func errInternal(cause error) *apiError {
	return &apiError{
		status: http.StatusInternalServerError, code: "internal", cause: cause,
		message: "this is a fault of the server; its log has the details under the request id",
	}
}

func errUnavailable(message string, cause error) *apiError {
	return &apiError{status: http.StatusServiceUnavailable, code: "unavailable", message: message, retry: true, cause: cause}
}

func errTooManyConnections() *apiError {
	return &apiError{
		status: http.StatusServiceUnavailable, code: "too_many_connections", retry: true,
		message: "callers have every connection that this process can take; nothing was done",
	}
}

func errTooManyBodies() *apiError {
	return &apiError{
		status: http.StatusServiceUnavailable, code: "too_many_bodies", retry: true,
		message: "the bodies and answers under way hold all the memory that they may (EVERCACHE_BODY_MEMORY); nothing was done",
		header:  http.Header{"Connection": {"close"}},
	}
}

func errInspecting() *apiError {
	return &apiError{
		status: http.StatusServiceUnavailable, code: "inspecting", retry: true,
		message: "another comparison of memory with Redis is under way",
	}
}

func errTooManyPages() *apiError {
	return &apiError{
		status: http.StatusServiceUnavailable, code: "too_many_pages", retry: true,
		message: "the status page is open in as many browsers as this process takes",
	}
}

func errTooManyDeletes() *apiError {
	return &apiError{
		status: http.StatusServiceUnavailable, code: "too_many_deletes", retry: true,
		message: "as many deletes by prefix are under way as this process takes; nothing was done",
	}
}

func errShuttingDown(cause error) *apiError {
	return &apiError{
		status: http.StatusServiceUnavailable, code: "shutting_down", retry: true, cause: cause,
		message: "this process is shutting down",
	}
}

func errBelowDurability(message string, header http.Header, cause error) *apiError {
	return &apiError{
		status: http.StatusServiceUnavailable, code: "below_durability",
		message: message, retry: true, header: header, cause: cause,
	}
}

func errTooManyClasses(limit int) *apiError {
	return &apiError{
		status: http.StatusInsufficientStorage, code: "too_many_classes",
		message: "this process holds " + strconv.Itoa(limit) + " classes, as many as it may; one that has not been used for a minute makes room",
	}
}

// retryAfterSeconds is what Retry-After says: the breaker tries Redis more
// often than once a second, so an outage that has ended is noticed by then.
const retryAfterSeconds = "1"

type errorBody struct {
	Error errorFields `json:"error"`
}

type errorFields struct {
	Code      string `json:"code"`
	Message   string `json:"message"`
	RequestID string `json:"requestId"`
}

// writeError sends e as the answer. net/http leaves the body out for HEAD.
func writeError(w http.ResponseWriter, e *apiError, id string) {
	h := w.Header()
	maps.Copy(h, e.header)
	if e.retry {
		h.Set("Retry-After", retryAfterSeconds)
	}
	writeJSON(w, e.status, errorBody{errorFields{e.code, e.message, id}})
}

// writeJSON sends v. What we send always encodes.
func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	body = append(body, '\n')
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // the caller may be gone; nothing to do about it
}
