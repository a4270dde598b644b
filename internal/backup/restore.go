package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/time/rate"

	"github.com/evercache/evercache/internal/censor"
	"github.com/evercache/evercache/internal/survey"
)

// RestoreOptions say how a file is brought back.
type RestoreOptions struct {
	Replace bool // keys that exist are overwritten; else they stay
	// Rate is how many records a second are sent at most; 0: no limit.
	Rate int
	// Patience is how long nothing may get on: no master that takes writes, or replicas
	// that do not follow.
	Patience time.Duration
	// Resume is where a restore of the same file stopped; nil: begin.
	Resume *Place
	// Save, where not nil, is told now and then how far it is.
	Save     func(Place)
	Progress func(records, bytes, total int64)
	Total    int64 // records of the file; 0: not known
	// Notice is told what is worth a line.
	Notice func(string)
}

// DefaultPatience outlasts a failover by far.
const DefaultPatience = 2 * time.Minute

// Counts are what has become of the records.
type Counts struct {
	Restored int64 `json:"restored"`
	Existed  int64 `json:"existed"` // and stayed as they were
	Expired  int64 `json:"expired"`
	Refused  int64 `json:"refused"`
	// FirstRefusal is what the server said.
	FirstRefusal string `json:"first_refusal,omitempty"`
	// Evicted is how many keys the masters have thrown away meanwhile for want of memory.
	Evicted int64 `json:"evicted,omitempty"`
	// Interruptions counts how often the master had to be looked for again.
	Interruptions int `json:"interruptions"`
}

// Records is how many are done.
func (c Counts) Records() int64 { return c.Restored + c.Existed + c.Expired + c.Refused }

// Place is how far a restore is: kept beside the file, so that another can go on.
type Place struct {
	ID     []byte `json:"id"` // of the file
	Counts Counts `json:"counts"`
}

// Restore sends the records of a file to the masters. A record counts when its master has
// acknowledged it and every replica that follows that master has it too: then it survives
// a failover. Where a master is lost, its successor gets again what was not so far.
func Restore(ctx context.Context, t survey.Target, file io.Reader, o RestoreOptions) (Counts, error) {
	r := &restore{RestoreOptions: o, set: newSet(t)}
	defer r.set.close()
	r.set.notice = r.notice
	if o.Resume != nil {
		r.counts = o.Resume.Counts
	}
	if o.Rate > 0 {
		r.limit = rate.NewLimiter(rate.Limit(o.Rate), r.most())
	}
	err := r.run(ctx, file)
	if r.header != nil && r.Save != nil {
		r.Save(r.place())
	}
	return r.counts, err
}

type restore struct {
	RestoreOptions
	set    *set
	header *Header
	counts Counts
	limit  *rate.Limiter // nil: none
	tried  map[int]bool  // RDB versions that the target takes
	saved  time.Time
	bytes  int64
	before sample // of what an earlier restore has done
}

// saveEvery is how often the place is saved.
const saveEvery = time.Second

func (r *restore) place() Place { return Place{ID: r.header.ID, Counts: r.counts} }

// most is how many records are sent at once.
func (r *restore) most() int { return together(r.Rate) }

func (r *restore) run(ctx context.Context, file io.Reader) error {
	in, err := NewReader(file)
	if err != nil {
		return err
	}
	var b batch
	for {
		it, err := in.Next()
		switch {
		case errors.Is(err, io.EOF):
			if err := r.resumed(ctx); err != nil {
				return err
			}
			return r.send(ctx, &b)
		case err != nil:
			return errors.Join(err, r.send(ctx, &b))
		case it.Header != nil:
			if err := r.begin(it.Header); err != nil {
				return err
			}
		case it.Record != nil && in.Records() <= r.skip():
			r.before.add(*it.Record)
		case it.Record != nil:
			if err := r.resumed(ctx); err != nil {
				return err
			}
			if b.full(it.Record.size(), r.most()) {
				if err := r.send(ctx, &b); err != nil {
					return err
				}
			}
			b.add(*it.Record)
		}
	}
}

// skip is how many records were done before.
func (r *restore) skip() int64 {
	if r.Resume == nil {
		return 0
	}
	return r.Resume.Counts.Records()
}

func (r *restore) begin(h *Header) error {
	if r.Resume != nil && string(r.Resume.ID) != string(h.ID) {
		return errors.New("the restore that stopped was of another file: begin without --resume")
	}
	r.header = h
	return nil
}

// send sends a batch until all of it is safe, and counts it.
func (r *restore) send(ctx context.Context, b *batch) error {
	switch {
	case len(b.items) == 0:
		return nil
	case ctx.Err() != nil:
		return errInterrupted
	}
	if r.limit != nil {
		if err := r.limit.WaitN(ctx, len(b.items)); err != nil {
			return errInterrupted
		}
	}
	if err := r.deliver(ctx, b); err != nil {
		return err
	}
	for _, i := range b.items {
		r.count(i)
	}
	r.counts.Evicted += r.set.evicted
	r.set.evicted = 0
	if r.Progress != nil {
		r.Progress(r.counts.Records(), r.bytes, r.Total)
	}
	if r.Save != nil && time.Since(r.saved) > saveEvery {
		r.saved = time.Now()
		r.Save(r.place())
	}
	b.items, b.bytes = b.items[:0], 0
	return nil
}

func (r *restore) count(i item) {
	r.bytes += i.size()
	switch i.got {
	case restored:
		r.counts.Restored++
	case existed:
		r.counts.Existed++
	case expired:
		r.counts.Expired++
	case refused:
		r.counts.Refused++
		if r.counts.FirstRefusal == "" {
			r.counts.FirstRefusal = fmt.Sprintf("record %d: %s", r.counts.Records(), censor.Text(i.why, 200))
		}
	}
}

// deliver tries until the batch is safe, or nothing has got on for so long.
func (r *restore) deliver(ctx context.Context, b *batch) error {
	patient, end := lingering(ctx)
	defer end()
	began := time.Now()
	for {
		err := r.attempt(patient, b)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return errInterrupted
		}
		if final, ok := errors.AsType[*refusal](err); ok {
			return final
		}
		if time.Since(began) > r.Patience {
			return fmt.Errorf("nothing got on for %v: %w; go on with --resume when the masters take writes", r.Patience, err)
		}
		if r.set.connected() { // it was, until now
			r.counts.Interruptions++
			r.notice(fmt.Sprintf("looking for the master again: %s", censor.Text(err.Error(), 300)))
		}
		r.set.close()
		r.tried = nil // the next one may be of another version
		if err := waitABit(ctx); err != nil {
			return err
		}
	}
}

// grace is how long a batch that is under way may take to its end when the restore is to
// stop: then all that was sent is counted.
const grace = 3 * time.Second

// lingering is a context that ends so much later.
func lingering(ctx context.Context) (context.Context, context.CancelFunc) {
	late, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(grace, cancel) })
	return late, func() { stop(); cancel() }
}

func (r *restore) notice(text string) {
	if r.Notice != nil {
		r.Notice(text)
	}
}

// SavePlace writes down how far a restore is, in one piece.
func SavePlace(name string, p Place) error {
	return writeWhole(name, append(encodeMeta(p), '\n'), 0o600)
}
