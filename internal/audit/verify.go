package audit

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// Summary is what a log holds.
type Summary struct {
	Lines       int
	First, Last uint64 // the numbers of its first and last line
	From, To    time.Time
	Lost        int64 // events that the log itself says are missing
	Cut         int   // lines that were cut off when a process or its machine died
	// Begins is the hash that the first line names as that of the line before it; "": none was.
	Begins string
	// Ends is the hash of the last line.
	Ends string
}

// BrokenError says where a log is not as it was written.
type BrokenError struct {
	Line int // from 1
	Why  string
}

func (e *BrokenError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Why) }

// Verify reads a log and checks that no line was changed, taken out or put in. It cannot tell
// whether lines are missing at its end or its last line was changed, and who can write the
// file can write the whole chain anew: keep copies of the last hash elsewhere, and look for
// them with VerifyEach.
func Verify(r io.Reader) (Summary, error) { return VerifyEach(r, func(string) {}) }

// VerifyEach is Verify, and tells the hash of each line.
func VerifyEach(r io.Reader, tell func(hash string)) (s Summary, err error) {
	lines := bufio.NewReaderSize(r, 4096)
	var seq uint64
	for n := 1; ; n++ {
		text, err := readLine(lines)
		if errors.Is(err, io.EOF) && len(text) == 0 {
			return s, nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return s, fmt.Errorf("line %d: %w", n, err)
		}
		var l line
		whole := json.Unmarshal(text, &l) == nil && l.Seq > 0
		switch {
		case !whole && err != nil: // at the end of the file
			s.Cut++
			return s, nil
		case !whole && bytes.HasPrefix(text, []byte("{")) && !bytes.HasSuffix(text, []byte("}")):
			s.Cut++
		case !whole:
			return s, &BrokenError{n, "not a line of an audit log"}
		case n > 1 && l.Prev != s.Ends:
			return s, &BrokenError{n, "it does not follow the line before it: a line was changed, taken out or put in"}
		case seq > 0 && l.Seq != seq+1:
			return s, &BrokenError{n, fmt.Sprintf("its number is %d, after %d", l.Seq, seq)}
		}
		if whole {
			s.add(l, n == 1)
			seq = l.Seq
		}
		s.Ends = hashOf(text)
		tell(s.Ends)
		if err != nil {
			return s, nil
		}
	}
}

func (s *Summary) add(l line, first bool) {
	if s.Lines++; s.Lines == 1 {
		s.First, s.From = l.Seq, l.Time
	}
	if first {
		s.Begins = l.Prev
	}
	s.Last, s.To = l.Seq, l.Time
	if l.Event.Event == Lost && l.Count != nil {
		s.Lost += *l.Count
	}
}

var errLong = errors.New("longer than any line of an audit log")

// readLine is a line without its end; io.EOF comes with the last one, where it has no end.
func readLine(r *bufio.Reader) (text []byte, _ error) {
	for {
		part, err := r.ReadSlice('\n')
		text = append(text, part...)
		switch {
		case len(text) > longestLine:
			return nil, errLong
		case errors.Is(err, bufio.ErrBufferFull):
		case err != nil:
			return text, err
		default:
			return text[:len(text)-1], nil
		}
	}
}
