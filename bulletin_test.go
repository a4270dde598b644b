package evercache

import (
	"slices"
	"testing"
	"time"

	"github.com/evercache/evercache/health"
)

// TestAFindingIsNewsOnceItHasSettled: what comes and goes within a moment is none, and
// what comes again and again is told once a minute.
func TestAFindingIsNewsOnceItHasSettled(t *testing.T) {
	start := time.Unix(1000, 0)
	b := newBulletin()
	for _, step := range []struct {
		at         time.Duration
		now        []string
		news, over []string
	}{
		{0, []string{"a"}, nil, nil},
		{500 * time.Millisecond, nil, nil, nil}, // a start
		{time.Second, []string{"a"}, nil, nil},
		{1500 * time.Millisecond, []string{"a"}, nil, nil},
		{2 * time.Second, []string{"a"}, []string{"a"}, nil},
		{3 * time.Second, []string{"a", "b"}, nil, nil},
		{4 * time.Second, []string{"a", "b"}, []string{"b"}, nil},
		{5 * time.Second, []string{"b"}, nil, []string{"a"}},
		{6 * time.Second, []string{"a", "b"}, nil, nil},
		{8 * time.Second, []string{"a", "b"}, nil, nil}, // told a moment ago
		{63 * time.Second, []string{"a", "b"}, []string{"a"}, nil},
		{64 * time.Second, nil, nil, []string{"a", "b"}},
	} {
		var fs []health.Finding
		for _, code := range step.now {
			fs = append(fs, health.Finding{Code: code})
		}
		news, over := b.next(start.Add(step.at), fs)
		var codes []string
		for _, f := range news {
			codes = append(codes, f.Code)
		}
		if !slices.Equal(codes, step.news) || !slices.Equal(over, step.over) {
			t.Errorf("after %v: news %v, over %v; want %v, %v", step.at, codes, over, step.news, step.over)
		}
	}
}
