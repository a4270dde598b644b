package dev

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
)

// errCtrlC is why a run ends that was told to by a key.
var errCtrlC = errors.New("Ctrl-C")

// keyboard reads single keys from a terminal, or lines from what else there is. restore gives the
// terminal back as it was.
func (r *run) keyboard(ctx context.Context) (keys <-chan []byte, restore func(), err error) {
	typed := make(chan []byte)
	if t := r.options.Terminal; t != nil {
		r.out.flush() // in raw mode lines end otherwise
		back, err := t.raw()
		if err != nil {
			return nil, nil, err
		}
		r.screen = &screen{}
		go r.readKeys(ctx, t.in, typed) // ends with the process: a read of a terminal cannot be called off
		return typed, func() {
			r.out.print(r.screen.frame(nil, []string{"\r"}))
			r.screen = nil
			r.out.flush()
			_ = back() // an error: the terminal is gone
		}, nil
	}
	if r.options.Stdin != nil {
		go readLines(ctx, r.options.Stdin, typed) // ends with its input, or with the process
	}
	return typed, func() {}, nil
}

func (r *run) readKeys(ctx context.Context, in io.Reader, typed chan<- []byte) {
	b := make([]byte, 256)
	for {
		n, err := in.Read(b)
		if err != nil { // the terminal has hung up
			r.end(errors.New("the terminal is gone"))
			return
		}
		if bytes.IndexByte(b[:n], ctrlC) >= 0 { // at once, whatever is being carried out
			r.end(errCtrlC)
			return
		}
		select {
		case typed <- bytes.Clone(b[:n]):
		case <-ctx.Done():
			return
		}
	}
}

func readLines(ctx context.Context, in io.Reader, typed chan<- []byte) {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		select {
		case typed <- bytes.Clone(lines.Bytes()):
		case <-ctx.Done():
			return
		}
	}
}
