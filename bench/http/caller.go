package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/evercache/evercache/internal/redisproc"
)

// path is that of the one value that is asked for.
const path = "/v1/cache/bench/key"

// caller is a connection that asks for it again and again.
type caller struct {
	conn    net.Conn
	reader  *bufio.Reader
	request []byte
}

func dial(ctx context.Context, addr string) (*caller, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return &caller{conn: conn, reader: bufio.NewReader(conn), request: []byte("GET " + path + " HTTP/1.1\r\nHost: localhost\r\n\r\n")}, nil
}

var lengthHeader = []byte("Content-Length: ")

// call asks once, and returns the length of the answer's body.
func (c *caller) call() (length int, err error) {
	if _, err := c.conn.Write(c.request); err != nil {
		return 0, err
	}
	line, err := c.reader.ReadSlice('\n')
	if err != nil || !bytes.HasPrefix(line, []byte("HTTP/1.1 200 ")) {
		return 0, errors.Join(err, fmt.Errorf("the answer begins with %q", line))
	}
	for {
		line, err := c.reader.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		if n, ok := bytes.CutPrefix(line, lengthHeader); ok {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(n))); err != nil {
				return 0, err
			}
		}
		if len(bytes.TrimSpace(line)) == 0 {
			break
		}
	}
	_, err = c.reader.Discard(length)
	return length, err
}

// sample is what one slice has shown of a server.
type sample struct {
	cpu      time.Duration // of the server, for a request
	requests float64       // a second
}

func (o options) measure(ctx context.Context) (rows []row, err error) {
	redis, err := redisproc.Start(ctx, redisproc.Options{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, redis.Close()) }()
	binary := o.binary
	if binary == "" {
		dir, err := os.MkdirTemp("", "evercache-bench-")
		if err != nil {
			return nil, err
		}
		defer func() { _ = os.RemoveAll(dir) }()
		if binary, err = build(ctx, dir); err != nil {
			return nil, err
		}
	}
	var servers [2]*server
	defer func() {
		for _, s := range servers {
			err = errors.Join(err, s.close())
		}
	}()
	if servers[0], err = startEvercache(ctx, binary, redis.Addr()); err != nil {
		return nil, err
	}
	if servers[1], err = startBare(ctx); err != nil {
		return nil, err
	}
	for _, s := range servers {
		if err := o.put(ctx, s.addr); err != nil {
			return nil, err
		}
	}
	for _, n := range o.callers {
		r := row{callers: n}
		for i := range o.repeat + 1 {
			var both [2]sample
			for j, s := range servers {
				if both[j], err = o.observe(ctx, s, n); err != nil {
					return rows, fmt.Errorf("%s: %w", s.name, err)
				}
			}
			if i > 0 { // the first warms up
				r.pairs = append(r.pairs, both)
			}
		}
		rows = append(rows, r)
	}
	return rows, nil
}

// put stores the value.
func (o options) put(ctx context.Context, addr string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPut, "http://"+addr+path, strings.NewReader(strings.Repeat("v", o.value)))
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, answer.Body)
	if answer.StatusCode != http.StatusNoContent {
		return fmt.Errorf("PUT: %s", answer.Status)
	}
	return nil
}

// observe has n callers ask a server for a slice.
func (o options) observe(ctx context.Context, s *server, n int) (got sample, err error) {
	callers := make([]*caller, n)
	for i := range callers {
		if callers[i], err = dial(ctx, s.addr); err != nil {
			return got, err
		}
		defer callers[i].conn.Close()
		if _, err := callers[i].call(); err != nil {
			return got, err
		}
	}
	before, err := s.cpu()
	if err != nil {
		return got, err
	}
	var requests atomic.Int64
	var failed atomic.Pointer[error]
	var all sync.WaitGroup
	began := time.Now()
	for _, c := range callers {
		all.Go(func() {
			count := int64(0)
			for time.Since(began) < o.slice && ctx.Err() == nil {
				if length, err := c.call(); err != nil || length != o.value {
					err = errors.Join(err, fmt.Errorf("a body of %d bytes", length))
					failed.Store(&err)
					return
				}
				count++
			}
			requests.Add(count)
		})
	}
	all.Wait()
	took := time.Since(began)
	after, err := s.cpu()
	if f := failed.Load(); f != nil {
		return got, *f
	}
	got.cpu = (after - before) / time.Duration(max(1, requests.Load()))
	got.requests = float64(requests.Load()) / took.Seconds()
	return got, err
}
