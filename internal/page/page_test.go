package page

import (
	"encoding/json"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache/stats"
)

func TestEveryFileIsServedAndNothingElse(t *testing.T) {
	var there []string
	entries, err := fs.ReadDir(files, "files")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		there = append(there, e.Name())
	}
	names := Names()
	slices.Sort(names)
	if !slices.Equal(there, names) {
		t.Errorf("there are %v, served are %v", there, names)
	}
	for _, name := range names {
		if content, contentType, ok := File(name); !ok || len(content) == 0 || contentType == "" {
			t.Errorf("%s: %d bytes, %q, %v", name, len(content), contentType, ok)
		}
	}
	for _, name := range []string{"", "../page.go", "files/app.js", "app.js/"} {
		if _, _, ok := File(name); ok {
			t.Errorf("%q is served", name)
		}
	}
}

// Everything comes from the daemon itself, by names that hold behind a proxy with a path of its own.
func TestThePageNeedsNothingFromElsewhere(t *testing.T) {
	outside := regexp.MustCompile(`(?i)(https?:)?//[a-z0-9.-]+\.[a-z]`)
	for _, name := range Names() {
		content, _, _ := File(name)
		text := strings.ReplaceAll(string(content), "http://www.w3.org/2000/svg", "")
		if found := outside.FindString(text); found != "" {
			t.Errorf("%s refers to %q", name, found)
		}
		for _, bad := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "style=\"", "onclick"} {
			if strings.Contains(text, bad) {
				t.Errorf("%s has %s: texts of other machines could become code", name, bad)
			}
		}
	}
	index, _, _ := File("index.html")
	for _, ref := range regexp.MustCompile(`(?:href|src)="(page/[^"]+)"`).FindAllStringSubmatch(string(index), -1) {
		if _, _, ok := File(strings.TrimPrefix(ref[1], "page/")); !ok {
			t.Errorf("index.html refers to %s, which is not served", ref[1])
		}
	}
	if strings.Contains(string(index), `="/`) {
		t.Error("index.html has an absolute path")
	}
}

// What the script fills is in the page.
func TestTheScriptFindsItsPlaces(t *testing.T) {
	index, _, _ := File("index.html")
	script, _, _ := File("app.js")
	for _, id := range regexp.MustCompile(`(?:getElementById|show)\('([a-z-]+)'`).FindAllStringSubmatch(string(script), -1) {
		if !strings.Contains(string(index), `id="`+id[1]+`"`) {
			t.Errorf("app.js fills %q, which index.html does not have", id[1])
		}
	}
}

func TestASnapshotCountsWhoAnswered(t *testing.T) {
	count := func(op stats.Op, tier stats.Tier, r stats.Result, n uint64) stats.RequestCount {
		return stats.RequestCount{Op: op, Tier: tier, Result: r, Count: n}
	}
	s := stats.Snapshot{
		Requests: []stats.RequestCount{
			count(stats.OpGet, stats.TierL1, stats.ResultHit, 1),
			count(stats.OpLookup, stats.TierL1, stats.ResultStale, 2),
			count(stats.OpGet, stats.TierL2, stats.ResultHit, 4),
			count(stats.OpGet, stats.TierNone, stats.ResultMiss, 8),
			count(stats.OpLookup, stats.TierL2, stats.ResultMiss, 16),
			count(stats.OpGet, stats.TierNone, stats.ResultError, 32),
			count(stats.OpLookup, stats.TierNone, stats.ResultRejected, 64),
			count(stats.OpSet, stats.TierL2, stats.ResultOK, 128),
		},
		Loads:         map[string]uint64{"ok": 1, "not_found": 2, "error": 4, "panic": 8, "timeout": 16},
		RedisRequests: map[string]map[string]uint64{"get": {"ok": 5, "error": 1}, "set": {"ok": 2}},
		Degraded:      90 * time.Second,
	}
	got := Take(time.Unix(100, 0), time.Unix(1, 0), "v1", json.RawMessage(`{"status":"up"}`), s)
	if want := (reads{Memory: 3, Stale: 2, Redis: 4, Misses: 24, Errors: 96}); got.Reads != want {
		t.Errorf("reads: %+v, want %+v", got.Reads, want)
	}
	if got.Loads.OK != 3 || got.Loads.Failed != 28 || got.Redis.Requests != 8 || got.Redis.Errors != 1 || got.DegradedSeconds != 90 {
		t.Errorf("%+v", got)
	}
	if got.Redis.MedianMs != nil {
		t.Errorf("a median of nothing: %v", *got.Redis.MedianMs)
	}
	body, err := json.Marshal(got)
	if err != nil || !strings.Contains(string(body), `"health":{"status":"up"}`) || !strings.Contains(string(body), `"medianMs":null`) {
		t.Errorf("%s, %v", body, err)
	}
}

func TestQuantilesAreEndsOfBuckets(t *testing.T) {
	bounds := []float64{0.001, 0.01, 0.1}
	for name, tt := range map[string]struct {
		counts []uint64
		q      float64
		want   float64 // -1: none
	}{
		"nothing":         {[]uint64{0, 0, 0, 0}, 0.5, -1},
		"all in one":      {[]uint64{0, 10, 0, 0}, 0.5, 10},
		"half and half":   {[]uint64{5, 5, 0, 0}, 0.5, 1},
		"the rare one":    {[]uint64{99, 0, 1, 0}, 0.99, 1},
		"the rarer one":   {[]uint64{98, 0, 2, 0}, 0.99, 100},
		"above the bound": {[]uint64{0, 0, 0, 3}, 0.5, 100},
	} {
		got := quantile(stats.Histogram{Bounds: bounds, Counts: tt.counts}, tt.q)
		if (got == nil) != (tt.want < 0) || got != nil && *got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
	if got := quantile(stats.Histogram{}, 0.5); got != nil {
		t.Errorf("without bounds: %v", *got)
	}
}
