package journal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"
)

const (
	minDead   = 1 << 20 // bytes: less is not worth a second file
	heldTail  = 1 << 20 // bytes that are copied while appends are held
	maxRounds = 8       // of copying what was appended during the last one
)

var errSource = errors.New("records that are still needed cannot be read")

// rewrite copies what is live into a second file. Of what the current file got
// after the start, all is copied as it is.
type rewrite struct {
	context.Context // ends when the copy is not wanted any more
	cancel          context.CancelFunc

	from   file
	start  int64 // where the current file ended
	upTo   int64 // what of the current file has been copied
	to     appender
	moved  map[int64]int64 // from an old place before start to the one here
	rounds int
	err    error
}

// worthwhile reports whether more than half of a file is dead.
func worthwhile(file, live int64) bool {
	dead := file - headerLen - live
	return dead > minDead && dead > live
}

// startRewrite begins a rewrite if it is worthwhile.
func (j *Journal) startRewrite() {
	if j.rewrite != nil || time.Now().Before(j.notAgain) {
		return
	}
	j.mu.Lock()
	begin := j.failure.err == nil && !j.closed && worthwhile(j.end, j.index.bytes)
	var live []keyed
	if begin {
		live = j.index.list()
	}
	j.mu.Unlock()
	if !begin {
		return
	}
	live = slices.DeleteFunc(live, func(k keyed) bool { return k.off == nowhere || k.off >= j.written })
	slices.SortFunc(live, func(a, b keyed) int { return cmp.Compare(a.off, b.off) })
	r := &rewrite{from: j.file, start: j.written, upTo: j.written, moved: make(map[int64]int64, len(live))}
	r.Context, r.cancel = context.WithCancel(context.Background())
	j.rewrite = r
	dir := j.dir // another one may take its place meanwhile
	j.background(r, func() error { return r.copyLive(dir, j.id, live) })
}

// background runs one step of a rewrite beside the writer, which gets it back.
func (j *Journal) background(r *rewrite, step func() error) {
	j.copying.Go(func() {
		if r.err = step(); r.err == nil {
			r.err = r.to.file.Sync()
		}
		j.copies <- r
	})
}

func (r *rewrite) copyLive(dir files, i id, live []keyed) (err error) {
	if r.to.file, err = create(dir, rewriteName); err != nil {
		return err
	}
	if err := r.to.append(fileHeader(i)); err != nil {
		return err
	}
	source := &ahead{from: r.from}
	var buf []byte
	for _, k := range live {
		if r.Err() != nil {
			return context.Cause(r)
		}
		raw, _, err := readRawInto(buf, source, i.seed(), k)
		if err != nil {
			return fmt.Errorf("%w: %w", errSource, err)
		}
		buf = reusable(raw)
		r.moved[k.off] = r.to.end()
		if err := r.to.append(raw); err != nil {
			return err
		}
	}
	return r.to.flush()
}

// copyTail copies what the current file got since the last time.
func (r *rewrite) copyTail(upTo int64) error {
	buf := make([]byte, min(256<<10, upTo-r.upTo))
	for r.upTo < upTo && r.Err() == nil {
		part := buf[:min(int64(len(buf)), upTo-r.upTo)]
		if n, err := r.from.ReadAt(part, r.upTo); n < len(part) {
			return fmt.Errorf("%w: %w", errSource, cmp.Or(err, io.ErrUnexpectedEOF))
		}
		if err := r.to.append(part); err != nil {
			return err
		}
		r.upTo += int64(len(part))
	}
	return cmp.Or(r.Err(), r.to.flush())
}

// copied is the writer's part: another round, or the end. What was queued at the
// start must be in the current file first: of its keys no older entry was copied.
func (j *Journal) copied(r *rewrite) {
	j.flush()
	upTo := j.written
	if r.err == nil && r.Err() == nil {
		if r.rounds++; upTo-r.upTo > heldTail && r.rounds < maxRounds {
			j.background(r, func() error { return r.copyTail(upTo) })
			return
		}
		r.err = j.exchange(r)
		if r.err == nil {
			j.startRewrite() // much may have died meanwhile
			return
		}
	}
	wanted := r.Err() == nil
	j.discard(r)
	if !wanted {
		return
	}
	if errors.Is(r.err, errSource) {
		j.fail(r.err)
		j.heal()
		return
	}
	j.notAgain = time.Now().Add(j.o.Retry)
	j.o.Log.Warn("the journal cannot be rewritten", slog.Any("error", r.err))
}

// exchange copies the rest, while appends wait, and makes the copy the current
// file. An error after that is the journal's failure and not the copy's.
func (j *Journal) exchange(r *rewrite) error {
	if err := r.copyTail(j.written); err != nil {
		return err
	}
	if err := r.to.file.Sync(); err != nil {
		return err
	}
	if err := j.dir.Rename(rewriteName, currentName); err != nil {
		return err
	}
	err := j.dir.Sync()
	_ = r.from.Close()
	r.cancel()
	j.rewrite, j.file, j.written, j.dirty = nil, r.to.file, r.to.off, false
	j.move(r)
	if err != nil {
		j.fail(err)
		j.heal()
	}
	return nil
}

// move tells the index where everything is. What is queued moves with the end.
func (j *Journal) move(r *rewrite) {
	j.mu.Lock()
	defer j.mu.Unlock()
	shift := r.to.off - r.upTo
	for key, it := range j.index.items {
		switch to, ok := r.moved[it.off]; {
		case it.off >= r.start:
			it.off += shift
		case ok:
			it.off = to
		default:
			it.off = nowhere
		}
		j.index.put(key, it)
	}
	j.end += shift
}

// discard forgets a copy.
func (j *Journal) discard(r *rewrite) {
	r.cancel()
	if r.to.file != nil {
		_ = r.to.file.Close()
		_ = j.dir.Remove(rewriteName)
	}
	j.rewrite = nil
}

// dropRewrite ends the rewrite under way and waits for it.
func (j *Journal) dropRewrite() {
	if j.rewrite == nil {
		return
	}
	j.rewrite.cancel()
	j.copying.Wait()
	j.discard(<-j.copies)
}
