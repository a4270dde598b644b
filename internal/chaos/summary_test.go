package chaos

import (
	"errors"
	"strings"
	"testing"
	"time"
)

var zero = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func at(ms int) time.Time { return zero.Add(time.Duration(ms) * time.Millisecond) }

func wrote(key string, ack Ack, start, end int) Call {
	c := Call{Op: Write, Key: key, Ack: ack, Start: at(start), End: at(end)}
	if !ack.Acknowledged() {
		c.Err = errors.New("no")
	}
	return c
}

// failover is a good one: the old master takes writes until 100, another says
// ROLE master at 500, and the first write lands on it at 550.
func failover() ([]Call, Facts) {
	calls := []Call{
		wrote("a", Landed, 0, 1),
		wrote("b", Landed, 99, 100),
		wrote("c", Kept, 200, 400),
		wrote("d", Landed, 350, 550),
		wrote("e", Landed, 560, 561),
		{Op: Read, Start: at(300), End: at(380)},
	}
	return calls, Facts{Began: at(0), Fault: at(100), Promoted: at(500), Ended: at(600), Unheld: map[string]bool{}}
}

var strict = Limits{
	LongestRead: 100 * time.Millisecond, LongestWrite: 250 * time.Millisecond,
	Gap: 500 * time.Millisecond, Landing: 60 * time.Millisecond,
}

func TestAGoodFailoverKeepsTheLimits(t *testing.T) {
	s := Sum(failover())
	if b := s.Breaches(strict); len(b) > 0 {
		t.Errorf("breaches: %q", b)
	}
	if s.LastOnOld != at(100) || s.FirstOnNew != at(550) || s.Landing != 50*time.Millisecond || s.Gap != 450*time.Millisecond {
		t.Errorf("last on the old %v, first on the new %v, landing %v, gap %v", s.LastOnOld, s.FirstOnNew, s.Landing, s.Gap)
	}
	if s.Writes != 5 || s.LandedWrites != 4 || s.KeptWrites != 1 || s.Reads != 1 {
		t.Errorf("counts: %+v", s)
	}
}

func TestWhatMustNotHappenIsFound(t *testing.T) {
	tests := []struct {
		name   string
		change func([]Call, *Facts) []Call
		want   string
	}{
		{"an acknowledged write is gone", func(c []Call, f *Facts) []Call { f.Unheld["b"] = true; return c }, "1 writes that a master acknowledged are lost"},
		{"a kept write never landed", func(c []Call, f *Facts) []Call { f.Unheld["c"] = true; return c }, "kept for the next master are lost"},
		{"a write failed", func(c []Call, _ *Facts) []Call { return append(c, wrote("x", Failed, 1, 2)) }, "1 of 6 writes failed"},
		{"a write was refused", func(c []Call, _ *Facts) []Call { return append(c, wrote("x", Refused, 1, 2)) }, "1 of 6 writes were refused"},
		{"a read failed", func(c []Call, _ *Facts) []Call {
			return append(c, Call{Err: errors.New("no"), Start: at(1), End: at(2)})
		}, "1 of 2 reads failed"},
		{"a read answered something else", func(c []Call, _ *Facts) []Call { return append(c, Call{Wrong: true, Start: at(1), End: at(2)}) }, "another value"},
		{"a read hung", func(c []Call, _ *Facts) []Call { return append(c, Call{Start: at(1), End: at(200)}) }, "the longest read took"},
		{"a write hung", func(c []Call, _ *Facts) []Call { return append(c, wrote("x", Landed, 1, 590)) }, "the longest write took"},
		{"no write landed at the end", func(c []Call, f *Facts) []Call { f.Ended = at(2000); return c }, "without a landed write"},
		{"no write landed at the beginning", func(c []Call, f *Facts) []Call { f.Began = at(-1000); return c }, "without a landed write"},
		{"the new master got its first write late", func(c []Call, f *Facts) []Call { f.Promoted = at(470); return c }, "from ROLE master"},
		{"nothing landed on a new master", func(c []Call, f *Facts) []Call { f.Promoted = at(590); return c }, "no write landed on another master"},
		{"what landed later was the old master's", func(c []Call, f *Facts) []Call { f.Unheld["d"], f.Unheld["e"] = true, true; return c }, "no write landed on another master"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			calls, f := failover()
			calls = tt.change(calls, &f)
			got := strings.Join(Sum(calls, f).Breaches(strict), "; ")
			if !strings.Contains(got, tt.want) {
				t.Errorf("breaches %q, want %q among them", got, tt.want)
			}
		})
	}
}

func TestAWriteThatWasNeverAcknowledgedIsNotLost(t *testing.T) {
	s := Sum([]Call{wrote("a", Failed, 0, 1), wrote("b", Refused, 0, 1)}, Facts{Unheld: map[string]bool{"a": true, "b": true}})
	if s.Lost() != 0 {
		t.Errorf("lost %d", s.Lost())
	}
}

func TestWhatTheMachineStoleIsNobodysFault(t *testing.T) {
	calls, f := failover()
	f.Stolen = time.Second
	calls = append(calls, wrote("x", Landed, 1, 590))
	if b := Sum(calls, f).Breaches(strict); len(b) > 0 {
		t.Errorf("breaches: %q", b)
	}
}
