package chaos

import (
	"context"
	"io"
	"strings"
	"sync"
	"testing"
	"time"
)

// table is a perfect cache shared by all processes, until it is told to err.
type table struct {
	mu     sync.Mutex
	values map[string]Value
	forget bool // every tenth key of those that are not known before
	undead bool // removes nothing
}

func (p *table) Do(_ context.Context, act Act, key string, v Value) Answer {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case act == Look:
		if held, ok := p.values[key]; ok {
			return Answer{Outcome: Found, Value: held, Source: FromRedis, Fresh: true, Coherent: true}
		}
		return Answer{Outcome: Missing}
	case p.undead && act.deletes(), p.forget && key[0] != KnownSpace && strings.HasSuffix(key, "7"):
	case act == Remove:
		delete(p.values, key)
	case act == RemovePrefix:
		for k := range p.values {
			if strings.HasPrefix(k, key) {
				delete(p.values, k)
			}
		}
	default:
		p.values[key] = v
	}
	return Answer{Outcome: AtMaster}
}

// final is what the table holds.
func (p *table) final(t *Trace, keys []Key) Final {
	f := Final{At: t.Now(), Held: map[Key]Value{}}
	for _, k := range keys {
		f.Held[k] = p.values[k.String()]
	}
	f.Views = []map[Key]Value{f.Held, f.Held}
	return f
}

// run drives two processes on the table, the second over a pipe.
func run(t *testing.T, p *table) (*Trace, Final) {
	t.Helper()
	p.values = map[string]Value{}
	calls, driven := io.Pipe()
	answers, answering := io.Pipe()
	var served sync.WaitGroup
	served.Go(func() {
		if err := Serve(p, calls, answering); err != nil {
			t.Error(err)
		}
		_ = answering.Close()
	})
	remote, done := NewRemote(answers, driven)
	traffic := &Traffic{Trace: NewTrace(), Parties: []Party{p, remote}, Writers: 4, Readers: 1, Every: time.Millisecond, Seed: 1}
	if !traffic.Prepare(t.Context()) {
		t.Fatal("the known keys are not there")
	}
	traffic.Start()
	for traffic.Landed() < 4000 {
		time.Sleep(time.Millisecond)
	}
	traffic.Stop()
	_ = driven.Close()
	served.Wait()
	<-done
	if a := remote.Do(t.Context(), Look, "k0-0", Nothing); a.Outcome != Unsure {
		t.Errorf("a process that is gone answers %v", a.Outcome)
	}
	if a := remote.Do(t.Context(), Put, "k0-0", 1); a.Outcome != Unchanged {
		t.Errorf("a process that is gone answers a write with %v", a.Outcome)
	}
	return traffic.Trace, p.final(traffic.Trace, Keys(traffic.Trace.Events()))
}

func TestTrafficOnAGoodCacheIsFoundGood(t *testing.T) {
	trace, final := run(t, new(table))
	found, figures := Check(trace.Events(), final, Rules{Lag: time.Millisecond})
	if len(found) > 0 {
		t.Errorf("%d violations, the first:\n%s", len(found), Report(found[0], 1, trace.Events(), nil, final))
	}
	if figures.Deletes == 0 || figures.Reads == 0 || figures.Keys < 1000 || len(figures.Excused) > 0 {
		t.Errorf("figures %+v", figures)
	}
}

func TestTrafficOnABadCacheFindsWhatIsBad(t *testing.T) {
	tests := []struct {
		name string
		bad  *table
		want Kind
	}{
		{"it forgets", &table{forget: true}, Lost},
		{"it does not delete", &table{undead: true}, Resurrected},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			trace, final := run(t, tt.bad)
			found, _ := Check(trace.Events(), final, Rules{})
			if n := Tally(found)[tt.want]; n < 10 {
				t.Errorf("found %v", Tally(found))
			}
		})
	}
}

func TestAReportShowsTheKeysCallsAndWhatWasDone(t *testing.T) {
	calls := []Event{did(0, Put, 1, AtMaster, 0, 1), did(1, Remove, 0, InMemory, 50, 51), did(0, Look, 1, Found, 40, 41)}
	other := did(0, Put, 2, AtMaster, 3, 4)
	other.Key.N++
	for range 100 {
		calls = append(calls, did(0, Look, 1, Found, 20, 21))
	}
	final := endsWith(1)
	final.Held[other.Key] = 2
	final.Away[1] = []Span{{45 * ms, 60 * ms}}
	all := append(calls, other)
	found, _ := Check(all, final, Rules{})
	if len(found) != 1 {
		t.Fatalf("found %v", found)
	}
	got := Report(found[0], 42, all, []Note{{44 * ms, "kill -9 of the master"}}, final)
	last := -1
	for _, want := range []string{"resurrected", "seed 42", "v1 → master", "── kill -9", "process 1 has no confirmed master", "remove        s3-7     → memory"} {
		at := strings.Index(got, want)
		if at < last {
			t.Errorf("%q is not where it belongs", want)
		}
		last = at
	}
	if strings.Contains(got, "s3-8") || strings.Count(got, "\n") > reportCalls+4 {
		t.Errorf("it shows too much")
	}
	if t.Failed() {
		t.Log(got)
	}
}

func TestATraceIsBounded(t *testing.T) {
	trace := NewTrace()
	trace.chunks.Store(maxEvents/chunk - 1)
	tape := trace.Tape(0)
	for range chunk {
		tape.Record(Event{})
	}
	if trace.Full() || len(trace.Events()) != chunk {
		t.Errorf("full %v with %d events", trace.Full(), len(trace.Events()))
	}
	tape.Record(Event{})
	if !trace.Full() || len(trace.Events()) != chunk {
		t.Errorf("full %v with %d events", trace.Full(), len(trace.Events()))
	}
}
