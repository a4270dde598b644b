package chaos

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"sync"
)

// A process of its own is driven over two pipes, a line each way:
//
//	id act key value            →
//	id outcome value source age fresh coherent fallback  ←
//
// Numbers throughout, except the key. Calls overlap; the id tells them apart.
// The one who drives records: what was under way when the process died has
// failed, and nothing is recorded by a process that may be killed.

// Serve answers calls by asking a party, until in ends.
func Serve(p Party, in io.Reader, out io.Writer) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	var mu sync.Mutex // one line at a time
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		var id uint64
		var act Act
		var key string
		var v Value
		if _, err := fmt.Sscan(lines.Text(), &id, &act, &key, &v); err != nil {
			return fmt.Errorf("chaos: a call that cannot be read: %w", err)
		}
		wg.Go(func() {
			a := p.Do(context.Background(), act, key, v)
			mu.Lock()
			defer mu.Unlock()
			// When nobody listens any more, nobody is there to be told.
			_, _ = fmt.Fprintln(out, id, uint8(a.Outcome), uint32(a.Value), uint8(a.Source), a.Age, a.Fresh, a.Coherent, a.Fallback)
		})
	}
	return lines.Err()
}

// Remote is a party in another process, which runs Serve.
type Remote struct {
	mu      sync.Mutex // guards out and what follows
	out     io.Writer
	next    uint64
	waiting map[uint64]chan Answer
	gone    bool
}

// NewRemote drives the process that reads out and writes in; done is closed
// when in ends.
func NewRemote(in io.Reader, out io.Writer) (r *Remote, done <-chan struct{}) {
	r = &Remote{out: out, waiting: map[uint64]chan Answer{}}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.listen(in)
	}()
	return r, ended
}

func (r *Remote) listen(in io.Reader) {
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		var id uint64
		var outcome, source uint8
		var value uint32
		var a Answer
		if _, err := fmt.Sscan(lines.Text(), &id, &outcome, &value, &source, &a.Age, &a.Fresh, &a.Coherent, &a.Fallback); err != nil {
			continue // cut off in the middle: the call has failed
		}
		a.Outcome, a.Value, a.Source = Outcome(outcome), Value(value), Source(source)
		r.mu.Lock()
		if answer := r.waiting[id]; answer != nil {
			answer <- a
			delete(r.waiting, id)
		}
		r.mu.Unlock()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gone = true
	for id, answer := range r.waiting {
		answer <- Answer{} // nobody knows
		delete(r.waiting, id)
	}
}

// Do calls the process. What it cannot answer any more is Unsure; a write that a
// process which is gone was never told of has changed nothing.
func (r *Remote) Do(ctx context.Context, act Act, key string, v Value) Answer {
	answer := make(chan Answer, 1)
	r.mu.Lock()
	if r.gone {
		r.mu.Unlock()
		if act == Look {
			return Answer{}
		}
		return Answer{Outcome: Unchanged}
	}
	r.next++
	id := r.next
	r.waiting[id] = answer
	_, err := fmt.Fprintln(r.out, id, uint8(act), key, uint32(v))
	r.mu.Unlock()
	if err != nil {
		return Answer{}
	}
	select {
	case a := <-answer:
		return a
	case <-ctx.Done():
		return Answer{}
	}
}
