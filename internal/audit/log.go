package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Log is an open log. One goroutine writes it.
type Log struct {
	path  string
	queue chan entry

	end           sync.Once
	ending, ended chan struct{}

	lost   atomic.Uint64 // events that are not in the file, so far
	failed atomic.Pointer[failure]
	events sync.Map // what -> *atomic.Uint64

	// Of the goroutine.
	f      *os.File
	looked time.Time // when the path was last looked at
	seq    uint64
	prev   string
	told   uint64 // of lost: those that are written down
	cut    bool   // the file does not end with a whole line
}

type entry struct {
	at time.Time
	Event
}

type failure struct {
	at  time.Time
	err error
}

// Open opens a log for appending, and makes it where it is missing. Only one process may
// write it. It goes on with the numbers and the hash of what is there.
func Open(path string) (*Log, error) {
	l := &Log{
		path: path, queue: make(chan entry, mostWaiting),
		ending: make(chan struct{}), ended: make(chan struct{}),
	}
	if err := l.open(); err != nil {
		return nil, err
	}
	go l.run()
	return l, nil
}

// open opens the file that the path leads to now.
func (l *Log) open() error {
	if info, err := os.Stat(l.path); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a file", l.path) // a pipe would hold up whoever opens it
	}
	f, err := os.OpenFile(l.path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("open %s: %w", filepath.Base(l.path), err)
	}
	if err := lock(f); err != nil {
		_ = f.Close() // nothing was written
		return err
	}
	end, err := endOf(f)
	if err != nil {
		_ = f.Close() // nothing was written
		return fmt.Errorf("read the end of %s: %w", filepath.Base(l.path), err)
	}
	l.seq = max(l.seq, end.seq)
	if end.hash != "" {
		l.prev = end.hash
	}
	l.f, l.cut, l.looked = f, end.cut, time.Now()
	return nil
}

// longestLine bounds what is read of an earlier line.
const longestLine = 64 << 10

// ending is how a file ends.
type ending struct {
	hash string // of the last line; "": there is none
	seq  uint64 // of the last line that can be read
	cut  bool   // the last line has no end
}

func endOf(f *os.File) (e ending, _ error) {
	info, err := f.Stat()
	if err != nil {
		return e, err
	}
	tail := make([]byte, min(info.Size(), longestLine))
	if _, err := f.ReadAt(tail, info.Size()-int64(len(tail))); err != nil && !errors.Is(err, io.EOF) {
		return e, err
	}
	if len(tail) == 0 {
		return e, nil
	}
	body, whole := bytes.CutSuffix(tail, []byte("\n"))
	lines := bytes.Split(body, []byte("\n"))
	e.hash, e.cut = hashOf(lines[len(lines)-1]), !whole
	for _, text := range slices.Backward(lines) {
		var l line
		if json.Unmarshal(text, &l) == nil && l.Seq > 0 {
			e.seq = l.Seq
			break
		}
	}
	return e, nil
}

func (l *Log) run() {
	defer close(l.ended)
	for {
		select {
		case e := <-l.queue:
			l.write(e)
		case <-l.ending:
			l.finish()
			return
		}
	}
}

// finish writes what waits, and closes the file.
func (l *Log) finish() {
	for {
		select {
		case e := <-l.queue:
			l.write(e)
			continue
		default:
		}
		break
	}
	l.tellLost(time.Now())
	if l.f != nil {
		_ = l.f.Sync()  // whoever reads it next finds out
		_ = l.f.Close() // see above
	}
}

// lookEvery is how often the path is looked at: a log that was moved away is left, and a new
// one begun.
const lookEvery = time.Second

func (l *Log) write(e entry) {
	if err := l.follow(); err != nil {
		l.fail(err)
		return
	}
	l.tellLost(e.at)
	if err := l.put(e); err != nil {
		l.fail(err)
		return
	}
	l.failed.Store(nil)
}

// follow opens the file that the path leads to, where it is another one now.
func (l *Log) follow() error {
	now := time.Now()
	if l.f != nil && now.Sub(l.looked) < lookEvery {
		return nil
	}
	l.looked = now
	if l.f != nil {
		there, err := os.Stat(l.path)
		mine, err2 := l.f.Stat()
		if err == nil && err2 == nil && os.SameFile(there, mine) {
			return nil
		}
		_ = l.f.Close() // its lines are written
		l.f = nil
	}
	return l.open()
}

// tellLost writes down how many events are missing before this place.
func (l *Log) tellLost(at time.Time) {
	lost := l.lost.Load()
	if lost == l.told || l.f == nil {
		return
	}
	n := int64(lost - l.told)
	if l.put(entry{at, Event{Event: Lost, Outcome: "ok", Count: &n}}) == nil {
		l.told = lost
	}
}

func (l *Log) put(e entry) error {
	text, err := json.Marshal(line{e.at.UTC(), l.seq + 1, e.Event, l.prev})
	if err != nil {
		return err
	}
	whole := append(text, '\n')
	if l.cut {
		whole = append([]byte{'\n'}, whole...)
	}
	n, err := l.f.Write(whole)
	if err != nil {
		if n > 0 { // what is there now is a line that was cut off
			l.reread()
		}
		return err
	}
	l.seq, l.prev, l.cut = l.seq+1, hashOf(text), false
	return nil
}

// reread finds out how the file ends.
func (l *Log) reread() {
	end, err := endOf(l.f)
	if err != nil {
		_ = l.f.Close() // it is opened again
		l.f = nil
		return
	}
	l.cut = end.cut
	if end.hash != "" {
		l.prev = end.hash
	}
}

func (l *Log) fail(err error) {
	l.lost.Add(1)
	l.failed.Store(&failure{time.Now(), err})
}

func (l *Log) count(event string) {
	n, ok := l.events.Load(event)
	if !ok {
		n, _ = l.events.LoadOrStore(event, new(atomic.Uint64))
	}
	n.(*atomic.Uint64).Add(1)
}

// State is how the log does.
type State struct {
	Lost    uint64 // events that are not in the file
	Waiting int
	Err     error // why the last event could not be written; nil: it could
	Since   time.Time
}

// State is how it does now. That of a nil Log is the zero State.
func (l *Log) State() (s State) {
	if l == nil {
		return s
	}
	s.Lost, s.Waiting = l.lost.Load(), len(l.queue)
	if f := l.failed.Load(); f != nil {
		s.Err, s.Since = f.err, f.at
	}
	return s
}

// Events counts the events of one kind so far, written or not.
func (l *Log) Events(kind string) uint64 {
	if l == nil {
		return 0
	}
	n, ok := l.events.Load(kind)
	if !ok {
		return 0
	}
	return n.(*atomic.Uint64).Load()
}

// Kinds are all that can happen.
func Kinds() []string {
	return []string{Started, Stopped, PrefixDeleted, Revoked, RevokedAll, Refused}
}
