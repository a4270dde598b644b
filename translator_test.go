package evercache

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// translator stands between a client and servers, as a proxy that knows Redis
// does: it may send other commands than it gets, and to another server.
type translator struct {
	listener net.Listener
	// change is called for every command: what it returns is sent instead, nil:
	// the command as it is.
	change func(words []string) []string

	mu    sync.Mutex // guards what follows
	route func(connection int) string
	conns []*translated
}

// translated is one connection of a client.
type translated struct {
	down net.Conn

	mu sync.Mutex // guards up
	up net.Conn
}

func startTranslator(t *testing.T, change func([]string) []string, route func(connection int) string) *translator {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if change == nil {
		change = func([]string) []string { return nil }
	}
	tr := &translator{listener: l, change: change, route: route}
	go tr.accept()
	t.Cleanup(func() {
		l.Close()
		tr.drop()
	})
	return tr
}

func (tr *translator) addr() string { return tr.listener.Addr().String() }

func (tr *translator) accept() {
	for {
		down, err := tr.listener.Accept()
		if err != nil {
			return
		}
		tr.mu.Lock()
		c := &translated{down: down}
		tr.conns = append(tr.conns, c)
		target := tr.route(len(tr.conns))
		tr.mu.Unlock()
		if c.to(target) != nil {
			down.Close()
			continue
		}
		go tr.carry(c)
	}
}

// to makes a server the one that is asked from here on.
func (c *translated) to(target string) error {
	up, err := net.Dial("tcp", target)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.up
	c.up = up
	if old != nil {
		old.Close()
	}
	go func() {
		_, _ = io.Copy(c.down, up)
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.up == up { // it was not moved
			c.down.Close()
		}
	}()
	return nil
}

func (tr *translator) carry(c *translated) {
	defer c.down.Close()
	r := bufio.NewReader(c.down)
	for {
		words, err := readCommand(r)
		if err != nil {
			return
		}
		if other := tr.change(words); other != nil {
			words = other
		}
		var b strings.Builder
		fmt.Fprintf(&b, "*%d\r\n", len(words))
		for _, w := range words {
			fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(w), w)
		}
		c.mu.Lock()
		_, err = io.WriteString(c.up, b.String())
		c.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func readCommand(r *bufio.Reader) ([]string, error) {
	n, err := readLength(r)
	words := make([]string, 0, max(0, n))
	for range n {
		size, err := readLength(r)
		if err != nil {
			return nil, err
		}
		b := make([]byte, size+2)
		if _, err := io.ReadFull(r, b); err != nil {
			return nil, err
		}
		words = append(words, string(b[:size]))
	}
	return words, err
}

func readLength(r *bufio.Reader) (int, error) {
	line, err := r.ReadString('\n')
	if err != nil || len(line) < 3 {
		return 0, fmt.Errorf("%q: %w", line, io.ErrUnexpectedEOF)
	}
	return strconv.Atoi(strings.TrimSpace(line[1:]))
}

// reroute decides where later connections go.
func (tr *translator) reroute(route func(int) string) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.route = route
}

// move sends the commands of a living connection, counted from 1, elsewhere.
func (tr *translator) move(t *testing.T, connection int, target string) {
	t.Helper()
	tr.mu.Lock()
	c := tr.conns[connection-1]
	tr.mu.Unlock()
	if err := c.to(target); err != nil {
		t.Fatal(err)
	}
}

// drop ends all connections.
func (tr *translator) drop() {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	for _, c := range tr.conns {
		c.down.Close()
		c.mu.Lock()
		if c.up != nil {
			c.up.Close()
		}
		c.mu.Unlock()
	}
}

// saying is a command that is answered with that error.
func saying(text string) []string {
	return []string{"EVAL", "return redis.error_reply(ARGV[1])", "0", text}
}
