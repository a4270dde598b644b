// Package loopback hands out TCP ports of 127.0.0.1 that stay ours while nobody listens on them.
//
// A test kills a server and starts it again on the same port, so the port must not be taken in
// between. Two things could take it. The kernel, for an outgoing connection: so ports come from
// outside the ephemeral range (inside it, a client that dials the dead server can even connect to
// itself). And another test binary: so each port is held by a UDP socket of the same number, which
// works on every system, needs no file, and is released by the kernel when the holder dies.
package loopback

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// host is IPv4 loopback: every machine has it, and Redis and Sentinel announce it as it is.
const host = "127.0.0.1"

// maxTries bounds the search; with thousands of candidates a busy machine needs two or three.
const maxTries = 200

// Port is a TCP port of 127.0.0.1 that no other caller of Reserve, in any process, is given until
// Release. Nothing listens on it unless its holder does.
type Port struct {
	number int
	hold   net.PacketConn
}

// Reserve picks a free port at random.
func Reserve() (*Port, error) {
	from, to := span(ephemeral())
	var last error
	for range maxTries {
		p, err := claim(from + rand.IntN(to-from))
		if err == nil {
			return p, nil
		}
		last = err
	}
	return nil, fmt.Errorf("no free port on %s in %d tries between %d and %d: %w", host, maxTries, from, to, last)
}

// Number is the port.
func (p *Port) Number() int { return p.number }

// Addr is the port as host:port.
func (p *Port) Addr() string { return addr(p.number) }

// Release gives the port back. Releasing twice does nothing.
func (p *Port) Release() error {
	if err := p.hold.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("release port %d: %w", p.number, err)
	}
	return nil
}

// Claim is Reserve for a port of the caller's choice.
func Claim(number int) (*Port, error) { return claim(number) }

// claim takes the lock first and looks second: the other way round two claimants could both find
// the port free.
func claim(number int) (*Port, error) {
	hold, err := net.ListenPacket("udp4", addr(number))
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp4", addr(number))
	if err != nil {
		return nil, errors.Join(err, hold.Close())
	}
	if err := l.Close(); err != nil {
		return nil, errors.Join(err, hold.Close())
	}
	return &Port{number: number, hold: hold}, nil
}

func addr(number int) string { return net.JoinHostPort(host, strconv.Itoa(number)) }
