package dev

import (
	"io"
	"time"
)

// printer writes for the goroutine that runs everything: that one must not wait for a reader. What a
// reader does not take in time is dropped.
type printer struct {
	texts   chan string
	flushes chan chan<- struct{}
	failed  chan struct{} // closed when a write has failed: nobody reads any more
}

const (
	maxTexts = 1000
	lastText = 2 * time.Second // what the end waits for a reader
)

func newPrinter(w io.Writer) *printer {
	p := &printer{texts: make(chan string, maxTexts), flushes: make(chan chan<- struct{}), failed: make(chan struct{})}
	go p.write(w) // until close, or as long as nobody reads what it writes
	return p
}

func (p *printer) write(w io.Writer) {
	broken := false
	put := func(text string) {
		if broken {
			return
		}
		if _, err := io.WriteString(w, text); err != nil {
			broken = true
			close(p.failed)
		}
	}
	for {
		select {
		case text, open := <-p.texts:
			if !open {
				return
			}
			put(text)
		case done := <-p.flushes:
			for len(p.texts) > 0 {
				put(<-p.texts)
			}
			close(done)
		}
	}
}

func (p *printer) print(text string) {
	select {
	case p.texts <- text:
	default:
	}
}

// flush returns when everything is written, or the reader is too slow.
func (p *printer) flush() {
	done := make(chan struct{})
	limit := time.After(lastText)
	select {
	case p.flushes <- done:
	case <-limit:
		return
	}
	select {
	case <-done:
	case <-limit:
	}
}

// close writes what is left, as far as somebody reads it.
func (p *printer) close() {
	p.flush()
	close(p.texts)
}
