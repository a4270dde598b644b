package testkit

import (
	"context"
	"errors"
	"time"

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
		Age: int32(e.Age.Milliseconds()), Fresh: e.Fresh, Coherent: e.Coherent,
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

// Views are what each process answers in the end, of keys that Redis holds like that. A
// process may need as long as its lease to hear of the last changes.
func Views(ctx context.Context, parties []chaos.Party, keys []chaos.Key, held map[chaos.Key]chaos.Value) (all []map[chaos.Key]chaos.Value) {
	deadline := time.Now().Add(3 * time.Second)
	for _, p := range parties {
		view := map[chaos.Key]chaos.Value{}
		for _, k := range keys {
			v, sure := answer(ctx, p, k)
			for v != held[k] && (time.Now().Before(deadline) || !sure && time.Now().Before(deadline.Add(doubted))) {
				time.Sleep(5 * time.Millisecond)
				v, sure = answer(ctx, p, k)
			}
			view[k] = v
		}
		all = append(all, view)
	}
	return all
}

// doubted is for how much longer a process is asked that does not vouch for what it says:
// a busy machine may have it doubt its master again.
const doubted = 30 * time.Second

// answer is what a process says of a key in the end, and whether it vouches for that. One
// that could not ask Redis in time says that it does not know, or what it has and that it is
// stale: it is asked again.
func answer(ctx context.Context, p chaos.Party, k chaos.Key) (v chaos.Value, sure bool) {
	var a chaos.Answer
	for range 20 {
		a = p.Do(ctx, chaos.Look, k.String(), chaos.Nothing)
		if a.Outcome == chaos.Missing || a.Outcome == chaos.Found && a.Fresh {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if a.Outcome != chaos.Found {
		return chaos.Nothing, a.Outcome == chaos.Missing
	}
	return a.Value, a.Coherent || a.Source == chaos.FromRedis
}
