package chaos

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

// Node says how to reach one Redis server.
type Node struct {
	Addr     string
	Password string
	TLS      *tls.Config
}

// conn is a connection that no store under test shares.
type conn struct {
	net.Conn
	in *bufio.Reader
}

func (n Node) dial(ctx context.Context) (*conn, error) {
	raw, err := new(net.Dialer).DialContext(ctx, "tcp", n.Addr)
	if err != nil {
		return nil, err
	}
	if n.TLS != nil {
		raw = tls.Client(raw, n.tlsConfig())
	}
	c := &conn{raw, bufio.NewReader(raw)}
	if n.Password != "" {
		if _, err := c.ask(time.Second, []string{"AUTH", n.Password}); err != nil {
			c.Close()
			return nil, err
		}
	}
	return c, nil
}

// tlsConfig verifies the host of Addr unless another name is given.
func (n Node) tlsConfig() *tls.Config {
	c := n.TLS.Clone()
	if c.ServerName == "" {
		c.ServerName, _, _ = net.SplitHostPort(n.Addr)
	}
	return c
}

// ask sends the commands together and reads their replies. An error reply is the error.
func (c *conn) ask(limit time.Duration, commands ...[]string) ([]any, error) {
	if err := c.SetDeadline(time.Now().Add(limit)); err != nil {
		return nil, err
	}
	var out []byte
	for _, words := range commands {
		out = fmt.Appendf(out, "*%d\r\n", len(words))
		for _, w := range words {
			out = fmt.Appendf(out, "$%d\r\n%s\r\n", len(w), w)
		}
	}
	if _, err := c.Write(out); err != nil {
		return nil, err
	}
	replies := make([]any, len(commands))
	for i := range replies {
		var err error
		if replies[i], err = c.reply(); err != nil {
			return nil, err
		}
	}
	return replies, nil
}

const maxReply = 64 << 20 // no answer to a question of ours is longer

// reply reads one RESP2 reply: string, int64, nil or []any.
func (c *conn) reply() (any, error) {
	line, err := c.in.ReadString('\n')
	if err != nil {
		return nil, err
	}
	if len(line) < 3 {
		return nil, errors.New("malformed reply")
	}
	kind, text := line[0], line[1:len(line)-2]
	switch kind {
	case '+':
		return text, nil
	case '-':
		return nil, errors.New(text)
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n > maxReply {
		return nil, fmt.Errorf("malformed reply: %w", errors.Join(err))
	}
	switch {
	case kind == ':':
		return n, nil
	case n < 0:
		return nil, nil
	case kind == '$':
		return c.text(int(n))
	case kind == '*':
		return c.list(int(n))
	}
	return nil, fmt.Errorf("reply of the unknown kind %q", kind)
}

func (c *conn) text(n int) (any, error) {
	b := make([]byte, n+2)
	if _, err := io.ReadFull(c.in, b); err != nil {
		return nil, err
	}
	return string(b[:n]), nil
}

func (c *conn) list(n int) (any, error) {
	list := make([]any, 0, min(n, 1024))
	for range n {
		v, err := c.reply()
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, nil
}
