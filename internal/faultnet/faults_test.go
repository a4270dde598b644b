package faultnet

import (
	"testing"
	"time"
)

func TestDueKeepsBytesInOrder(t *testing.T) {
	now := time.Unix(1000, 0)
	f := faults{latency: [2]time.Duration{ToTarget: 50 * time.Millisecond}}
	tests := []struct {
		name string
		d    Direction
		prev time.Time
		want time.Time
	}{
		{"delayed", ToTarget, time.Time{}, now.Add(50 * time.Millisecond)},
		{"other direction untouched", ToClient, time.Time{}, now},
		{"behind bytes that are due later", ToTarget, now.Add(time.Second), now.Add(time.Second)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := f.due(tt.d, now, tt.prev); !got.Equal(tt.want) {
				t.Errorf("due = %v, want %v", got, tt.want)
			}
		})
	}
}

func TestSilent(t *testing.T) {
	tests := []struct {
		name               string
		f                  faults
		toTarget, toClient bool
	}{
		{"healthy", faults{}, false, false},
		{"black hole", faults{blackhole: true}, true, true},
		{"half open", faults{half: [2]bool{ToClient: true}}, false, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.f.silent(ToTarget); got != tt.toTarget {
				t.Errorf("silent %v = %v, want %v", ToTarget, got, tt.toTarget)
			}
			if got := tt.f.silent(ToClient); got != tt.toClient {
				t.Errorf("silent %v = %v, want %v", ToClient, got, tt.toClient)
			}
		})
	}
}
