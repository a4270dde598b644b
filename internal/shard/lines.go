package shard

import "sync"

// Lines are what waits to be sent together, in a line for each shard: one that does not
// answer holds up no other. What comes while something is being sent goes after it, all at once. So a
// lone one waits for nobody, and many cost the server a few calls.
type Lines[T any] struct {
	mu    sync.Mutex // guards what follows
	lines map[*Shard]*line[T]
}

type line[T any] struct {
	waiting []waiting[T]
	room    []waiting[T] // of waiting, when that was empty last
	senders int
}

type waiting[T any] struct {
	what  T
	bytes int
}

// A batch has so many at most, and so many bytes: a server does nothing else meanwhile.
const (
	LineBatch = 64
	LineBytes = 48 << 10
)

// LineSenders is how many batches of a line are under way at a time.
const LineSenders = 4

// Add puts something into the line of a key of the class. Where somebody is to send it, next is not nil: it gives one
// batch after the other, until there is none.
func (q *Lines[T]) Add(k *Class, full string, what T, bytes int) (next func() []T) {
	sh := k.st.of(full)
	if !q.add(sh, waiting[T]{what, bytes}) {
		return nil
	}
	return func() []T { return q.next(sh) }
}

func (q *Lines[T]) add(sh *Shard, w waiting[T]) (sends bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.lines[sh]
	if l == nil {
		if l = new(line[T]); q.lines == nil {
			q.lines = map[*Shard]*line[T]{}
		}
		q.lines[sh] = l
	}
	if len(l.waiting) == 0 {
		l.waiting = l.room
	}
	if l.waiting = append(l.waiting, w); len(l.waiting) == 1 && cap(l.waiting) <= LineBatch {
		l.room = l.waiting[:0]
	}
	if l.senders > 0 && (l.senders == LineSenders || len(l.waiting) < LineBatch) {
		return false
	}
	l.senders++
	return true
}

// next takes out a batch. None: whoever calls sends no more.
func (q *Lines[T]) next(sh *Shard) []T {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.lines[sh]
	if len(l.waiting) == 0 {
		if l.senders--; l.senders == 0 && len(q.lines) > 1 { // the one of a lone shard is used again
			delete(q.lines, sh)
		}
		return nil
	}
	n, bytes := 0, 0
	for n < min(len(l.waiting), LineBatch) && (n == 0 || bytes+l.waiting[n].bytes <= LineBytes) {
		bytes += l.waiting[n].bytes
		n++
	}
	batch := make([]T, n)
	for i := range batch {
		batch[i], l.waiting[i] = l.waiting[i].what, waiting[T]{}
	}
	l.waiting = l.waiting[n:]
	return batch
}
