package main

import (
	"bufio"
	"context"
	"fmt"
	"math"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/evercache/evercache/revoke"
)

// snapshot is what a process that starts found.
type snapshot struct {
	Entries  int     `json:"entries"`
	Seconds  float64 `json:"seconds"`  // from Open to Ready
	HeapMiB  float64 `json:"heapMiB"`  // what it has more then, after a collection
	PeakMiB  float64 `json:"peakMiB"`  // resident, at most; -1 where that cannot be told
	StartMiB float64 `json:"startMiB"` // the same before Open
}

// measureSnapshots starts a process for each repetition.
func (o options) measureSnapshots(ctx context.Context, ls *lists) (all []snapshot, err error) {
	for r := range o.repeat {
		tell("snapshot, repetition %d of %d", r+1, o.repeat)
		var s snapshot
		if err := ask(ctx, taskSnapshot, ls.place(), &s); err != nil {
			return all, err
		}
		if s.Entries != ls.entries {
			return all, fmt.Errorf("a process that says that it is ready has %d entries of %d", s.Entries, ls.entries)
		}
		all = append(all, s)
	}
	return all, nil
}

// takeSnapshot is what such a process does.
func takeSnapshot(ctx context.Context, p place) (s snapshot, err error) {
	before := heap()
	s.StartMiB = peakResident()
	began := time.Now()
	l, err := p.openReady(ctx, revoke.Policy{})
	if err != nil {
		return s, err
	}
	s.Seconds = time.Since(began).Seconds()
	s.PeakMiB = peakResident()
	s.Entries = l.Stats().Entries
	s.HeapMiB = (heap() - before) / mib
	return s, l.close()
}

const mib = 1 << 20

// heap is what is reachable, in bytes.
func heap() float64 {
	runtime.GC()
	runtime.GC() // what the first has only found
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// peakResident is the most memory that this process has had so far, in MiB.
func peakResident() float64 {
	f, err := os.Open("/proc/self/status")
	if err != nil {
		return -1
	}
	defer func() { _ = f.Close() }()
	for s := bufio.NewScanner(f); s.Scan(); {
		if rest, ok := strings.CutPrefix(s.Text(), "VmHWM:"); ok {
			return residentMiB(rest)
		}
	}
	return -1
}

// residentMiB reads "  123456 kB"; -1 when it is something else: JSON has no
// number for that.
func residentMiB(text string) float64 {
	kib, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(text), " kB"), 64)
	if err != nil {
		return -1
	}
	return kib / 1024
}

// orNone is the figure, or not a number where it could not be had.
func orNone(f float64) float64 {
	if f < 0 {
		return math.NaN()
	}
	return f
}
