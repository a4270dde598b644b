package redisproc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"
)

// Conn is one connection to a process that stays open between commands. It belongs to one goroutine.
type Conn struct {
	process *Process
	net     net.Conn
	replies *replyReader
}

// Connect opens a connection, authenticated as the administrator.
func (p *Process) Connect(ctx context.Context) (*Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	conn, err := p.dial(ctx)
	if err != nil {
		return nil, p.explain([]string{"connect"}, err)
	}
	c := &Conn{p, conn, newReplyReader(conn)}
	if auth := p.auth(); auth != nil {
		replies, err := c.Pipeline(ctx, auth)
		if err == nil {
			err = replyError(replies[0])
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("authenticate: %w", err), c.Close())
		}
	}
	return c, nil
}

// Pipeline sends the commands together and returns their replies in order; an error reply is an element.
// After an error the connection is of no more use. It waits as Do does.
func (c *Conn) Pipeline(ctx context.Context, commands ...[]string) ([]any, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	if len(commands) == 0 || len(commands[0]) == 0 {
		return nil, errors.New("no command given")
	}
	stop, err := c.bound(ctx)
	if err != nil {
		return nil, err
	}
	defer stop()
	replies, err := c.exchange(commands)
	if err != nil {
		if cause := ended(ctx); cause != nil {
			err = fmt.Errorf("%w (%w)", cause, err)
		}
		return nil, c.process.explain(commands[0], err)
	}
	return replies, nil
}

// bound ends what is under way when ctx does.
func (c *Conn) bound(ctx context.Context) (stop func() bool, err error) {
	if err := c.net.SetDeadline(time.Time{}); err != nil {
		return nil, err
	}
	return context.AfterFunc(ctx, func() { _ = c.net.SetDeadline(time.Unix(1, 0)) }), nil
}

func (c *Conn) exchange(commands [][]string) ([]any, error) {
	var request []byte
	for _, args := range commands {
		request = appendCommand(request, args)
	}
	if _, err := c.net.Write(request); err != nil {
		return nil, err
	}
	return readReplies(c.replies, false, len(commands))
}

// Do sends one command; an error reply is a ReplyError.
func (c *Conn) Do(ctx context.Context, args ...string) (any, error) {
	replies, err := c.Pipeline(ctx, args)
	if err != nil {
		return nil, err
	}
	if err := replyError(replies[0]); err != nil {
		return nil, c.process.explain(args, err)
	}
	return replies[0], nil
}

// all sends the commands together and returns the first error reply as an error.
func (c *Conn) all(ctx context.Context, commands ...[]string) error {
	replies, err := c.Pipeline(ctx, commands...)
	if err != nil {
		return err
	}
	for i, r := range replies {
		if err := replyError(r); err != nil {
			return c.process.explain(commands[i], err)
		}
	}
	return nil
}

// Close closes the connection.
func (c *Conn) Close() error { return c.net.Close() }

func replyError(reply any) error {
	if e, ok := reply.(ReplyError); ok {
		return e
	}
	return nil
}
