package remote

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"github.com/evercache/evercache/internal/censor"
	"github.com/evercache/evercache/internal/suites"
)

// Config says how to reach one node.
type Config struct {
	Addr         string
	At           string // where Addr was reached before, to be dialled in its place; "": nowhere yet
	Username     string
	Password     string
	PasswordFile string // read at every dial: a rotated password needs no restart
	DB           int
	NodeID       string // of the Cluster node that has to answer; "": it is in no Cluster, or any will do
	TLS          *tls.Config
	TLSNow       TLSSource // asked at every dial, in place of TLS; nil: TLS stands
	DialTimeout  time.Duration
	Track        *Tracking // of a Node's command connection; nil: none
	MaxValue     int64     // the longest value that is read, in bytes; 0: 512 MiB
	Sentinel     bool      // it is one: its answers are short
	Cluster      bool      // a node of a Redis Cluster is wanted; else such a node is refused
	watched      bool      // whoever dials watches the connection himself
	shape        shape     // of the connection; zero: commands
	Sizes        *Sizes    // what servers refuse for its size; nil: not remembered
	AskTLS       bool      // where the server hangs up without a word, ask whether it wants TLS
}

// TLSSource has the TLS settings of this moment. It is a pointer: who holds a Config
// compares it with others.
type TLSSource interface{ Config() (*tls.Config, error) }

// maxPasswordFile bounds a password file.
const maxPasswordFile = 64 << 10

// HidePassword lets no text of others be shown with the password of this node in it: of
// others that are asked before this node is dialled. It reads the file, if there is one.
func (c Config) HidePassword() { _, _ = c.password() }

func (c Config) password() (string, error) {
	if c.PasswordFile == "" {
		censor.Hide(c.Password)
		return c.Password, nil
	}
	f, err := os.Open(c.PasswordFile)
	if err != nil {
		return "", &Error{Kind: Auth, Op: "read password file", Err: err}
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxPasswordFile+1))
	if err == nil && len(b) > maxPasswordFile {
		err = errors.New("larger than 64 KiB")
	}
	if err != nil {
		return "", &Error{Kind: Auth, Op: "read password file", Err: err}
	}
	password := strings.TrimRight(string(b), "\r\n")
	censor.Hide(password)
	return password, nil
}

// wire is one rueidis client over exactly one connection. rueidis dials again
// on its own, with callers waiting past their deadlines meanwhile; here a
// second dial is refused, so a wire that broke stays broken.
type wire struct {
	rueidis.Client
	conn *greeting
	raw  net.Conn // the TCP connection under TLS

	load   *load
	sizes  *Sizes
	apart  bool   // it carries large values, and nothing else
	places places // of its ring

	gathering gathering

	taken     atomic.Pointer[sizeAt] // a size that the server has said it takes
	abandoned atomic.Bool
}

// errSpent is the answer to rueidis when it would dial again.
var errSpent = errors.New("the connection to the server was lost")

// ErrNoDatabase means that the server has fewer databases than Config.DB needs.
var ErrNoDatabase = errors.New("the server has no such database")

// dialWire connects, logs in and selects the database, all within ctx.
func dialWire(caller context.Context, c Config) (*wire, error) {
	w, err := dialNamed(caller, c, "evercache")
	if KindOf(err) == Lacks { // neither HELLO nor CLIENT
		return dialNamed(caller, c, "")
	}
	return w, err
}

// at is where the server was reached.
func (w *wire) at() string {
	if a := w.raw.RemoteAddr(); a != nil {
		return a.String()
	}
	return ""
}

// dialNamed is dialWire under a name for CLIENT LIST; "": none.
func dialNamed(caller context.Context, c Config, name string) (*wire, error) {
	password, err := c.password()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(caller, c.DialTimeout, noAnswer(c.DialTimeout))
	defer cancel()
	raw, err := (&net.Dialer{KeepAlive: 5 * time.Second}).DialContext(ctx, "tcp", first(c.At, c.Addr))
	if err != nil {
		return nil, wrap(opDial, err)
	}
	if t, ok := raw.(*net.TCPConn); ok {
		_ = t.SetWriteBuffer(socketBuffer)
	}
	secured, err := secure(ctx, raw, c)
	if err != nil {
		raw.Close()
		return nil, err
	}
	conn := &greeting{Conn: secured, bounds: c.bounds(), asking: guard{ours: true}}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() }) // rueidis logs in on a context of its own
	defer stop()
	client, err := rueidis.NewClient(options(c, conn, name, password))
	if err != nil {
		_ = conn.Close()
		if client != nil {
			client.Close()
		}
		return nil, notSentinel(ctx, c, wantsTLS(ctx, c, conn, loginError(ctx, conn, c.DB, password, err)))
	}
	conn.known.Store(true)
	w := &wire{Client: client, conn: conn, raw: raw, load: &conn.load, sizes: c.Sizes}
	w.places.most = c.shaped().places()
	return w, nil
}

