package backup

import (
	"context"
	"fmt"
	"math/rand/v2"
)

// sample is some of the keys that an earlier restore has brought back, as many from each part
// of the file.
type sample struct {
	seen    int
	records []Record // without their payloads
}

const mostSampled = 256

func (s *sample) add(r Record) {
	s.seen++
	r.Payload = nil
	if len(s.records) < mostSampled {
		s.records = append(s.records, r)
	} else if n := rand.IntN(s.seen); n < mostSampled {
		s.records[n] = r
	}
}

// strange reports whether so many keys of a sample are missing that the target is not the one
// that they were brought to. Some are always missing: programs delete keys.
func strange(there, asked int) bool { return asked > 0 && 2*there < asked }

// resumed looks, once, whether the target has what the restore that stopped had brought. It
// may be another one, or may have been emptied: then what is left out would be missing.
func (r *restore) resumed(ctx context.Context) error {
	s := r.before
	if r.before = (sample{}); s.seen == 0 {
		return nil
	}
	if err := r.set.await(ctx, r.Patience); err != nil {
		return err
	}
	there, asked := 0, 0
	for _, rec := range s.records {
		m := r.set.masterOf(rec.Key)
		if rec.ExpireAt > 0 && rec.ExpireAt <= m.now() {
			continue
		}
		replies, err := m.link.Once(ctx, answerLimit, []string{"EXISTS", rec.Key})
		if err == nil {
			err = replies[0].Err
		}
		if unserved(err) {
			continue
		}
		if err != nil {
			return fmt.Errorf("look at what was restored before: %s: %w", m.addr, err)
		}
		asked++
		if n, _ := replies[0].Value.(int64); n > 0 {
			there++
		}
	}
	if strange(there, asked) {
		return &refusal{fmt.Errorf("of %d keys that were restored before, %d are not there: this is another set, or it was emptied. Begin without --resume; keys that are there stay", asked, asked-there)}
	}
	return nil
}
