package main

import (
	"context"
	"errors"
	"io"
	"os"
)

// openInput opens a file to read; "-" is the standard input. stream: it can be read only once.
// The end of ctx ends what waits for a pipe or a keyboard that says nothing.
func openInput(ctx context.Context, inv invocation, name string) (in io.ReadCloser, stream bool, err error) {
	if name == "-" {
		if inv.stdin == nil {
			return nil, true, errors.New("there is no standard input")
		}
		return io.NopCloser(&interruptible{ctx, inv.stdin}), true, nil
	}
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return nil, false, err
	case info.IsDir():
		return nil, false, errors.New("it is a directory: name a file")
	case info.Mode().IsRegular():
		f, err := os.Open(name)
		return f, false, err
	}
	f, err := within(ctx, func() (*os.File, error) { return os.Open(name) }) // a pipe waits for whoever writes it
	if err != nil {
		return nil, true, err
	}
	return struct {
		io.Reader
		io.Closer
	}{&interruptible{ctx, f}, f}, true, nil
}

// interruptible is a reader that ends with ctx.
type interruptible struct {
	ctx context.Context
	r   io.Reader
}

func (i *interruptible) Read(p []byte) (int, error) {
	own := make([]byte, min(len(p), 64<<10)) // p is the caller's again when this returns
	n, err := within(i.ctx, func() (int, error) { return i.r.Read(own) })
	return copy(p, own[:n]), err
}

// within is what f returns, or why ctx ended before. Then f goes on, until the process ends.
func within[T any](ctx context.Context, f func() (T, error)) (v T, err error) {
	type result struct {
		v   T
		err error
	}
	got := make(chan result, 1)
	go func() {
		v, err := f()
		got <- result{v, err}
	}()
	select {
	case r := <-got:
		return r.v, r.err
	case <-ctx.Done():
		return v, errors.New("interrupted")
	}
}
