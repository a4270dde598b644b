package backup

import (
	"context"
	"errors"
	"io"
)

// Summary is what a whole file says.
type Summary struct {
	Header   Header
	Sections []Section // the first maxShownSections
	Footer   Footer
	// Expires counts records with an end.
	Expires int64
	// Samples is a record of each RDB version, the smallest one.
	Samples map[int]Record
}

const (
	maxShownSections = 1024
	maxSamples       = 16
)

// Verify reads a file to its end and checks all of it.
func Verify(ctx context.Context, r io.Reader, progress func(records, bytes, total int64)) (Summary, error) {
	s := Summary{Samples: map[int]Record{}}
	in, err := NewReader(r)
	if err != nil {
		return s, err
	}
	for n := 0; ; n++ {
		if n%1024 == 0 && ctx.Err() != nil {
			return s, errInterrupted
		}
		it, err := in.Next()
		if errors.Is(err, io.EOF) {
			return s, nil
		}
		if err != nil {
			return s, err
		}
		s.take(it)
		if progress != nil && it.Record != nil {
			progress(in.Records(), in.Offset(), 0)
		}
	}
}

func (s *Summary) take(it Item) {
	switch {
	case it.Header != nil:
		s.Header = *it.Header
	case it.Section != nil && len(s.Sections) < maxShownSections:
		s.Sections = append(s.Sections, *it.Section)
	case it.Footer != nil:
		s.Footer = *it.Footer
	case it.Record != nil:
		if it.Record.ExpireAt > 0 {
			s.Expires++
		}
		s.sample(*it.Record)
	}
}

// sample keeps the smallest record of its RDB version.
func (s *Summary) sample(r Record) {
	v := r.RDBVersion()
	old, had := s.Samples[v]
	if had && len(old.Payload) <= len(r.Payload) || !had && len(s.Samples) == maxSamples {
		return
	}
	r.Payload = append([]byte(nil), r.Payload...)
	s.Samples[v] = r
}
