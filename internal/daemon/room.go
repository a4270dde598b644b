package daemon

import (
	"context"
	"sync"
	"time"
)

// What bodies and answers may hold.
const (
	// freeBytes of each need no room: there are no more of them than connections.
	freeBytes = 4 << 10
	// smallBytes is what goes into the room for small ones.
	smallBytes = 64 << 10
	// roomPatience is how long a body or an answer waits for room.
	roomPatience = time.Second
)

// rooms bound the bytes that bodies and answers under way hold together. Small ones
// have a room of their own, so that a few large ones never hold them up.
type rooms struct{ small, large *room }

func newRooms(bytes int64) *rooms {
	small := min(bytes/4, mostConnections*smallBytes/4)
	return &rooms{small: newRoom(small), large: newRoom(bytes - small)}
}

// take gets room for n bytes on a connection, nil where none is needed. ok is
// false when there was none in time.
func (rs *rooms) take(ctx context.Context, n int64, c *slotConn) (_ *held, ok bool) {
	switch {
	case n <= freeBytes:
		return nil, true
	case n <= smallBytes:
		return rs.small.take(ctx, n, c)
	}
	return rs.large.take(ctx, n, c)
}

// room is so many bytes. Who finds none waits, and meanwhile the connections that
// hold some and are slow are closed, the slowest first. As many bytes again may
// wait.
type room struct {
	size int64

	mu      sync.Mutex // guards what follows
	used    int64
	ending  int64 // of used: of connections that were closed for it
	waiting int64
	holders map[*held]struct{}
	changed chan struct{} // closed when bytes are given back
	refused uint64
}

// held is what one body or answer holds until it gives it back.
type held struct {
	of     *room
	n      int64
	conn   *slotConn // nil: it cannot be closed
	ending bool
}

func newRoom(size int64) *room {
	return &room{size: size, holders: map[*held]struct{}{}, changed: make(chan struct{})}
}

// take: what is larger than the room needs all of it.
func (r *room) take(ctx context.Context, n int64, c *slotConn) (*held, bool) {
	h := &held{of: r, n: min(n, r.size), conn: c}
	if ok, waits := r.enter(h); !waits {
		return h, ok
	}
	defer r.leave(h)
	patience := time.NewTimer(roomPatience)
	defer patience.Stop()
	for {
		changed, ok := r.try(h)
		if ok {
			return h, true
		}
		select {
		case <-changed:
		case <-time.After(lookAround): // somebody may have become slow
		case <-ctx.Done():
			return nil, false
		case <-patience.C:
			r.mu.Lock()
			r.refused++
			r.mu.Unlock()
			return nil, false
		}
	}
}

// enter gets the room at once, or a place among those that wait, or nothing.
func (r *room) enter(h *held) (ok, waits bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.fitLocked(h):
		return true, false
	case r.waiting+h.n > r.size:
		r.refused++
		return false, false
	}
	r.waiting += h.n
	return false, true
}

func (r *room) leave(h *held) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting -= h.n
}

func (r *room) fitLocked(h *held) bool {
	if r.used+h.n > r.size {
		return false
	}
	r.used += h.n
	r.holders[h] = struct{}{}
	return true
}

// try gets the room, or closes those that are slow and says when to try again.
func (r *room) try(h *held) (changed <-chan struct{}, ok bool) {
	r.mu.Lock()
	if r.fitLocked(h) {
		r.mu.Unlock()
		return nil, true
	}
	var slow []*slotConn
	for now := time.Now(); r.used-r.ending+h.n > r.size; {
		s := r.slowestLocked(now)
		if s == nil {
			break
		}
		s.ending = true
		r.ending += s.n
		slow = append(slow, s.conn)
	}
	changed = r.changed
	r.mu.Unlock()
	for _, c := range slow {
		c.endSlow()
	}
	return changed, false
}

// slowestLocked is who has been waited for the longest, if that is too long.
func (r *room) slowestLocked(now time.Time) (slowest *held) {
	var longest time.Duration
	for h := range r.holders {
		if h.ending || h.conn == nil {
			continue
		}
		if d := h.conn.slowFor(now); d > longest {
			slowest, longest = h, d
		}
	}
	return slowest
}

// giveBack may be called for nothing, and again.
func (h *held) giveBack() {
	if h == nil {
		return
	}
	r := h.of
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.holders[h]; !ok {
		return
	}
	delete(r.holders, h)
	r.used -= h.n
	if h.ending {
		r.ending -= h.n
	}
	close(r.changed)
	r.changed = make(chan struct{})
}

func (rs *rooms) state() (used int64, refused uint64) {
	n, no := rs.small.state()
	m, noMore := rs.large.state()
	return n + m, no + noMore
}

func (r *room) state() (used int64, refused uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.used, r.refused
}
