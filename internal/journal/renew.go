package journal

import (
	"cmp"
	"errors"
	"io"
	"log/slog"
	"os"
	"time"
)

// renew puts a fresh file, fsynced, in the place of the current one, with what
// the index says is live: from snapshot, else read back from the current file. It
// is called when nothing is queued and nothing will be: before anybody has the
// journal, and while it is failed. With an error all is as before. It reports
// whether something came too late to be in the fresh file.
func (j *Journal) renew(snapshot func() []Entry) (late bool, err error) {
	j.mu.Lock()
	wanted, last := j.index.list(), j.seq
	j.mu.Unlock()
	have := byKey(snapshot()) // after the list: so it has all that is listed
	if err := j.enter(); err != nil {
		return false, err
	}
	f, err := create(j.dir, freshName)
	if err != nil {
		return false, err
	}
	w := appender{file: f}
	moved, err := j.fill(&w, wanted, have)
	err = cmp.Or(err, w.flush())
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = j.replace()
	}
	if err != nil {
		_ = j.dir.Remove(freshName)
		return false, errors.Join(err, f.Close())
	}
	if j.file != nil {
		_ = j.file.Close() // it was given up, or read only
	}
	j.file, j.written, j.dirty = f, w.off, false
	return j.settle(moved, last), nil
}

// enter opens, and makes if need be, the directory that the path leads to if it
// is not the one that is open.
func (j *Journal) enter() error {
	if j.dir.Locked() == nil {
		return nil
	}
	dir, err := j.o.open(j.path)
	if err != nil {
		return err
	}
	_ = j.dir.Close() // nobody finds it there
	j.dir, j.suspect = dir, true
	return nil
}

// create makes an empty file.
func create(dir files, name string) (file, error) {
	_ = dir.Remove(name)
	return dir.Open(name, os.O_RDWR|os.O_CREATE|os.O_EXCL)
}

// fill writes what is wanted, in its order, and tells where it is.
func (j *Journal) fill(w *appender, wanted []keyed, have map[string]Entry) (map[string]item, error) {
	moved := make(map[string]item, len(wanted))
	if err := w.append(fileHeader(j.id)); err != nil {
		return nil, err
	}
	var source io.ReaderAt
	if j.file != nil {
		source = &ahead{from: j.file}
	}
	var buf, record []byte // used again: what is live may be much
	for _, k := range wanted {
		e, ok := have[k.key]
		if !ok {
			raw, h, err := readRawInto(buf, source, j.seed, k)
			if err != nil {
				continue // settle counts it
			}
			buf = reusable(raw)
			e = Entry{Kind: h.kind, Key: k.key, Payload: raw[recordLen+h.key:]}
		}
		if e.length() > MaxPayload {
			continue
		}
		e.Seq = k.seq
		moved[k.key] = item{seq: k.seq, off: w.end(), size: recordSize(e)}
		record = appendRecord(reusable(record)[:0], j.seed, bodySum(j.seed, e), typeEntry, e)
		if err := w.append(record); err != nil {
			return nil, err
		}
	}
	return moved, nil
}

// reusable is b unless it is so large that it should not be kept.
func reusable(b []byte) []byte {
	if cap(b) > maxReused {
		return nil
	}
	return b
}

// replace makes the fresh file the current one, at once and for good.
func (j *Journal) replace() error {
	if j.suspect {
		j.suspect = false
		aside, err := setAside(j.dir, time.Now())
		if err != nil && !errors.Is(err, os.ErrNotExist) { // what it holds is in the fresh file: go on
			j.o.Log.Warn("the damaged journal could not be kept", slog.Any("error", err))
		}
		j.mu.Lock()
		j.failure.aside = cmp.Or(aside, j.failure.aside)
		if j.report.Damage != nil {
			j.report.SetAside = cmp.Or(j.report.SetAside, aside)
		}
		j.mu.Unlock()
	}
	if err := j.dir.Rename(freshName, currentName); err != nil {
		return err
	}
	return j.dir.Sync()
}

// settle tells the index where everything is. What had a number up to last and
// is not in the file was not to be had; what came later waits for its own fate.
func (j *Journal) settle(moved map[string]item, last uint64) (late bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for key, it := range j.index.items {
		m, ok := moved[key]
		late = late || it.seq > last
		switch {
		case ok:
			it.off, it.size = m.off, m.size
			j.index.put(key, it)
		case it.seq <= last:
			if it.off != nowhere {
				j.failure.lost++
			}
			j.index.remove(key, it.seq)
		}
	}
	j.end = j.written
	return late
}

// appender writes a file from its beginning, a megabyte at a time.
type appender struct {
	file file
	off  int64 // of what is written
	buf  []byte
}

func (a *appender) end() int64 { return a.off + int64(len(a.buf)) }

func (a *appender) append(b []byte) error {
	a.buf = append(a.buf, b...)
	if len(a.buf) < 1<<20 {
		return nil
	}
	return a.flush()
}

func (a *appender) flush() error {
	n, err := a.file.WriteAt(a.buf, a.off)
	a.off += int64(n)
	a.buf = a.buf[:0]
	return err
}
