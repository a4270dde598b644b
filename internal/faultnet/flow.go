package faultnet

import (
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"
)

const (
	chunkBytes = 16 << 10
	maxChunks  = 256 // at the bound the sender is no longer read, so TCP slows it down
)

// flow is one direction of a link. read takes bytes in and stamps them, write lets them out when
// they are due and the direction is not silent. A flow ends with its sender: by a close, which is
// passed on after the bytes, or by a reset (broken), which is passed on as one.
type flow struct {
	link      *link
	direction Direction
	from, to  *net.TCPConn
	back      *flow // the other direction
	queue     chan chunk
	ended     chan struct{} // closed when read has ended
	broken    atomic.Bool   // the sender did not close but was lost; set before ended closes
}

type chunk struct {
	data []byte
	due  time.Time
}

func newFlow(l *link, d Direction, from *net.TCPConn) *flow {
	return &flow{
		link: l, direction: d, from: from,
		queue: make(chan chunk, maxChunks), ended: make(chan struct{}),
	}
}

// read ends when the sender does, or the link.
func (f *flow) read() {
	defer close(f.queue)
	defer close(f.ended)
	var due time.Time
	buf := make([]byte, chunkBytes)
	for {
		n, err := f.from.Read(buf)
		if n > 0 {
			faults, _ := f.link.proxy.current()
			due = faults.due(f.direction, time.Now(), due)
			if !f.push(chunk{append([]byte(nil), buf[:n]...), due}) {
				return
			}
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				f.broken.Store(true)
			}
			return
		}
	}
}

func (f *flow) push(c chunk) bool {
	select {
	case f.queue <- c:
		return true
	case <-f.link.ctx.Done():
		return false
	}
}

// write ends when the queue is closed and drained, or the link ends.
func (f *flow) write() {
	for c := range f.queue {
		if !f.waitUntil(c.due) || !f.forward(c.data) {
			break
		}
	}
	for range f.queue {
		// What cannot be delivered any more is dropped, so that read never blocks on it.
	}
	f.finish()
}

// waitUntil is false when the link ends first.
func (f *flow) waitUntil(due time.Time) bool {
	d := time.Until(due)
	if d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-f.link.ctx.Done():
		return false
	}
}

// forward writes data, waiting out silences. It is false when data can never arrive: the receiver
// is gone, the link has ended, or the sender was lost during a silence, in which case a wire would
// have had nobody left to retransmit.
func (f *flow) forward(data []byte) bool {
	for len(data) > 0 {
		n, changed, err := f.writeOnce(data)
		data = data[n:]
		switch {
		case err != nil:
			f.back.broken.Store(true) // the receiver's own direction ends by a reset too
			return false
		case changed == nil:
		case !f.outlast(changed):
			return false
		}
	}
	return true
}

// writeOnce writes unless the direction is silent, then it returns the channel that tells of a
// change. A write that a change of the faults interrupts is not an error; it may have written some.
func (f *flow) writeOnce(data []byte) (int, <-chan struct{}, error) {
	p := f.link.proxy
	p.gate.RLock()
	defer p.gate.RUnlock()
	if p.faults.silent(f.direction) {
		return 0, p.changed, nil
	}
	n, err := f.to.Write(data)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = nil
	}
	return n, nil, err
}

// outlast waits in a silence for the next change of the faults. It is false when the link ends
// first or the sender is lost.
func (f *flow) outlast(changed <-chan struct{}) bool {
	select {
	case <-changed:
		return true
	case <-f.ended:
		if f.broken.Load() {
			return false
		}
	case <-f.link.ctx.Done():
		return false
	}
	select { // the sender closed in good order: what it sent is still owed
	case <-changed:
		return true
	case <-f.link.ctx.Done():
		return false
	}
}

// finish passes the sender's end on, as soon as the direction is not silent.
func (f *flow) finish() {
	for {
		changed := f.finishOnce()
		if changed == nil {
			return
		}
		select {
		case <-changed:
		case <-f.link.ctx.Done():
			return
		}
	}
}

// finishOnce ends the receiver's side, unless the direction is silent, then it returns the channel
// that tells of a change. A close leaves the other direction working. A reset closes the
// receiver's connection, which ends the other direction as lost.
func (f *flow) finishOnce() <-chan struct{} {
	p := f.link.proxy
	p.gate.RLock()
	defer p.gate.RUnlock()
	switch {
	case f.link.ctx.Err() != nil: // link.reset ends both sides, with a reset and not a close
	case p.faults.silent(f.direction):
		return p.changed
	case f.broken.Load():
		abort(f.to)
	default:
		_ = f.to.CloseWrite() // fails when the receiver is gone, and then there is nobody to tell
	}
	return nil
}
