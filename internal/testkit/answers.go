package testkit

import (
	"errors"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/internal/chaos"
)

// Receipt is what the checker of a history knows of a write's receipt.
func Receipt(r evercache.Receipt, err error) chaos.Answer {
	if err != nil {
		return chaos.Answer{Outcome: chaos.Unsure}
	}
	return chaos.Answer{Outcome: map[evercache.Durability]chaos.Outcome{
		evercache.Memory: chaos.InMemory, evercache.Journaled: chaos.InJournal,
		evercache.Master: chaos.AtMaster, evercache.Replicated: chaos.AtReplicas,
	}[r.Durability]}
}

// Looked is what the checker knows of a read's answer.
func Looked(e evercache.Entry[string], err error) chaos.Answer {
	switch {
	case errors.Is(err, evercache.ErrNotFound):
		return chaos.Answer{Outcome: chaos.Missing}
	case err != nil:
		return chaos.Answer{Outcome: chaos.Unknown}
	}
	return chaos.Answer{
		Outcome: chaos.Found, Value: chaos.ParseValue(e.Value), Source: chaos.Source(e.Source),
		Age: int32(e.Age.Milliseconds()), Fresh: e.Fresh, Coherent: e.Coherent, Fallback: e.Cause != nil,
	}
}

// Viewed leaves out most of the keys that were written once.
func Viewed(keys []chaos.Key) (some []chaos.Key) {
	for _, k := range keys {
		if k.Space != 'u' || k.N%16 == 0 {
			some = append(some, k)
		}
	}
	return some
}
