package main

import (
	"sync/atomic"
	"testing"
	"time"
)

func TestRunCountsWhatSucceedsAndWhatFails(t *testing.T) {
	const length = 50 * time.Millisecond // room for a few operations on a machine that is busy
	for _, latency := range []bool{false, true} {
		var calls, odd atomic.Uint64
		s := subject{name: "odd keys", do: func(i int) bool {
			calls.Add(1)
			if latency {
				time.Sleep(10 * time.Microsecond)
			}
			odd.Add(uint64(i % 2))
			return i%2 == 1
		}}
		got := load{order: []uint32{1, 0, 3, 2}, workers: 2, length: length, latency: latency}.run(s)
		if got.Ops == 0 || got.Failed == 0 || got.Ops > odd.Load() || got.Ops+got.Failed > calls.Load() {
			t.Errorf("latency %v: %d succeeded and %d failed of %d, %d of them odd", latency, got.Ops, got.Failed, calls.Load(), odd.Load())
		}
		if timed := got.P50 > 0 && got.P99 >= got.P50; timed != latency {
			t.Errorf("latency %v: p50 %v, p99 %v", latency, got.P50, got.P99)
		}
		if got.Elapsed < length || got.OpsPerSec <= 0 || got.NsPerOp <= 0 {
			t.Errorf("latency %v: %+v", latency, got)
		}
	}
}

func TestWorkerBeginsAgainAfterTheLastKey(t *testing.T) {
	w := worker{load: load{order: []uint32{5, 6, 7}}, at: 2}
	for _, want := range []int{7, 5, 6, 7} {
		if got := w.next(); got != want {
			t.Errorf("next = %d, want %d", got, want)
		}
	}
}
