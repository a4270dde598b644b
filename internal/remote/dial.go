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
)

// Config says how to reach one node.
type Config struct {
	Addr         string
	Username     string
	Password     string
	PasswordFile string // read at every dial: a rotated password needs no restart
	DB           int
	TLS          *tls.Config
	DialTimeout  time.Duration
}

// maxPasswordFile bounds a password file.
const maxPasswordFile = 64 << 10

func (c Config) password() (string, error) {
	if c.PasswordFile == "" {
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
	return strings.TrimRight(string(b), "\r\n"), nil
}

// wire is one rueidis client over exactly one connection. rueidis dials again
// on its own, with callers waiting past their deadlines meanwhile; here a
// second dial is refused, so a wire that broke stays broken.
type wire struct {
	rueidis.Client
	conn net.Conn
	raw  net.Conn // the TCP connection under TLS
}

var errSpent = errors.New("the connection is gone; a node is dialled once")

// dialWire connects, logs in and selects the database, all within ctx.
func dialWire(ctx context.Context, c Config) (*wire, error) {
	password, err := c.password()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.DialTimeout)
	defer cancel()
	raw, err := (&net.Dialer{KeepAlive: 5 * time.Second}).DialContext(ctx, "tcp", c.Addr)
	if err != nil {
		return nil, wrap("dial", err)
	}
	secured, err := secure(ctx, raw, c)
	if err != nil {
		raw.Close()
		return nil, err
	}
	conn := &greeting{Conn: secured}
	stop := context.AfterFunc(ctx, func() { conn.Close() }) // rueidis logs in on a context of its own
	defer stop()
	var spent atomic.Bool
	client, err := rueidis.NewClient(rueidis.ClientOption{
		InitAddress: []string{c.Addr},
		DialCtxFn: func(context.Context, string, *net.Dialer, *tls.Config) (net.Conn, error) {
			if spent.Swap(true) {
				return nil, errSpent
			}
			return conn, nil
		},
		Dialer:            net.Dialer{Timeout: c.DialTimeout, KeepAlive: 500 * time.Millisecond},
		ConnWriteTimeout:  time.Second,
		Username:          c.Username,
		Password:          password,
		SelectDB:          c.DB,
		ClientName:        "evercache",
		ForceSingleClient: true,
		PipelineMultiplex: -1, // one connection: two writes of one key keep their order
		AlwaysPipelining:  true,
		BlockingPipeline:  1 << 20, // no batch of ours may go to another connection
		DisableRetry:      true,
		DisableCache:      true,
	})
	if err != nil {
		conn.Close()
		if client != nil {
			client.Close()
		}
		return nil, loginError(ctx, conn, err)
	}
	return &wire{Client: client, conn: conn, raw: raw}, nil
}

// loginError is what the server said, if it said anything: at maxclients it
// says so unasked and closes, of which rueidis tells only the end.
func loginError(ctx context.Context, conn *greeting, err error) error {
	if cause := ctx.Err(); cause != nil {
		err = fmt.Errorf("%w (%v)", cause, err)
	}
	k := KindOf(err)
	if text := conn.refusal(); k == Conn && text != "" {
		k, err = kindOfReply(text), errors.New(text)
	}
	return &Error{Kind: k, Op: "log in", Err: err}
}

// greeting remembers the first bytes that the server sent.
type greeting struct {
	net.Conn
	heard atomic.Bool
	first [128]byte
	n     atomic.Int32
}

func (g *greeting) Read(p []byte) (int, error) {
	n, err := g.Conn.Read(p)
	if n > 0 && !g.heard.Swap(true) {
		g.n.Store(int32(copy(g.first[:], p[:n])))
	}
	return n, err
}

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
	if c.TLS == nil {
		return raw, nil
	}
	cfg := c.TLS
	if cfg.ServerName == "" && !cfg.InsecureSkipVerify {
		host, _, _ := net.SplitHostPort(c.Addr)
		cfg = cfg.Clone()
		cfg.ServerName = host
	}
	conn := tls.Client(raw, cfg)
	if err := conn.HandshakeContext(ctx); err != nil {
		kind := TLS
		if errors.Is(err, context.DeadlineExceeded) {
			kind = Timeout
		}
		return nil, &Error{Kind: kind, Op: "TLS handshake", Err: err}
	}
	return conn, nil
}

// abandon gives the connection up at once: pending commands fail, and nothing
// that still sits in our socket is sent (SO_LINGER 0: an older write that
// reaches the server late could land after a newer one).
func (w *wire) abandon() {
	if t, ok := w.raw.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	_ = w.raw.Close()
	w.Client.Close()
}
