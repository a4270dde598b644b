package main

import (
	"strings"
	"testing"
	"time"
)

func TestTheCommandLineListsEveryMistake(t *testing.T) {
	_, err := parse([]string{"-callers", "0", "-keys", "0", "-repeat", "0", "-duration", "1ms"})
	for _, want := range []string{"-callers", "-keys", "-repeat", "-duration"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not in %v", want, err)
		}
	}
}

// Every cache has rows, and the database is asked in each phase where it must be.
func TestEveryCacheIsPlayedThroughEveryPhase(t *testing.T) {
	o := options{callers: 20, keys: 5, repeat: 1, phase: 500 * time.Millisecond}
	results := make([][len(phases)][]figures, len(caches))
	for i, c := range caches {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			of, err := o.play(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			for p, f := range of {
				results[i][p] = append(results[i][p], f)
				if f.reads == 0 || f.longest < f.most {
					t.Errorf("%s: %+v", phases[p].name, f)
				}
			}
			if of[0].failed != 0 || of[0].queries == 0 {
				t.Errorf("while the database is well: %+v", of[0])
			}
		})
	}
	t.Cleanup(func() {
		if text := table(results); strings.Count(text, "\n") != 2+len(phases)*len(caches) {
			t.Error(text)
		}
	})
}
