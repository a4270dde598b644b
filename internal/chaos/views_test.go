package chaos

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// says is a process that gives these answers, each after a while, and the last one for ever.
type says struct {
	takes   time.Duration
	answers []Answer
}

func (s *says) Do(context.Context, Act, string, Value) Answer {
	time.Sleep(s.takes)
	a := s.answers[0]
	if len(s.answers) > 1 {
		s.answers = s.answers[1:]
	}
	return a
}

func TestOnlyWhatAProcessAnswersWhenAllIsWellIsJudged(t *testing.T) {
	const old, held = Value(1), Value(2)
	coherent := func(v Value) Answer {
		return Answer{Outcome: Found, Value: v, Source: FromRedis, Fresh: true, Coherent: true}
	}
	fallback := Answer{Outcome: Found, Value: old, Source: FromMemory, Fresh: true, Fallback: true}
	stale := Answer{Outcome: Found, Value: old, Source: FromMemory}
	doubted := Answer{Outcome: Found, Value: old, Source: FromMemory, Fresh: true}
	late := hearMost + time.Second
	tests := []struct {
		name    string
		process says
		want    Value
		within  time.Duration
	}{
		{"at once", says{0, []Answer{coherent(held)}}, held, 0},
		{"an older value that it has not heard to be one", says{time.Second, []Answer{coherent(old), coherent(held)}}, held, 3 * time.Second},
		{"an older value for ever", says{time.Second, []Answer{coherent(old)}}, old, hearMost + 2*time.Second},
		{"memory in place of Redis, after all must have heard", says{late, []Answer{fallback, coherent(held)}}, held, 3 * late},
		{"a stale value, after all must have heard", says{late, []Answer{stale, coherent(held)}}, held, 3 * late},
		{"memory, not coherent, after all must have heard", says{late, []Answer{doubted, coherent(held)}}, held, 3 * late},
		{"memory, not coherent, has what Redis holds", says{0, []Answer{{Outcome: Found, Value: held, Source: FromMemory, Fresh: true}}}, held, 0},
		{"nothing, after all must have heard", says{late, []Answer{{}, coherent(held)}}, held, 3 * late},
		{"it has no value", says{late, []Answer{{Outcome: Missing}, coherent(held)}}, Nothing, late},
		{"memory in place of Redis for ever", says{time.Second, []Answer{fallback}}, old, wordMost + 2*time.Second},
		{"nothing for ever", says{time.Second, []Answer{{}}}, Nothing, wordMost + 2*time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k, began := Key{Space: sharedSpace}, time.Now()
				views := Views(t.Context(), []Party{&tt.process}, []Key{k}, map[Key]Value{k: held})
				if len(views) != 1 || views[0][k] != tt.want {
					t.Errorf("%v, want %v", views, tt.want)
				}
				if took := time.Since(began); took > tt.within {
					t.Errorf("it took %v, want %v at most", took, tt.within)
				}
			})
		})
	}
}

// A process that Redis does not answer takes the same time for many keys as for one.
func TestTheWaitForRedisInTheEndIsBoundedForAllKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var keys []Key
		for n := range uint32(100) {
			keys = append(keys, Key{Space: sharedSpace, N: n})
		}
		began := time.Now()
		Views(t.Context(), []Party{&says{answers: []Answer{{}}}, &says{answers: []Answer{{}}}}, keys, nil)
		if took := time.Since(began); took > wordMost+time.Second {
			t.Errorf("it took %v", took)
		}
	})
}
