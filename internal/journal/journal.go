// Package journal keeps records in a file that survives the crash of the
// process and of the machine: what Append has returned for is found again by
// the next Open, unless something newer with its key or a Done was written.
//
// The file holds records in the order of their numbers. Its newest entry per
// key is live; when more than half of the file is dead, a goroutine copies what
// is live into a second file, which then takes the place of the first. Appends
// go on meanwhile and are held only while the last megabyte is copied.
//
// A file that could not be written or fsynced is never written again: after a
// failed fsync nobody knows which of its pages are on the disk. What is live is
// written to a fresh file, from Options.Snapshot and, where that does not have
// it, from the old file as far as its checksums hold. Until that succeeds the
// journal is failed: it says so, callers get an error at once, and it tries
// again every 10 seconds. For the same reason Open always writes what it found
// to a fresh file, and nothing it returns is in the page cache only.
//
// A file that the path of the directory does not lead to any more (somebody
// removed or moved it) has failed too: no Open would find it. That is looked at
// with every fsync and every 10 seconds; the directory is then made anew.
package journal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Entry is one record.
type Entry struct {
	Kind    byte
	Key     string // at most MaxKey bytes
	Payload []byte // at most MaxPayload bytes, with Rest
	// Rest goes on with the payload, so that it need not be copied to be one with
	// it. What is found has none.
	Rest []byte
	// Seq orders entries, also over restarts; the journal gives it.
	Seq uint64
}

// length is that of the whole payload.
func (e Entry) length() int { return len(e.Payload) + len(e.Rest) }

// Options of Open; the zero value is usable.
type Options struct {
	// MaxBytes bounds what is live. The file is at most three times that and
	// 4 MiB, and while it is rewritten there is a second one. Default 256 MiB.
	MaxBytes int64
	// Snapshot returns what the caller would still replay, the newest entry of
	// each key; Seq is ignored. It is asked after a failure only, from the
	// journal's goroutine, and must not wait for the journal. It must have an
	// entry before Append is called with it. Nil: what cannot be read back from
	// the failed file is lost, and counted.
	Snapshot func() []Entry
	// Recovery, when not nil, is given what is found one entry at a time, so that
	// Open needs no memory for all of it; Open then returns no entries.
	Recovery Recovery
	// Retry is the pause between attempts to leave a failure. Default 10 s.
	Retry time.Duration
	// Log is told of failures and of their end. Default: silent.
	Log *slog.Logger

	wrap func(files) files // for tests that break the disk
}

// Recovery takes what an earlier process has left.
type Recovery interface {
	// Found is called for each entry, newest first.
	Found(Entry)
	// Kept is asked after that for each key: what it denies leaves the file.
	Kept(key string) bool
	// Added are entries that the file gets with what is kept, in one step.
	Added() []Entry
}

func (o Options) withDefaults() Options {
	o.MaxBytes = cmp.Or(o.MaxBytes, 256<<20)
	o.Retry = cmp.Or(o.Retry, 10*time.Second)
	if o.Snapshot == nil {
		o.Snapshot = func() []Entry { return nil }
	}
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	return o
}

func (o Options) open(path string) (files, error) {
	dir, err := openDir(path)
	if err == nil && o.wrap != nil {
		dir = o.wrap(dir)
	}
	return dir, err
}

var (
	// ErrInUse: another process, or another Journal, has the directory open.
	ErrInUse = errors.New("the journal is in use")
	// ErrFull: the entry was not kept. The older entry of its key still is.
	ErrFull = errors.New("the journal is full")
	// ErrTooLarge: the key or the payload is longer than a record can be.
	ErrTooLarge = errors.New("the record is too large for the journal")
	// ErrFailed: the file cannot be written; see Status.
	ErrFailed = errors.New("the journal has failed")
	// ErrClosed: Close was called.
	ErrClosed = errors.New("the journal is closed")
)

// Report is what Open found.
type Report struct {
	Recovered int   // entries
	Torn      int64 // bytes of records that were never acknowledged, cut off the end
	Damage    error // why the file was set aside; nil when it was not
	SetAside  string
}

