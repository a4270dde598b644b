// Package page is the status page of the daemon: the files that a browser loads, and the
// values that it shows. The page asks nothing from anywhere else, and changes nothing.
package page

import (
	"embed"
	"encoding/json"
	"runtime"
	"time"

	"github.com/evercache/evercache/stats"
)

//go:embed files/*
var files embed.FS

// types are the files, and what they are.
var types = map[string]string{
	"index.html": "text/html; charset=utf-8",
	"app.css":    "text/css; charset=utf-8",
	"app.js":     "text/javascript; charset=utf-8",
	"draw.js":    "text/javascript; charset=utf-8",
	"icon.svg":   "image/svg+xml",
}

// Names lists the files.
func Names() []string {
	names := make([]string, 0, len(types))
	for name := range types {
		names = append(names, name)
	}
	return names
}

// File is one of them; ok is false where there is none of that name.
func File(name string) (content []byte, contentType string, ok bool) {
	contentType, ok = types[name]
	if !ok {
		return nil, "", false
	}
	content, err := files.ReadFile("files/" + name)
	return content, contentType, err == nil
}

// Policy is the Content-Security-Policy of the page: nothing comes from elsewhere, nothing
// is in a frame, and text never becomes HTML.
const Policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"

// Snapshot is what the page shows at one moment.
type Snapshot struct {
	At      time.Time       `json:"at"`
	Version string          `json:"version"`
	Started time.Time       `json:"started"`
	Health  json.RawMessage `json:"health"` // as /health has it
	Memory  memory          `json:"memory"`
	Reads   reads           `json:"reads"`
	Loads   loads           `json:"loads"`
	Redis   redis           `json:"redis"`
	// DegradedSeconds is for how long Redis was away since the start.
	DegradedSeconds float64 `json:"degradedSeconds"`
	Goroutines      int     `json:"goroutines"`
}

type memory struct {
	Entries  int   `json:"entries"`
	Bytes    int64 `json:"bytes"`
	Capacity int64 `json:"capacity"`
}

// reads counts callers' reads by who answered.
type reads struct {
	Memory uint64 `json:"memory"`
	Stale  uint64 `json:"stale"` // of memory, past their life
	Redis  uint64 `json:"redis"`
	Misses uint64 `json:"misses"`
	Errors uint64 `json:"errors"`
}

type loads struct {
	OK        uint64 `json:"ok"`
	Failed    uint64 `json:"failed"`
	InFlight  int64  `json:"inFlight"`
	Shared    uint64 `json:"shared"` // callers that waited for another's load
	Paused    uint64 `json:"paused"`
	Refreshed uint64 `json:"refreshed"`
}

// redis is how Redis has answered since the start.
type redis struct {
	Requests uint64 `json:"requests"`
	Errors   uint64 `json:"errors"`
	// MedianMs and P99Ms are upper bounds: ends of buckets. Null: nothing was asked.
	MedianMs *float64 `json:"medianMs"`
	P99Ms    *float64 `json:"p99Ms"`
}

// Take makes a Snapshot of what is known now.
func Take(now, started time.Time, version string, health json.RawMessage, s stats.Snapshot) Snapshot {
	snap := Snapshot{
		At: now.UTC(), Version: version, Started: started.UTC(), Health: health,
		Memory:          memory{s.L1Entries, s.L1Bytes, s.L1CapacityBytes},
		Reads:           readsOf(s.Requests),
		DegradedSeconds: s.Degraded.Seconds(),
		Goroutines:      runtime.NumGoroutine(),
	}
	snap.Loads = loads{InFlight: s.LoadsInFlight, Shared: s.LoadsCoalesced, Paused: s.LoadsPaused, Refreshed: s.LoadsRefreshed}
	for result, n := range s.Loads {
		switch result {
		case "ok", "not_found":
			snap.Loads.OK += n
		default:
			snap.Loads.Failed += n
		}
	}
	for _, outcomes := range s.RedisRequests {
		for outcome, n := range outcomes {
			snap.Redis.Requests += n
			if outcome != "ok" {
				snap.Redis.Errors += n
			}
		}
	}
	snap.Redis.MedianMs, snap.Redis.P99Ms = quantile(s.RedisDurations, 0.5), quantile(s.RedisDurations, 0.99)
	return snap
}

func readsOf(counts []stats.RequestCount) (r reads) {
	for _, c := range counts {
		if c.Op != stats.OpGet && c.Op != stats.OpLookup {
			continue
		}
		switch {
		case c.Result == stats.ResultError || c.Result == stats.ResultRejected:
			r.Errors += c.Count
		case c.Result == stats.ResultMiss:
			r.Misses += c.Count
		case c.Tier == stats.TierL2:
			r.Redis += c.Count
		default:
			r.Memory += c.Count
			if c.Result == stats.ResultStale {
				r.Stale += c.Count
			}
		}
	}
	return r
}

// quantile is the end of the bucket that a share q lies in or below, in milliseconds. Beyond
// the last bound it is that bound.
func quantile(h stats.Histogram, q float64) *float64 {
	var all, below uint64
	for _, n := range h.Counts {
		all += n
	}
	if all == 0 || len(h.Bounds) == 0 {
		return nil
	}
	for i, n := range h.Counts {
		if below += n; float64(below) >= q*float64(all) {
			ms := h.Bounds[min(i, len(h.Bounds)-1)] * 1000
			return &ms
		}
	}
	return nil
}