// options are those of a rueidis client over conn and nothing else.
func options(c Config, conn *greeting, name, password string) rueidis.ClientOption {
	var spent atomic.Bool
	size := c.shaped()
	return rueidis.ClientOption{
		RingScaleEachConn:   size.ring,
		ReadBufferEachConn:  size.read,
		WriteBufferEachConn: size.write,

		InitAddress: []string{c.Addr},
		DialCtxFn: func(context.Context, string, *net.Dialer, *tls.Config) (net.Conn, error) {
			if spent.Swap(true) {
				return nil, errSpent
			}
			return conn, nil
		},
		Dialer:            net.Dialer{Timeout: 2 * c.DialTimeout, KeepAlive: c.ping()}, // our own limit comes first
		ConnWriteTimeout:  time.Second,
		Username:          c.Username,
		Password:          password,
		SelectDB:          c.DB,
		ClientName:        name,
		ForceSingleClient: true,
		PipelineMultiplex: -1, // one connection: two writes of one key keep their order
		AlwaysPipelining:  true,
		BlockingPipeline:  1 << 20, // no batch of ours may go to another connection
		DisableRetry:      true,
		DisableCache:      true, // its own tracking: see Tracking for ours
		OnInvalidations:   c.Track.listener(conn),
	}
}

func (c Config) shaped() shape {
	if c.shape == (shape{}) {
		return commands
	}
	return c.shape
}

func (c Config) maxValue() int64 {
	if c.MaxValue == 0 {
		return maxBulk
	}
	return c.MaxValue
}

// bounds are those of the replies after the login.
func (c Config) bounds() bounds {
	if c.Sentinel {
		return sentinel
	}
	return server(c.maxValue())
}

// Asked is c for a connection whose owner asks it at a pace of his own, and closes it
// when there is no answer: nobody else needs to ask whether it is alive.
func (c Config) Asked() Config {
	c.watched = true
	return c
}

// ping is how often rueidis asks a silent connection for an answer. It gives one
// up that does not answer within a second, however many bytes are on their way:
// where Node watches its connections itself, rueidis does not.
func (c Config) ping() time.Duration {
	if c.watched {
		return -1
	}
	return 500 * time.Millisecond
}

// noAnswer is the error of a timeout of our own.
func noAnswer(limit time.Duration) error {
	return &said{text: fmt.Sprintf("no answer within %v", limit), err: context.DeadlineExceeded}
}

// ended is why ctx ended, in our words where it was our own timeout.
func ended(ctx context.Context) error {
	if cause := context.Cause(ctx); errors.Is(cause, ctx.Err()) {
		return cause
	}
	return ctx.Err()
}

// loginError is what the server said, if it said anything: at maxclients it
// says so unasked and closes, of which rueidis tells only the end.
func loginError(ctx context.Context, conn *greeting, db int, password string, err error) error {
	if fault := conn.fault.Load(); fault != nil {
		return &Error{Kind: fault.Kind, Op: "log in", Err: redact(fault.Err, password)}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		<-ctx.Done() // rueidis has the same limit, and its timer may be first
	}
	if ctx.Err() != nil {
		err = ended(ctx)
	}
	k := KindOf(err)
	if text := conn.refusal(); k == Conn && text != "" {
		k, err = kindOfReply(text), errors.New(text)
	}
	noDB := db != 0 && strings.Contains(err.Error(), "DB index")
	err = redact(err, password)
	if noDB {
		err = fmt.Errorf("%w %d: %w", ErrNoDatabase, db, err)
	}
	return &Error{Kind: k, Op: "log in", Err: err}
}

// greeting remembers the first bytes that the server sent, and guards rueidis
// from what no Redis would send.
type greeting struct {
	net.Conn
	heard atomic.Bool
	first [128]byte
	n     atomic.Int32

	bounds bounds      // of replies, once
	known  atomic.Bool // the login has succeeded
	fault  atomic.Pointer[Error]
	asking guard // of the writer
	asked  atomic.Uint64
	load   load
	joins  atomic.Uint64 // which of them, from 1, was the last subscription; 0: none
	guard  guard         // of the reader
	over   atomic.Bool   // all that could be read has been

	received atomic.Int64  // bytes
	answered atomic.Uint64 // of what was asked
	moved    atomic.Int64  // when an answer last came, or was asked for when none was due; Unix nanoseconds
	stalls   stalls
}

