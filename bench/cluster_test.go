package main

import (
	"context"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/testbed"
)

func TestTablesOnARealCluster(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts a Redis Cluster")
	}
	testbed.NeedRedis(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	w, err := newWorld(ctx, maxGoroutines)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	p := plan{only: regexp.MustCompile("/16/"), repeat: 1, length: 50 * time.Millisecond, told: t.Logf}
	for _, s := range []suite{clusterReads, clusterWrites} {
		cells, err := p.run(ctx, s, w)
		if err != nil {
			t.Fatal(err)
		}
		subjects := map[string]bool{}
		for _, c := range cells {
			name, _, _ := strings.Cut(c.Subject, " ")
			subjects[name] = subjects[name] || len(c.Samples) == 1 && c.Samples[0].Ops > 0 && c.Samples[0].Failed < c.Samples[0].Ops
		}
		if len(cells) != 6 || len(subjects) != 3 {
			t.Errorf("%s: %d cells of %v", s.name, len(cells), subjects)
		}
		for name, worked := range subjects {
			if !worked {
				t.Errorf("%s: %s did not work", s.name, name)
			}
		}
	}
}

func TestWhatPeersWriteIsNotAnnouncedToEvercache(t *testing.T) {
	w := newKeys(maxGoroutines)
	for i, k := range w.peers {
		if strings.HasPrefix(k, class+":") || len(k) != len(w.full[i]) || !strings.HasPrefix(w.full[i], class+":") {
			t.Fatalf("peers write %s, evercache %s: want keys of the same length and different classes", k, w.full[i])
		}
	}
}
