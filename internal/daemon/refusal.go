package daemon

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
)

// What cannot be read as a request never gets to a handler: net/http answers it
// with a line of text. Its connections are wrapped here, so that such an answer
// has the form of all others.

// speaking makes the connections of a listener; with a configuration it wraps
// them in TLS.
type speaking struct {
	net.Listener
	tls *tls.Config
	log *slog.Logger
}

func (s speaking) Accept() (net.Conn, error) {
	c, err := s.Listener.Accept()
	if err != nil {
		return nil, err
	}
	slot, _ := c.(*slotConn) // a test may have a listener without a bound
	if s.tls != nil {
		c = tls.Server(c, s.tls)
	}
	return &spoken{Conn: c, slot: slot, log: s.log}, nil
}

// spoken is a connection as net/http sees it, TLS or not: it makes the handshake
// with the first Read, within the time that a request's header may take.
type spoken struct {
	net.Conn
	slot     *slotConn // below TLS; nil: there is no bound
	log      *slog.Logger
	answered atomic.Bool // a handler has the request: what is written is its answer
	refused  bool        // it ends with the refusal that was sent
	bare     net.Conn    // below TLS, for a peer that does not speak it
}

func (c *spoken) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if t, ok := c.Conn.(*tls.Conn); ok && err != nil && !t.ConnectionState().HandshakeComplete {
		c.failed(err)
	}
	return n, err
}

// failed notes why there was no handshake.
func (c *spoken) failed(err error) {
	if plain, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		c.bare = plain.Conn
	}
	c.log.LogAttrs(context.Background(), slog.LevelDebug, "TLS handshake failed",
		slog.String("event", "connection.refused"), slog.String("remote", c.RemoteAddr().String()), slog.Any("error", err))
}

func (c *spoken) Write(b []byte) (int, error) {
	if c.answered.Load() {
		return c.Conn.Write(b)
	}
	if c.refused {
		return len(b), nil
	}
	c.refused = true
	e, id := refusal(b), rand.Text()
	if c.bare != nil {
		e = errUnreadable("this port speaks TLS, use https")
	}
	c.log.LogAttrs(context.Background(), slog.LevelDebug, "no request", slog.String("event", "request.refused"),
		slog.String("request_id", id), slog.Int("status", e.status), slog.String("code", e.code), slog.String("remote", c.RemoteAddr().String()))
	if err := send(cmp.Or(c.bare, c.Conn), e, id); err != nil {
		return 0, err
	}
	return len(b), nil
}

type spokenKey struct{}

// withSpoken lets a handler find its connection.
func withSpoken(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, spokenKey{}, c)
}

// answers notes that h has the requests of a connection, from each one's
// beginning until the connection is idle again (see between).
func answers(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, ok := r.Context().Value(spokenKey{}).(*spoken); ok {
			c.answered.Store(true)
		}
		h.ServeHTTP(w, r)
	})
}

// between is told when a request has come, and when its answer is written and
// another may come.
func between(conn net.Conn, s http.ConnState) {
	c, ok := conn.(*spoken)
	switch {
	case !ok:
	case s == http.StateIdle:
		c.answered.Store(false)
		if c.slot != nil {
			c.slot.rest()
		}
	case s == http.StateActive && c.slot != nil:
		c.slot.work()
	}
}

// refusal is the error of an answer by net/http, whose first line is all there
// is to it: HTTP/1.1 400 Bad Request: missing required Host header.
func refusal(answer []byte) *apiError {
	line, _, _ := strings.Cut(string(answer), "\r\n")
	_, line, _ = strings.Cut(line, " ")
	number, line, _ := strings.Cut(line, " ")
	_, why, _ := strings.Cut(line, ": ")
	switch number {
	case "417":
		return errExpectation()
	case "431":
		return errHeadersTooLarge()
	case "501":
		return errEncoding()
	case "505":
		return errVersion()
	}
	return errUnreadable(cmp.Or(why, "its first line or a header is malformed; a % in a path is written as %25"))
}

// send writes an error to a connection that no handler has.
func send(c io.Writer, e *apiError, id string) error {
	a := &loose{header: http.Header{}}
	a.header.Set(requestIDHeader, id)
	writeError(a, e, id)
	r := http.Response{
		ProtoMajor: 1, ProtoMinor: 1, StatusCode: a.status, Header: a.header, Close: true,
		ContentLength: int64(a.body.Len()), Body: io.NopCloser(&a.body),
	}
	var b bytes.Buffer
	if err := r.Write(&b); err != nil {
		return err
	}
	_, err := c.Write(b.Bytes())
	return err
}

// loose is an answer without a request.
type loose struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (l *loose) Header() http.Header         { return l.header }
func (l *loose) WriteHeader(status int)      { l.status = status }
func (l *loose) Write(b []byte) (int, error) { return l.body.Write(b) }
