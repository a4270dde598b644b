package main

import (
	"context"
	"runtime"
)

// weight is what an entry takes, in bytes.
type weight struct {
	Subject string  `json:"subject"`
	Process float64 `json:"process"` // of each process
	Redis   float64 `json:"redis"`   // once; 0: it has none
}

func (ls *lists) weigh(ctx context.Context) ([]weight, error) {
	tell("memory")
	var ours snapshot
	if err := ask(ctx, taskSnapshot, ls.place(), &ours); err != nil {
		return nil, err
	}
	filter := each(ls.entries, func() any { return newFilter(ls.entries) })
	return []weight{
		{"evercache", ours.HeapMiB * mib / float64(ls.entries), ls.oursEach},
		{"sync.Map, id to expiry", each(ls.entries, func() any { return newSyncMap(ls.entries) }), 0},
		{"bloom filter, alone", filter, 0},
		{"bloom filter, then EXISTS", filter, ls.keyEach},
		{"EXISTS", 0, ls.keyEach},
	}, nil
}

// each is by how much what is built is more than before, an entry.
func each(entries int, build func() any) float64 {
	before := heap()
	built := build()
	after := heap()
	runtime.KeepAlive(built)
	return (after - before) / float64(entries)
}
