package evercache

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"reflect"
	"slices"
	"time"

	"github.com/evercache/evercache/internal/local"
)

// Inspection is what a comparison of memory with Redis has found.
type Inspection struct {
	// Checked entries of memory, coherent ones, were compared with what Redis holds.
	Checked int
	// Wrong of them were still called coherent more than a second after Redis was seen to hold
	// something else. There should be none.
	Wrong int
	// Worst are some of these, at most eight, the longest in memory first.
	Worst []WrongEntry
}

// WrongEntry is an entry that memory has called coherent, and that Redis does not hold.
type WrongEntry struct {
	// Key is the first half of the SHA-256 of the key, in hexadecimal digits.
	Key string
	// Age is how long ago the value was written or loaded.
	Age time.Duration
	// Missing: Redis has no value at all.
	Missing bool
}

const (
	worstShown = 8
	// mostInspected bounds one Inspect.
	mostInspected = 1000
	// mostSampled bounds the entries of memory among which it chooses.
	mostSampled = 1 << 17
	// newsTakes is for how long an entry may be called coherent after Redis has another
	// value (see Entry.Coherent), and a little more.
	newsTakes = 1200 * time.Millisecond
	// soonOver: what ends so soon in memory may have ended in Redis.
	soonOver = 2 * time.Second
)

// Inspect chooses up to most entries of the class at random, of those that memory calls
// coherent, and asks Redis whether it holds the same. What differs is looked at again after
// a second: until then it is within what Entry.Coherent promises. It is a check of evercache by
// itself, and changes nothing. It costs a read of Redis for each entry, and a look at up to
// 131 072 entries of memory; most is at most 1000.
//
// ErrUnavailable: Redis does not answer; what is returned counts what was compared before.
// Options.MemoryOnly has nothing to compare with.
func (c *Cache[V]) Inspect(ctx context.Context, most int) (Inspection, error) {
	var found Inspection
	if c.client.store.Closed() {
		return found, ErrClosed
	}
	if c.client.opts.MemoryOnly {
		return found, nil
	}
	var suspects []suspect
	for _, s := range c.sample(min(most, mostInspected)) {
		seen, err := c.compare(ctx, s.key, s.item)
		if err != nil {
			return c.inspected(found), err
		}
		switch seen {
		case same:
			found.Checked++
		case other, missing:
			suspects = append(suspects, s)
		}
	}
	if len(suspects) == 0 {
		return c.inspected(found), nil
	}
	select {
	case <-time.After(newsTakes):
	case <-ctx.Done():
		return c.inspected(found), context.Cause(ctx)
	}
	for _, s := range suspects {
		seen, err := c.compare(ctx, s.key, s.item)
		if err != nil {
			return c.inspected(found), err
		}
		if seen == changed {
			continue
		}
		found.Checked++
		if seen != same {
			found.Wrong++
			found.Worst = append(found.Worst, WrongEntry{
				Key: digestOf(s.key), Missing: seen == missing,
				Age: time.Duration(c.client.store.Clock.Now() - s.item.Written),
			})
		}
	}
	slices.SortFunc(found.Worst, func(a, b WrongEntry) int { return cmp.Compare(b.Age, a.Age) })
	found.Worst = slices.Clip(found.Worst[:min(len(found.Worst), worstShown)])
	return c.inspected(found), nil
}

// inspected counts it.
func (c *Cache[V]) inspected(found Inspection) Inspection {
	c.client.inspected.Add(uint64(found.Checked))
	c.client.inspectedWrong.Add(uint64(found.Wrong))
	for range found.Wrong {
		c.wrong.note()
	}
	return found
}

// suspect is an entry that memory has.
type suspect struct {
	key  string
	item *local.Item
}

// sample chooses entries that memory calls coherent, each as likely as the others.
func (c *Cache[V]) sample(most int) (chosen []suspect) {
	if most <= 0 {
		return nil
	}
	skip, looked, n := 0, 0, 0
	if all := c.l1.LenOf(c.id); all > mostSampled {
		skip = rand.IntN(all - mostSampled)
	}
	now := c.client.store.Clock.Now()
	for key := range c.l1.Keys(c.id) {
		if skip--; skip >= 0 {
			continue
		}
		if looked++; looked > mostSampled {
			break
		}
		it := c.peek(key)
		if !c.coherent(it, now) {
			continue
		}
		switch n++; {
		case len(chosen) < most:
			chosen = append(chosen, suspect{key, it})
		default:
			if i := rand.IntN(n); i < most {
				chosen[i] = suspect{key, it}
			}
		}
	}
	return chosen
}

// coherent reports whether memory would answer with the item and call it so.
func (c *Cache[V]) coherent(it *local.Item, now int64) bool {
	return it.Fresh(now) && !it.Absent && it.Newer == local.NoNewer && it.FreshUntil-now > int64(soonOver) &&
		now < it.TrustUntil && c.client.vouches(it, SourceMemory, now)
}

// seen is what Redis has of an entry.
type seen uint8

const (
	changed seen = iota // the entry is not what memory has and calls coherent any more
	same                // Redis holds it
	other               // Redis holds another value
	missing             // Redis holds none
)

// compare asks Redis about an entry of memory.
func (c *Cache[V]) compare(ctx context.Context, key string, it *local.Item) (what seen, err error) {
	defer func() {
		if recover() != nil { // the codec: it is its user's
			what, err = changed, nil
		}
	}()
	current := func() bool { return c.peek(key) == it && c.coherent(it, c.client.store.Clock.Now()) }
	if !current() {
		return changed, nil
	}
	a := c.keys.ReadMaster(ctx, c.full(key), c.policy.ReadTimeout)
	switch {
	case ctx.Err() != nil:
		return changed, context.Cause(ctx)
	case a.Away || a.Err != nil:
		return changed, errors.Join(ErrUnavailable, a.Err)
	case a.Waits, a.Apart, !current(): // it changes at this moment
		return changed, nil
	case !a.Found && a.Useless == "":
		return missing, nil
	case a.Found && c.equal(it, a.Data):
		return same, nil
	}
	return other, nil
}

// equal reports whether an item is what Redis holds. A codec may write one value in
// several ways.
func (c *Cache[V]) equal(it *local.Item, data []byte) bool {
	value := valueOf[V](it)
	if encoded, err := c.codec.Encode(value); err == nil && bytes.Equal(encoded, data) {
		return true
	}
	stored, err := decode(c.codec, data)
	return err == nil && reflect.DeepEqual(stored, value)
}

// digestOf is what stands for a key where it may be read by others.
func digestOf(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:sha256.Size/2])
}
