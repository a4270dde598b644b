package redisproc

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"
)

// commandTimeout bounds a Do whose context sets no earlier deadline.
const commandTimeout = 5 * time.Second

// Do sends one command on a connection of its own, authenticated as the administrator, and returns
// the reply: string, int64, float64, bool, nil, or []any of these. An error reply is a ReplyError;
// inside a list it is an element.
func (p *Process) Do(ctx context.Context, args ...string) (any, error) {
	replies, err := p.Pipeline(ctx, args)
	if err != nil {
		return nil, err
	}
	if e, ok := replies[0].(ReplyError); ok {
		return nil, p.explain(args, e)
	}
	return replies[0], nil
}

// Pipeline sends the commands together on one connection and returns their replies in order; here
// an error reply is an element.
func (p *Process) Pipeline(ctx context.Context, commands ...[]string) ([]any, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	if len(commands) == 0 || len(commands[0]) == 0 {
		return nil, errors.New("no command given")
	}
	replies, err := p.exchange(ctx, commands)
	if err != nil {
		if cause := ended(ctx); cause != nil { // it shows as an i/o timeout; this says whose
			err = fmt.Errorf("%w (%w)", cause, err)
		}
		return nil, p.explain(commands[0], err)
	}
	return replies, nil
}

// ended is the reason why ctx has ended, or nil. A connection's deadline, taken from ctx, can pass
// an instant before ctx notices its own.
func ended(ctx context.Context) error {
	if d, limited := ctx.Deadline(); ctx.Err() == nil && limited && !time.Now().Before(d) {
		return context.DeadlineExceeded
	}
	return context.Cause(ctx)
}

// explain names the command, but not its arguments: they may be secret.
func (p *Process) explain(args []string, err error) error {
	return fmt.Errorf("%s %s: %s: %w", p.options.Kind, p.Addr(), args[0], err)
}

func (p *Process) exchange(ctx context.Context, commands [][]string) ([]any, error) {
	conn, err := p.dial(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }() // nothing is buffered that could be lost
	unwatch := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer unwatch()

	var request []byte
	auth := p.auth()
	if auth != nil {
		request = appendCommand(request, auth)
	}
	for _, c := range commands {
		request = appendCommand(request, c)
	}
	if _, err := conn.Write(request); err != nil {
		return nil, err
	}
	return readReplies(newReplyReader(conn), auth != nil, len(commands))
}

// readReplies reads n replies, after that to AUTH. A server that refuses a connection says why and
// closes it, so an error reply before an early end is the reason of the end.
func readReplies(r *replyReader, authenticated bool, n int) ([]any, error) {
	if authenticated {
		v, err := r.read()
		if err != nil {
			return nil, err
		}
		if e, ok := v.(ReplyError); ok {
			return nil, fmt.Errorf("authenticate: %w", e)
		}
	}
	var replies []any
	var refused error
	for range n {
		v, err := r.read()
		if err != nil {
			return nil, cmp.Or(refused, err)
		}
		if e, ok := v.(ReplyError); ok {
			refused = e
		}
		replies = append(replies, v)
	}
	return replies, nil
}

// auth is the command that authenticates, or nil when there is no password.
func (p *Process) auth() []string {
	switch o := p.options; {
	case o.AdminUser != "":
		return []string{"AUTH", o.AdminUser, o.AdminPassword}
	case o.AdminPassword != "":
		return []string{"AUTH", o.AdminPassword}
	}
	return nil
}

func (p *Process) dial(ctx context.Context) (net.Conn, error) {
	var plain net.Dialer
	if p.options.TLS == nil {
		return plain.DialContext(ctx, "tcp", p.Addr())
	}
	d := tls.Dialer{NetDialer: &plain, Config: p.options.TLS.ClientConfig()}
	return d.DialContext(ctx, "tcp", p.Addr())
}