// waits is how long no answer has come of those that are due.
func (g *greeting) waits(now time.Time) time.Duration {
	if g.asked.Load() <= g.answered.Load() {
		return 0
	}
	return time.Duration(now.UnixNano() - g.moved.Load())
}

// Read gives an error only without bytes, so that it is over when what came
// before has been handled.
func (g *greeting) Read(p []byte) (int, error) {
	n, err := g.read(p)
	if n > 0 {
		return n, nil // the error is repeated
	}
	if err != nil {
		g.over.Store(true)
		g.stalls.ended.Store(true)
	}
	return n, err
}

func (g *greeting) read(p []byte) (int, error) {
	if fault := g.fault.Load(); fault != nil {
		return 0, fault
	}
	n, err := g.Conn.Read(p)
	if n > 0 && !g.heard.Swap(true) {
		g.n.Store(int32(copy(g.first[:], p[:n])))
	}
	b := g.bounds
	if !g.known.Load() {
		b = stranger
	}
	if n > 0 {
		g.load.move()
		g.received.Add(int64(n))
	}
	g.guard.joins = g.joins.Load()
	fit, wrong := g.guard.pass(p[:n], b)
	g.load.big.Store(g.guard.big)
	if g.guard.answers > g.answered.Load() { // announcements come on their own
		g.answered.Store(g.guard.answers)
		g.moved.Store(time.Now().UnixNano())
	}
	if g.guard.answers > g.asked.Load() { // rueidis panics
		fit, wrong = 0, fmt.Errorf("%w: it answers what was not asked", ErrNotRedis)
	}
	if wrong != nil {
		fault := &Error{Kind: Other, Op: "read reply", Err: wrong}
		if errors.Is(wrong, ErrWantsTLS) {
			fault.Kind = TLS
		}
		g.fault.Store(fault)
		return fit, fault
	}
	return n, err
}

// Write counts the commands before they are sent: no answer comes before.
func (g *greeting) Write(p []byte) (int, error) {
	_, _ = g.asking.pass(p, ourselves)
	g.joins.Store(g.asking.joins)
	if g.asked.Load() <= g.answered.Load() {
		g.moved.Store(time.Now().UnixNano())
	}
	g.asked.Store(g.asking.answers)
	g.watchStalls()
	n, err := g.write(p)
	if err != nil {
		g.stalls.ended.Store(true)
	}
	return n, err
}

// write hands on a piece at a time, to see that there is progress.
func (g *greeting) write(p []byte) (n int, err error) {
	for err == nil && len(p)-n > writePiece {
		var m int
		m, err = g.Conn.Write(p[n : n+writePiece])
		n += m
		g.load.move()
	}
	if err != nil {
		return n, err
	}
	m, err := g.Conn.Write(p[n:])
	g.load.move()
	return n + m, err
}

const writePiece = 64 << 10

// resp3 reports whether the server took the login in RESP3, the only one with
// announcements: only then it answers with a map.
func (g *greeting) resp3() bool { return g.n.Load() > 0 && g.first[0] == '%' }

// refusal is the error reply with which the server began, a long one cut, or "".
func (g *greeting) refusal() string {
	first := string(g.first[:g.n.Load()])
	line, _, whole := strings.Cut(first, "\r\n")
	if !whole && len(first) < len(g.first) || !strings.HasPrefix(line, "-") {
		return ""
	}
	return line[1:]
}

// secure puts TLS over raw where it is asked for.
func secure(ctx context.Context, raw net.Conn, c Config) (net.Conn, error) {
	if c.TLS == nil && c.TLSNow == nil {
		return raw, nil
	}
	cfg := c.TLS
	if c.TLSNow != nil {
		var err error
		if cfg, err = c.TLSNow.Config(); err != nil {
			return nil, &Error{Kind: TLS, Op: "read TLS files", Err: err}
		}
	}
	cfg = cfg.Clone()
	if cfg.ServerName == "" && !cfg.InsecureSkipVerify {
		cfg.ServerName, _, _ = net.SplitHostPort(c.Addr)
	}
	if cfg.CipherSuites == nil { // an application may know better
		cfg.CipherSuites = suites.Authenticated()
	}
	conn := tls.Client(raw, cfg)
	if err := handshake(ctx, conn, c); err != nil {
		return nil, err
	}
	return conn, nil
}

// abandon gives the connection up at once: pending commands fail, and nothing
// that still sits in our socket is sent (SO_LINGER 0: an older write that
// reaches the server late could land after a newer one).
func (w *wire) abandon() {
	w.abandoned.Store(true)
	if t, ok := w.raw.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	_ = w.raw.Close()
	w.Client.Close()
	if w.conn != nil {
		w.conn.stalls.ended.Store(true)
	}
}
