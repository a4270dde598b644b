package backup

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/evercache/evercache/internal/remote"
)

// Schedule takes a backup again and again.
type Schedule struct {
	Dir   string
	Every time.Duration
	Keep  int
	Zip   bool
	// Allow: what is incomplete counts as a success.
	Allow       bool
	MetricsFile string // "": none
	// Of says what its files are of: the mode, the database and which keys. Files of something
	// else are neither counted nor removed. nil: all are its own.
	Of *Header
	// Take makes one file with this name.
	Take func(ctx context.Context, name string) (Result, error)
	Log  func(format string, a ...any)
}

// retryAfter is how long after a failure it is tried again, where Every is longer.
const retryAfter = 5 * time.Minute

// lastSuccess is the name of the file that says when the last backup was complete.
const lastSuccess = "last-success"

// success is its content.
type success struct {
	At time.Time `json:"at"`
	Result
}

// Run goes on until ctx ends. The first backup begins at once. An error means that it
// could not begin.
func (s Schedule) Run(ctx context.Context) error {
	if err := s.prepare(); err != nil {
		return err
	}
	held, err := hold(s.Dir)
	if err != nil {
		return err
	}
	defer held.Close()
	sh := &shelf{dir: s.Dir, allow: s.Allow, of: s.Of}
	was := s.last()
	m := metrics{last: was.At, size: was.Size, took: time.Duration(was.Seconds * float64(time.Second))}
	s.publish(m)
	for began := time.Now(); ; {
		ok := s.once(ctx, sh, &m)
		if ctx.Err() != nil {
			return nil
		}
		s.publish(m)
		next := following(began, time.Now(), s.Every, ok)
		if remote.Pause(ctx, time.Until(next)) != nil {
			return nil
		}
	}
}

// following is when the next backup begins: a multiple of every after the first, without
// those that were missed; sooner after a failure.
func following(first, now time.Time, every time.Duration, ok bool) time.Time {
	next := first.Add(now.Sub(first).Truncate(every) + every)
	if soon := now.Add(retryAfter); !ok && soon.Before(next) {
		return soon
	}
	return next
}

func (s Schedule) prepare() error {
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return err
	}
	f, err := create(filepath.Join(s.Dir, ".writable"))
	if err != nil {
		return fmt.Errorf("the directory cannot be written: %w", err)
	}
	f.abandon()
	return nil
}

// once takes one backup, reads it again, and removes what is not kept any more.
func (s Schedule) once(ctx context.Context, sh *shelf, m *metrics) (ok bool) {
	sh.sweep(time.Now())
	name := filepath.Join(s.Dir, NameAt(time.Now(), s.Zip))
	res, err := s.Take(ctx, name)
	if err == nil && !sh.read(ctx, filepath.Base(name)).whole {
		err = fmt.Errorf("%s was written, and what is read of it is broken", name)
	}
	switch {
	case ctx.Err() != nil:
		s.Log("stopped")
		return false
	case err != nil:
		m.failed++
		s.Log("failed: %v", err)
		return false
	}
	m.size, m.took = res.Size, res.Took
	s.Log("%s: %s", name, res.Text())
	if ok = s.Allow || res.Complete(); ok {
		m.ok++
		m.last = time.Now()
		if err := s.note(res, m.last); err != nil {
			s.Log("%s cannot be written: %v", lastSuccess, err)
		}
	} else {
		m.incomplete++
	}
	p, err := sh.prune(ctx, s.Keep)
	for _, l := range []struct {
		files []string
		what  string
	}{
		{p.removed, "removed: %s"},
		{p.broken, "broken, and not removed: %s: evercache verify says more"},
		{p.ahead, "of a time to come, not counted and not removed: %s: look at the clock, and remove what is not wanted"},
		{p.foreign, "of another set or of other keys, not counted and not removed: %s"},
	} {
		if len(l.files) > 0 {
			s.Log(l.what, list(l.files))
		}
	}
	if err != nil && ctx.Err() == nil {
		s.Log("old files: %v", err)
	}
	return ok
}

// list is some names, as many as fit a line.
func list(names []string) string {
	const most = 5
	if more := len(names) - most; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), more)
	}
	return strings.Join(names, ", ")
}

func (s Schedule) note(res Result, at time.Time) error {
	data, err := json.MarshalIndent(success{At: at.UTC(), Result: res}, "", "  ")
	if err != nil {
		return err
	}
	return writeWhole(filepath.Join(s.Dir, lastSuccess), append(data, '\n'), 0o600)
}

// last is what the file says of the last complete backup; zero: there is none.
func (s Schedule) last() (was success) {
	data, err := os.ReadFile(filepath.Join(s.Dir, lastSuccess))
	if err != nil || json.Unmarshal(data, &was) != nil {
		return success{}
	}
	return was
}

func (s Schedule) publish(m metrics) {
	if s.MetricsFile == "" {
		return
	}
	if err := writeWhole(s.MetricsFile, []byte(m.text()), 0o644); err != nil {
		s.Log("the metrics cannot be written: %v", err)
	}
}

// metrics are what Prometheus is told, by the textfile collector of the node exporter.
type metrics struct {
	last                   time.Time
	size                   int64
	took                   time.Duration
	ok, incomplete, failed int
}

func (m metrics) text() string {
	var b strings.Builder
	gauge := func(name, help string, value float64) {
		fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %s gauge\n%s %v\n", name, help, name, name, value)
	}
	at := 0.0
	if !m.last.IsZero() {
		at = float64(m.last.Unix())
	}
	gauge("evercache_backup_last_success_timestamp_seconds", "When the last complete backup was made, in Unix seconds; 0 for none.", at)
	gauge("evercache_backup_last_size_bytes", "Size of the last backup file.", float64(m.size))
	gauge("evercache_backup_last_duration_seconds", "How long the last backup took.", m.took.Seconds())
	b.WriteString("# HELP evercache_backup_runs_total Backups since the schedule was started, by result: success, incomplete (keys were left out), failure.\n# TYPE evercache_backup_runs_total counter\n")
	for _, r := range []struct {
		result string
		n      int
	}{{"success", m.ok}, {"incomplete", m.incomplete}, {"failure", m.failed}} {
		fmt.Fprintf(&b, "evercache_backup_runs_total{result=%q} %d\n", r.result, r.n)
	}
	return b.String()
}

// Text is the result in one line.
func (r Result) Text() string {
	records := "1 record"
	if r.Records != 1 {
		records = fmt.Sprintf("%d records", r.Records)
	}
	text := fmt.Sprintf("%s, %d bytes in %v", records, r.Size, r.Took.Round(time.Millisecond))
	if r.TooLarge > 0 {
		text += fmt.Sprintf("; left out, because they are larger than --max-value: %d", r.TooLarge)
	}
	if r.Moving > 0 {
		text += fmt.Sprintf("; slots that kept moving, whose keys may be missing: %d", r.Moving)
	}
	return text
}
