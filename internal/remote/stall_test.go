package remote

import (
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

func TestStallsCountWhereTheyAreWithin(t *testing.T) {
	const ms = time.Millisecond
	zero := time.Unix(1000, 0)
	at := func(d time.Duration) time.Time { return zero.Add(d) }
	var s stalls
	if got := s.between(zero, at(time.Hour)); got != 0 {
		t.Errorf("without a tick: %v", got)
	}
	for i := range 2 * len(s.last) { // what is old is forgotten
		s.await(at(time.Duration(i) * time.Second))
		if !s.woke(at(time.Duration(i)*time.Second + 80*ms)) {
			t.Fatal("there was no stall")
		}
	}
	s.await(at(time.Hour))
	last := time.Duration(2*len(s.last)-1) * time.Second
	for _, tt := range []struct {
		name           string
		from, to, want time.Duration
	}{
		{"all of one", last - ms, last + 100*ms, 80 * ms},
		{"its beginning", last - ms, last + 20*ms, 20 * ms},
		{"its end", last + 50*ms, last + 100*ms, 30 * ms},
		{"within it", last + 50*ms, last + 60*ms, 10 * ms},
		{"two of them", last - time.Second, last + 100*ms, 160 * ms},
		{"after them", last + 80*ms, last + 90*ms, 0},
		{"forgotten", 0, 100 * ms, 0},
		{"a tick that is overdue", time.Hour - ms, time.Hour + 40*ms, 40 * ms},
		{"a tick that is hardly late", time.Hour - ms, time.Hour + leastStall - 1, 0},
	} {
		if got := s.between(at(tt.from), at(tt.to)); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
	if s.woke(at(time.Hour + leastStall - 1)) {
		t.Error("a tick that is hardly late is a stall")
	}
	if got := s.between(at(time.Hour), at(time.Hour+40*ms)); got != 0 {
		t.Errorf("%v of a tick that came", got)
	}
}

// Nobody wakes where no answer is due, or none can come.
func TestTicksEndWithTheAnswers(t *testing.T) {
	for name, end := range map[string]func(*greeting){
		"answered":     func(g *greeting) { g.answered.Store(1) },
		"read":         func(g *greeting) { _, _ = g.Read(make([]byte, 1)) },
		"not written":  func(g *greeting) { _, _ = g.Write([]byte(ping + ping)) },
		"closed":       func(g *greeting) { _ = g.Close() },
		"closed later": func(g *greeting) { (&wire{Client: nopClient{}, raw: nowhere{}, conn: g}).abandon() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := &greeting{Conn: nowhere{}, asking: guard{ours: true}}
				if _, err := g.Write([]byte(ping)); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second)
				if !g.stalls.watched.Load() {
					t.Fatal("an answer is due and nobody wakes")
				}
				end(g)
				time.Sleep(2 * tick)
				synctest.Wait()
				if g.stalls.watched.Load() {
					t.Error("no answer is due, and somebody wakes")
				}
			})
		})
	}
}

const ping = "*1\r\n$4\r\nPING\r\n"

// nowhere takes one command, and is over then.
type nowhere struct{ net.Conn }

func (nowhere) Read([]byte) (int, error) { return 0, io.EOF }
func (nowhere) Close() error             { return nil }
func (nowhere) Write(p []byte) (int, error) {
	if len(p) > len(ping) {
		return 0, io.ErrClosedPipe
	}
	return len(p), nil
}
