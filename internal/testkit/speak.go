package testkit

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

// Accept serves every connection of a listener until the test ends, and closes
// it then. It waits for all that serve.
func Accept(t *testing.T, in net.Listener, serve func(net.Conn)) {
	t.Helper()
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := in.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer conn.Close()
				serve(conn)
			})
		}
	})
	t.Cleanup(func() { _ = in.Close(); wg.Wait() })
}

// Listen is Accept at an address of its own.
func Listen(t *testing.T, serve func(net.Conn)) (addr string) {
	t.Helper()
	in, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	Accept(t, in, serve)
	return in.Addr().String()
}

// Forward joins two connections until one of them ends.
func Forward(near, far net.Conn) {
	var wg sync.WaitGroup
	for _, way := range [][2]net.Conn{{near, far}, {far, near}} {
		wg.Go(func() {
			_, _ = io.Copy(way[0], way[1])
			_, _ = near.Close(), far.Close()
		})
	}
	wg.Wait()
}

// Speak is a server that answers every request as a test wants.
func Speak(t *testing.T, answer func(words []string) string) (addr string) {
	t.Helper()
	return Listen(t, func(conn net.Conn) {
		for r := bufio.NewReader(conn); ; {
			words, err := Command(r)
			if err != nil {
				return
			}
			if _, err := io.WriteString(conn, answer(words)); err != nil {
				return
			}
		}
	})
}

// Command reads one request, a list of bulk strings.
func Command(in *bufio.Reader) ([]string, error) {
	line, err := in.ReadString('\n')
	if err != nil {
		return nil, err
	}
	n, err := strconv.Atoi(strings.Trim(line, "*\r\n"))
	if err != nil {
		return nil, err
	}
	words := make([]string, n)
	for i := range words {
		if line, err = in.ReadString('\n'); err != nil {
			return nil, err
		}
		size, err := strconv.Atoi(strings.Trim(line, "$\r\n"))
		if err != nil {
			return nil, err
		}
		word := make([]byte, size+2)
		if _, err := io.ReadFull(in, word); err != nil {
			return nil, err
		}
		words[i] = string(word[:size])
	}
	return words, nil
}

// Bulk is a text as it is sent.
func Bulk(s string) string { return fmt.Sprintf("$%d\r\n%s\r\n", len(s), s) }

// List is a list of texts as it is sent.
func List(words ...string) string {
	var out strings.Builder
	fmt.Fprintf(&out, "*%d\r\n", len(words))
	for _, w := range words {
		out.WriteString(Bulk(w))
	}
	return out.String()
}
