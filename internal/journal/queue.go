package journal

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"
)

// maxQueued bounds what waits for the disk, unless it is one call's records.
const maxQueued = 64 << 20

// batch is what one write and one fsync carry.
type batch struct {
	records []byte
	sync    bool // somebody waits for the fsync
	done    chan struct{}
	err     error // to be read when done is closed
}

func newBatch() *batch { return &batch{done: make(chan struct{})} }

// Commit is what was submitted.
type Commit struct {
	// Seq is the number of the last entry; those before it have the numbers
	// before it. Done wants it.
	Seq uint64

	batch *batch
}

// Wait returns when the entries are on the disk, or when it is known that they
// are not, or when ctx ends: then nobody knows yet, and they may get there.
func (c Commit) Wait(ctx context.Context) error {
	select {
	case <-c.batch.done:
		return c.batch.err
	case <-ctx.Done():
		return fmt.Errorf("wait for the journal: %w", context.Cause(ctx))
	}
}

// Append writes entries and returns when they will survive a crash of the
// machine. All who call at the same time share one write and one fsync. The
// number is valid with every error but ErrFull, ErrTooLarge and ErrClosed, since
// the entries may be found by the next Open all the same: give it to Done.
func (j *Journal) Append(ctx context.Context, entries ...Entry) (seq uint64, err error) {
	c, err := j.Submit(entries...)
	if err != nil {
		return c.Seq, err
	}
	return c.Seq, c.Wait(ctx)
}

// Submit is the first half of Append: it takes the entries' place in the order
// and never waits for the disk. The entries are copied. With an error there is
// nothing to wait for.
func (j *Journal) Submit(entries ...Entry) (Commit, error) { return j.submit(true, entries) }

// AppendLazy is Append for what may be lost in a crash of the machine: it never
// waits. A crash of the process loses only what is still queued: what came within
// the last LazyDelay and the write under way.
func (j *Journal) AppendLazy(entries ...Entry) (seq uint64, err error) {
	c, err := j.submit(false, entries)
	return c.Seq, err
}

// SubmitLazy is AppendLazy for a caller who waits for the write; it is not
// fsynced then.
func (j *Journal) SubmitLazy(entries ...Entry) (Commit, error) { return j.submit(false, entries) }

const (
	// LazyDelay is how long what nobody waits for is gathered: one write to the
	// file then carries many records.
	LazyDelay = 2 * time.Millisecond
	// lazyBytes are written without a delay.
	lazyBytes = 1 << 20
)

// signalLazyLocked asks the writer to write within LazyDelay.
func (j *Journal) signalLazyLocked() {
	if len(j.queue.records) > lazyBytes {
		j.signal()
		return
	}
	select {
	case j.lazy <- struct{}{}:
	default:
	}
}

func (j *Journal) submit(sync bool, entries []Entry) (Commit, error) {
	var size int64
	sums := make([]uint32, len(entries)) // outside of the lock: they cost
	for i, e := range entries {
		if len(e.Key) > MaxKey || e.length() > MaxPayload {
			return Commit{}, ErrTooLarge
		}
		sums[i] = bodySum(j.seed, e)
		size += recordSize(e)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.roomLocked(size, entries); err != nil {
		return Commit{}, err
	}
	if j.failure.err != nil {
		j.noteLocked(entries)
		return Commit{Seq: j.seq}, j.failure.err
	}
	for i, e := range entries {
		j.seq++
		e.Seq = j.seq
		j.index.put(e.Key, item{seq: e.Seq, off: j.end, size: recordSize(e)})
		j.queueLocked(appendRecord(j.queue.records, j.seed, sums[i], typeEntry, e))
	}
	j.queue.sync = j.queue.sync || sync
	if sync {
		j.signal()
	} else {
		j.signalLazyLocked()
	}
	return Commit{Seq: j.seq, batch: j.queue}, nil
}

func recordSize(e Entry) int64 { return recordLen + int64(len(e.Key)) + int64(e.length()) }

// roomLocked reports whether so many bytes more can be taken.
func (j *Journal) roomLocked(size int64, entries []Entry) error {
	live := j.index.bytes + size
	for _, e := range entries {
		live -= j.index.items[e.Key].size
	}
	queued := int64(len(j.queue.records))
	switch {
	case j.closed:
		return ErrClosed
	case live > j.o.MaxBytes:
		return ErrFull
	case j.failure.err == nil && j.end+size > j.maxFile():
		j.signal() // the writer tries to rewrite the file
		return fmt.Errorf("%w until it is rewritten", ErrFull)
	case queued > 0 && queued+size > maxQueued:
		return fmt.Errorf("%w: %d bytes wait for the disk", ErrFull, queued)
	}
	return nil
}

// maxFile is where the file ends even if it cannot be rewritten.
func (j *Journal) maxFile() int64 { return 3*j.o.MaxBytes + 4<<20 }

// noteLocked gives entries numbers while no file can take them: the next fresh
// file will hold them, if the Snapshot does. What the old file has of their keys
// stays known until then.
func (j *Journal) noteLocked(entries []Entry) {
	for _, e := range entries {
		j.seq++
		it, had := j.index.items[e.Key]
		if it.seq = j.seq; !had {
			it.off, it.size = nowhere, recordSize(e)
		}
		j.index.put(e.Key, it)
	}
}

func (j *Journal) queueLocked(records []byte) {
	j.end += int64(len(records) - len(j.queue.records))
	j.queue.records = records
}

func (j *Journal) signal() {
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

// Done says that the entry of key need not be found again, unless it is newer
// than seq. It never waits; a crash may forget it.
func (j *Journal) Done(key string, seq uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return
	}
	it, removed := j.index.remove(key, seq)
	if !removed || it.off == nowhere || j.failure.err != nil || len(j.queue.records) > maxQueued {
		return
	}
	j.seq++
	e := Entry{Key: key, Payload: binary.LittleEndian.AppendUint64(nil, seq), Seq: j.seq}
	if j.end+recordSize(e) > j.maxFile() {
		return
	}
	j.queueLocked(appendRecord(j.queue.records, j.seed, bodySum(j.seed, e), typeDone, e))
	j.signalLazyLocked()
}

// failure is why the journal cannot write.
type failure struct {
	err   error
	since time.Time
	count uint64 // failures so far
	lost  uint64 // entries that were acknowledged and could not be saved
	aside string // the file that was set aside last
}

// Status is what health tells.
type Status struct {
	Err       error     // ErrFailed and its cause; nil: the journal works
	Since     time.Time // when Err began
	Failures  uint64    // so far
	Lost      uint64    // entries that were on the disk once and could not be saved after a failure
	SetAside  string    // the file that was set aside last, in the directory
	Live      int       // entries
	LiveBytes int64
	FileBytes int64
	// Waiting is how long the write under way has taken: a hung disk shows here.
	Waiting time.Duration
}

// Status tells how the journal is. It never waits for the disk.
func (j *Journal) Status() Status {
	j.mu.Lock()
	defer j.mu.Unlock()
	s := Status{
		Err: j.failure.err, Since: j.failure.since, Failures: j.failure.count, Lost: j.failure.lost, SetAside: j.failure.aside,
		Live: len(j.index.items), LiveBytes: j.index.bytes, FileBytes: j.end,
	}
	if !j.busy.IsZero() {
		s.Waiting = time.Since(j.busy)
	}
	return s
}