// Journal is an open journal, safe for concurrent use. One goroutine writes.
type Journal struct {
	o    Options
	path string // of the directory, absolute
	id   id
	seed uint32 // of the checksums

	wake    chan struct{} // there may be something in the queue
	lazy    chan struct{} // there may be something that nobody waits for
	quit    chan struct{}
	copies  chan *rewrite // from the goroutine that copies, to the writer
	gone    chan struct{} // closed when the writer has ended, with closeErr set
	stop    sync.Once
	copying sync.WaitGroup

	mu      sync.Mutex // guards what follows
	index   index
	seq     uint64
	end     int64 // of the file, once the queue is written
	queue   *batch
	spare   []byte // of a queue that is written
	closed  bool
	busy    time.Time // when the write under way began; zero: none
	failure failure
	report  Report

	// What follows is the writer's own.
	closeErr error // readable once gone is closed
	dir      files
	file     file
	written  int64
	dirty    bool // written since the last fsync
	suspect  bool // the file is to be kept for a look when a fresh one takes its place
	again    <-chan time.Time
	rewrite  *rewrite // under way
	notAgain time.Time
}

// Open opens the journal in dir, which it makes if it is missing, and returns
// what is live in it, oldest first. A damaged file is no error: what can be read
// before the damage is returned, the file is set aside, and Report tells. So is
// a disk on which no fresh file can be made: then Status tells. An error names
// the fault of the directory and its remedy, or is ErrInUse.
func Open(dir string, o Options) (*Journal, []Entry, error) {
	path, err := filepath.Abs(dir)
	if err != nil {
		return nil, nil, notWritable(dir, err)
	}
	o = o.withDefaults()
	fs, err := o.open(path)
	if err != nil {
		return nil, nil, err
	}
	j := &Journal{
		o: o, dir: fs, path: path,
		wake: make(chan struct{}, 1), lazy: make(chan struct{}, 1), quit: make(chan struct{}), copies: make(chan *rewrite, 1), gone: make(chan struct{}),
		index: index{items: map[string]item{}}, queue: newBatch(),
	}
	entries, err := j.load()
	if err != nil {
		return nil, nil, errors.Join(notWritable(dir, err), fs.Close())
	}
	if o.Recovery != nil {
		entries = nil
		added := j.recover(o.Recovery)
		if _, err := j.renew(func() []Entry { return added }); err != nil {
			j.fail(err)
		}
		go j.run()
		return j, nil, nil
	}
	if _, err := j.renew(func() []Entry { return entries }); err != nil {
		j.fail(err)
	}
	go j.run() // Close ends it and waits
	return j, entries, nil
}

// load reads the present file into the index. That the file may not be opened is
// an error: it is somebody else's, and nothing says that it is damaged.
func (j *Journal) load() ([]Entry, error) {
	_ = j.dir.Remove(rewriteName)
	old, size, err := openOld(j.dir)
	found := found{id: newID()}
	switch {
	case errors.Is(err, os.ErrPermission):
		return nil, err
	case err != nil:
		found.damage = err
	case old != nil:
		read := scan
		if j.o.Recovery != nil {
			read = scanPlaces
		}
		found = read(sequential(old, size), size)
		j.file, j.written, j.end = old, size, size
	}
	j.id, j.seed, j.seq, j.suspect = found.id, found.id.seed(), found.last, found.damage != nil
	j.report = Report{Recovered: len(found.live), Torn: found.torn, Damage: found.damage}
	entries := make([]Entry, 0, len(found.live))
	for _, p := range found.live {
		j.index.put(p.Key, p.item)
		entries = append(entries, p.Entry)
	}
	return entries, nil
}

func byKey(entries []Entry) map[string]Entry {
	m := make(map[string]Entry, len(entries))
	for _, e := range entries {
		m[e.Key] = e
	}
	return m
}

// Report tells what Open found.
func (j *Journal) Report() Report {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.report
}

// Close writes and fsyncs what is queued, empties the file if nothing in it is
// live, and lets the directory go. A failed journal is given a last chance. If
// the disk hangs longer than ctx, Close returns and the directory stays locked
// until the process ends. Every Close returns the same result.
func (j *Journal) Close(ctx context.Context) error {
	j.stop.Do(func() {
		j.mu.Lock()
		j.closed = true
		j.mu.Unlock()
		close(j.quit)
	})
	select {
	case <-j.gone:
		return j.closeErr
	case <-ctx.Done():
		return fmt.Errorf("close the journal: %w", context.Cause(ctx))
	}
}
