package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
)

// ErrNotSentinel means that something else answers where a sentinel should.
var ErrNotSentinel = errors.New("the server there is not a sentinel")

// errDataServer is the same of a server that does not let us in.
var errDataServer = fmt.Errorf("%w: it is a Redis server with data that requires a password", ErrNotSentinel)

// notSentinel is err, the end of a login. Where a sentinel should have let us in, the
// server is asked for a command that only sentinels have. A server looks for the command
// before it looks at the login, so it is known without a password.
func notSentinel(ctx context.Context, c Config, err error) error {
	if !c.Sentinel || KindOf(err) != Auth || !lacksSentinel(ctx, c) {
		return err
	}
	return &Error{Kind: Other, Op: "log in", Err: errDataServer}
}

// lacksSentinel reports whether the server says that it has no command SENTINEL.
// Nothing secret is sent.
func lacksSentinel(ctx context.Context, c Config) bool {
	var answer [64]byte
	n := 0
	err := question(ctx, c, func(raw net.Conn) error {
		conn, err := secure(ctx, raw, c)
		if err != nil {
			return err
		}
		if _, err = io.WriteString(conn, "SENTINEL MASTERS\r\n"); err == nil {
			n, err = io.ReadAtLeast(conn, answer[:], len("-ERR unknown command"))
		}
		return err
	})
	return err == nil && strings.HasPrefix(string(answer[:n]), "-ERR unknown command")
}
