package drill

import (
	"math"
	"slices"
	"time"
)

// Client is what a drill cost the callers of one client. Times are in milliseconds.
type Client struct {
	Name string `json:"name"`

	Reads        int     `json:"reads"`
	FailedReads  int     `json:"failedReads"`
	MissingReads int     `json:"missingReads"` // of keys that were written
	MemoryReads  int     `json:"memoryReads"`  // answered from memory
	HitRatio     float64 `json:"hitRatio"`     // of those that were answered
	Writes       int     `json:"writes"`
	FailedWrites int     `json:"failedWrites"`
	KeptWrites   int     `json:"keptWrites"` // acknowledged, and kept for the next master
	Deletes      int     `json:"deletes"`
	FailedDels   int     `json:"failedDeletes"`
	// Lost are acknowledged writes that the masters do not hold, Undone acknowledged deletes whose keys they hold; null:
	// they could not be compared.
	Lost   *int `json:"lost"`
	Undone *int `json:"undone"`

	Read  Latency `json:"read"`
	Write Latency `json:"write"` // deletes too
	// FirstWriteMS is from the trigger to the end of the longest gap between writes that a master took; null: there was none
	// that is worth the name.
	FirstWriteMS *float64 `json:"firstWriteMs"`
	// GapMS is the longest time without a write that a master took, AckGapMS without one that was acknowledged at all.
	GapMS    float64 `json:"gapMs"`
	AckGapMS float64 `json:"ackGapMs"`

	FirstError string   `json:"firstError,omitempty"`
	Series     []Bucket `json:"series"`
}

// Latency is of all calls of a kind, those that failed too.
type Latency struct {
	P50MS float64 `json:"p50Ms"`
	P99MS float64 `json:"p99Ms"`
	MaxMS float64 `json:"maxMs"`
}

// Bucket is what happened in a part of the time.
type Bucket struct {
	AtMS        float64 `json:"atMs"` // since the beginning of the traffic
	Reads       int     `json:"reads"`
	FailedReads int     `json:"failedReads"` // and those that found nothing
	MemoryReads int     `json:"memoryReads"`
	Landed      int     `json:"landed"` // writes and deletes that a master took
	Kept        int     `json:"kept"`
	Failed      int     `json:"failed"`
}

// leastGap is more than lies between two writes by the pace of the traffic.
const leastGap = 100 * time.Millisecond

// buckets is how many parts the time has.
const buckets = 120

// count makes figures of calls, which are sorted by time. pulled is when the set was broken; negative: it was not.
func count(name string, calls []Call, pulled, whole time.Duration) Client {
	c := Client{Name: name, Series: series(calls, whole)}
	var reads, writes []time.Duration
	var landed, acked []time.Duration
	memory := 0
	for _, call := range calls {
		if call.Op == Read {
			reads = append(reads, call.Took)
			c.read(call.Result)
			if call.Result == Memory {
				memory++
			}
			continue
		}
		writes = append(writes, call.Took)
		c.write(call)
		if call.Result == Answered {
			landed = append(landed, call.At+call.Took)
		}
		if call.Result == Answered || call.Result == Memory {
			acked = append(acked, call.At+call.Took)
		}
	}
	if answered := c.Reads - c.FailedReads - c.MissingReads; answered > 0 {
		c.HitRatio = math.Round(1000*float64(memory)/float64(answered)) / 1000
	}
	c.Read, c.Write = latency(reads), latency(writes)
	gap, end := longestGap(landed, whole)
	c.GapMS = millis(gap)
	ackGap, _ := longestGap(acked, whole)
	c.AckGapMS = millis(ackGap)
	if pulled >= 0 && gap >= leastGap && end >= pulled && end < whole {
		c.FirstWriteMS = new(millis(end - pulled))
	}
	return c
}

func (c *Client) read(r Result) {
	c.Reads++
	switch r {
	case Failed:
		c.FailedReads++
	case Missing:
		c.MissingReads++
	case Memory:
		c.MemoryReads++
	}
}

func (c *Client) write(call Call) {
	all, failed := &c.Writes, &c.FailedWrites
	if call.Op == Delete {
		all, failed = &c.Deletes, &c.FailedDels
	}
	*all++
	switch call.Result {
	case Failed:
		*failed++
	case Memory:
		c.KeptWrites++
	}
}

func latency(all []time.Duration) Latency {
	if len(all) == 0 {
		return Latency{}
	}
	slices.Sort(all)
	at := func(share float64) float64 { return millis(all[int(math.Ceil(share*float64(len(all))))-1]) }
	return Latency{P50MS: at(0.5), P99MS: at(0.99), MaxMS: at(1)}
}

// longestGap is the longest time without one of some moments, and when it ended. The end of the whole counts as one.
func longestGap(ends []time.Duration, whole time.Duration) (gap, end time.Duration) {
	slices.Sort(ends)
	before := time.Duration(0)
	for _, at := range append(ends, max(whole, before)) {
		if at-before > gap {
			gap, end = at-before, at
		}
		before = max(before, at)
	}
	return gap, end
}

// series counts the calls by when they ended.
func series(calls []Call, whole time.Duration) []Bucket {
	if whole <= 0 {
		return []Bucket{}
	}
	all := make([]Bucket, buckets)
	for i := range all {
		all[i].AtMS = millis(whole * time.Duration(i) / buckets)
	}
	for _, c := range calls {
		i := min(int(buckets*(c.At+c.Took)/whole), buckets-1)
		all[max(i, 0)].add(c)
	}
	return all
}

func (b *Bucket) add(c Call) {
	if c.Op == Read {
		b.Reads++
		switch c.Result {
		case Failed, Missing:
			b.FailedReads++
		case Memory:
			b.MemoryReads++
		}
		return
	}
	switch c.Result {
	case Answered:
		b.Landed++
	case Memory:
		b.Kept++
	default:
		b.Failed++
	}
}
