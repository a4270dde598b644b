package journal

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// run is the writer: it alone touches the current file.
func (j *Journal) run() {
	defer close(j.gone)
	look := time.NewTicker(j.o.Retry)
	defer look.Stop()
	var due <-chan time.Time
	for {
		select {
		case <-j.wake:
			due = nil
			j.timed(j.flush)
		case <-j.lazy:
			if due == nil {
				due = time.After(LazyDelay)
			}
		case <-due:
			due = nil
			j.timed(j.flush)
		case r := <-j.copies:
			j.timed(func() { j.copied(r) })
		case <-j.again:
			j.timed(j.heal)
		case <-look.C:
			j.timed(j.look)
		case <-j.quit:
			j.closeErr = j.shutdown()
			return
		}
	}
}

// timed lets Status tell how long step takes.
func (j *Journal) timed(step func()) {
	mark := func(at time.Time) {
		j.mu.Lock()
		j.busy = at
		j.mu.Unlock()
	}
	mark(time.Now())
	step()
	mark(time.Time{})
}

// flush writes what is queued: all of it with one write and at most one fsync.
func (j *Journal) flush() {
	b := j.take()
	if b == nil {
		j.startRewrite()
		return
	}
	err := j.write(b)
	b.err = err
	if err != nil {
		j.fail(err)
		b.err = fmt.Errorf("%w: %w", ErrFailed, err)
	}
	j.spareOf(b)
	close(b.done)
	if err != nil {
		j.heal()
		return
	}
	j.startRewrite()
}

// take takes the queue, if there is anything in it.
func (j *Journal) take() *batch {
	j.mu.Lock()
	defer j.mu.Unlock()
	b := j.queue
	if len(b.records) == 0 && !b.sync {
		return nil
	}
	j.queue = newBatch()
	j.queue.records, j.spare = j.spare, nil
	return b
}

// spareOf keeps b's memory for the next queue but one, unless that is much.
func (j *Journal) spareOf(b *batch) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if cap(b.records) <= 2*lazyBytes {
		j.spare = b.records[:0]
	}
	b.records = nil
}

func (j *Journal) write(b *batch) error {
	if len(b.records) > 0 {
		j.dirty = true
		if _, err := j.file.WriteAt(b.records, j.written); err != nil {
			return err
		}
		j.written += int64(len(b.records))
	}
	if !b.sync {
		return nil
	}
	if err := j.sync(); err != nil {
		return err
	}
	return j.found() // after the fsync: what it calls safe was there then
}

// found fails if no Open would find the current file.
func (j *Journal) found() error {
	if err := cmp.Or(j.dir.Locked(), j.dir.Holds(j.file)); err != nil {
		return fmt.Errorf("%w: %w", errAway, err)
	}
	return nil
}

var errAway = errors.New("the file is not in the journal's directory any more")

// look notices a file that is away although nobody writes.
func (j *Journal) look() {
	if j.failed() != nil {
		return
	}
	if err := j.found(); err != nil {
		j.fail(err)
		j.heal()
	}
}

func (j *Journal) sync() error {
	if !j.dirty {
		return nil
	}
	if err := j.file.Sync(); err != nil {
		return err
	}
	j.dirty = false
	return nil
}

// fail gives the current file up. Who waits is told; heal comes next.
func (j *Journal) fail(err error) {
	j.suspect = j.suspect || !noSpace(err)
	j.again = time.After(j.o.Retry)
	if j.rewrite != nil {
		j.rewrite.cancel()
	}
	j.mu.Lock()
	b := j.queue
	j.queue, j.end = newBatch(), j.written
	j.failure.err = fmt.Errorf("%w: %w", ErrFailed, err)
	j.failure.since = time.Now()
	j.failure.count++
	b.err = j.failure.err
	j.mu.Unlock()
	close(b.done)
	j.o.Log.Error("the journal cannot be written", slog.Any("error", err))
}

// maxHeals bounds the fresh files that one heal writes because entries came
// while it wrote the one before.
const maxHeals = 10

// heal tries to go on with a fresh file; if that fails, it will be tried again.
// What comes while it writes the last one stays out: its callers have an error.
func (j *Journal) heal() {
	late, err := true, error(nil)
	for n := 0; late && err == nil && n < maxHeals; n++ {
		late, err = j.renew(j.o.Snapshot)
	}
	if err != nil {
		j.again = time.After(j.o.Retry)
		j.mu.Lock()
		j.failure.err = fmt.Errorf("%w: %w", ErrFailed, err)
		j.mu.Unlock()
		return
	}
	j.again = nil
	j.mu.Lock()
	since := j.failure.since
	j.failure.err, j.failure.since = nil, time.Time{}
	j.mu.Unlock()
	j.o.Log.Info("the journal works again", slog.Duration("after", time.Since(since)))
}

// shutdown is the end of the writer.
func (j *Journal) shutdown() error {
	j.dropRewrite()
	switch {
	case j.failed() != nil:
		j.heal()
	case j.Status().Live > 0:
		j.look()
	}
	j.flush()
	j.dropRewrite() // flush may have begun one
	err := j.failed()
	if err == nil {
		err = j.finish()
	} else if j.Status().Live == 0 {
		err = nil // nothing is missing
	}
	if j.file != nil {
		err = errors.Join(err, j.file.Close())
	}
	return errors.Join(err, j.dir.Close())
}

func (j *Journal) failed() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.failure.err
}

// finish leaves on the disk what is live, or an empty file.
func (j *Journal) finish() error {
	if j.Status().Live == 0 && j.written > headerLen {
		if err := j.file.Truncate(headerLen); err != nil {
			return err
		}
		j.dirty = true
	}
	return j.sync()
}
