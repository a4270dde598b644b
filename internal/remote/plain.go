package remote

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// ErrPlain means that we speak TLS and the server answers without.
var ErrPlain = errors.New("the server does not speak TLS on this port")

// ErrWantsTLS means that the server speaks TLS and we do not.
var ErrWantsTLS = errors.New("the server speaks TLS on this port")

// handshake begins TLS. A plain Redis waits for the end of a line that a handshake
// does not have, and looks like a server that hangs. So when half of the time is
// over, it is asked without TLS, on a connection of its own.
func handshake(ctx context.Context, conn *tls.Conn, c Config) error {
	bounded, give := context.WithCancelCause(ctx)
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		if Pause(bounded, c.DialTimeout/2) == nil && speaksPlain(bounded, c) {
			give(ErrPlain)
		}
	}()
	err := conn.HandshakeContext(bounded)
	plain := errors.Is(context.Cause(bounded), ErrPlain)
	give(nil)
	<-asked
	switch {
	case err == nil:
		return nil
	case plain:
		return &Error{Kind: TLS, Op: "TLS handshake", Err: ErrPlain}
	}
	return handshakeError(ctx, err)
}

// handshakeError says so where the answer was not TLS.
func handshakeError(ctx context.Context, err error) error {
	kind := TLS
	if ctx.Err() != nil {
		err = ended(ctx)
		kind = KindOf(err)
	}
	_, other := errors.AsType[tls.RecordHeaderError](err)
	switch {
	case other:
		err = fmt.Errorf("%w: %w", ErrPlain, err)
	case kind == Timeout, errors.Is(err, io.EOF):
		err = fmt.Errorf("%w; does the server speak TLS on this port?", err)
	}
	return &Error{Kind: kind, Op: "TLS handshake", Err: err}
}

// speaksPlain reports whether the server answers PING without TLS, if only with an
// error. Nothing secret is sent.
func speaksPlain(ctx context.Context, c Config) bool {
	var first [1]byte
	answered := question(ctx, c, func(conn net.Conn) error {
		if _, err := io.WriteString(conn, "PING\r\n"); err != nil {
			return err
		}
		_, err := io.ReadFull(conn, first[:])
		return err
	})
	return answered == nil && (first[0] == '+' || first[0] == '-')
}

// After is c for the dial after one that ended with last. Who was hung up on asks
// about TLS next time: it may cost a question's time, which a first dial does not have.
func (c Config) After(last error) Config {
	c.AskTLS = KindOf(last) == Conn || errors.Is(last, ErrWantsTLS)
	return c
}

// wantsTLS is err, or, where the server has hung up on a plain login without a word,
// what it says to a handshake: a Redis that speaks TLS hangs up like this.
func wantsTLS(ctx context.Context, c Config, conn *greeting, err error) error {
	if !c.AskTLS || c.TLS != nil || c.TLSNow != nil || KindOf(err) != Conn || conn.heard.Load() || !speaksTLS(ctx, c) {
		return err
	}
	return &Error{Kind: TLS, Op: "log in", Err: ErrWantsTLS}
}

// speaksTLS reports whether the server answers a handshake. Whose certificate it has
// does not matter: nothing is sent to it.
func speaksTLS(ctx context.Context, c Config) bool {
	err := question(ctx, c, func(conn net.Conn) error {
		host, _, _ := net.SplitHostPort(c.Addr)
		return tls.Client(conn, &tls.Config{ServerName: host, InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}).HandshakeContext(ctx)
	})
	alert := tls.AlertError(0)
	return err == nil || errors.As(err, &alert)
}

// askLimit bounds a question about TLS.
const askLimit = 250 * time.Millisecond

// question dials for one question, and ends it with ctx.
func question(ctx context.Context, c Config, put func(net.Conn) error) error {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", first(c.At, c.Addr))
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	return put(conn)
}
