package evercache

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/evercache/evercache/internal/flight"
	"github.com/evercache/evercache/internal/heapsize"
	"github.com/evercache/evercache/internal/local"
	"github.com/evercache/evercache/internal/shard"
)

// Loader gets the value of a key from the origin: a database, another service.
// It returns ErrNotFound (or an error that wraps it) when there is none. Its
// context is not that of any one caller and ends after Policy.LoadTimeout. With that
// context it may read other keys through the cache, but none whose loader waits for
// this one: ErrLoadCycle.
type Loader[V any] func(ctx context.Context, key string) (V, error)

// ManyLoader gets the values of several keys; one that it leaves out of its
// answer does not exist. With an error all keys have failed, and no value that is returned
// beside it is used, unless the error is KeyErrors.
type ManyLoader[V any] func(ctx context.Context, keys []string) (map[string]V, error)

// Cache is one class of keys with values of type V, in two levels: the memory
// of this process over Redis. Reads are answered from memory as long as it is known that
// nobody has changed the key (Policy.L1TTL), then Redis is asked; while Redis is away memory answers
// (Policy.OutageReads), and writes are kept for the next master
// (Policy.OutageWrites). A Cache is safe for concurrent use.
//
// Values are shared between callers unless WithClone is given: do not modify
// what a read returned, nor what a write was given.
type Cache[V any] struct {
	client   *Client
	class    string // with its version: see versioned
	prefix   string // of the class's keys in Redis
	id       uint32
	policy   Policy
	alone    bool // there is no Redis
	trusting bool // no L1TTL was given
	asItIs   bool // see asItIs
	codec    Codec[V]
	clone    func(V) V
	weight   func(V) int // nil: sizer
	sizer    *heapsize.Sizer
	inItem   int // what a value takes in its item
	l1       *local.Store
	flights  *flights[V]
	keys     *shard.Class  // in Redis
	mixed    atomic.Bool   // see mixes
	limiter  *rate.Limiter // of loads in an outage
	guard    *guard        // of loads after failures
	ahead    refreshes
	running  running[V]
	ended    func() bool          // see watchEnd
	filling  shard.Lines[*run[V]] // loaded values on their way to Redis
	faults   []error              // of its options; NewCache refuses them
	unread   unread               // values that do not decode
	unstored happened             // values that do not encode
	wrong    happened             // entries that Inspect has found to be wrong
	tooLong  happened             // loaded ones that Redis must not hold
	tooLarge happened             // loaded ones that nothing can hold
}

// CacheOption changes how a Cache handles its values.
type CacheOption[V any] func(*Cache[V])

// WithCodec stores values in another form than the default: JSON, and []byte
// and string as they are. NewCache does not ask whether the codec brings back all of
// a value.
func WithCodec[V any](codec Codec[V]) CacheOption[V] {
	return func(c *Cache[V]) { c.codec = codec }
}

// WithClone gives every caller a value of its own, and memory one that no
// caller can change.
func WithClone[V any](clone func(V) V) CacheOption[V] {
	return func(c *Cache[V]) {
		c.clone = clone
		c.refuse(clone == nil, "WithClone: nil was given")
	}
}

// WithWeight says what a value costs in memory, in bytes; what an entry costs
// beside it is added. It is called once for each value that is written, read from
// Redis or loaded.
//
// Without it the value is looked at, with all that it refers to: a bound in bytes
// then holds whatever its type. Of a large one only a part is looked at. What
// several values share counts for each, and what is beside a lock in a struct, in a
// function or in a channel does not count: give WithWeight where that matters.
func WithWeight[V any](weight func(V) int) CacheOption[V] {
	return func(c *Cache[V]) {
		c.weight = weight
		c.refuse(weight == nil, "WithWeight: nil was given")
	}
}

// NewCache makes the class's Cache; a Client has at most one for each version of a
// class. The class's name is [a-z0-9][a-z0-9_-]{0,63}. The error lists every fault of
// the policy, of the options, and of V: where values are stored as JSON, which is the
// default, it names what another process would not read as it was written. That are
// fields which are not exported, interfaces, channels, functions and complex numbers. A
// field tagged json:"-" is left out knowingly: another process has its zero value. Types that encode and decode themselves, as JSON or as text,
// are trusted. A different codec (WithCodec) may store any type.
func NewCache[V any](client *Client, class string, p Policy, options ...CacheOption[V]) (*Cache[V], error) {
	if client == nil {
		return nil, errors.New("evercache: NewCache needs a Client")
	}
	trusting := p.L1TTL == 0
	p = p.withDefaults(client.opts)
	name := versioned(class, p.Version)
	c := &Cache[V]{
		client:   client,
		class:    name,
		policy:   p,
		alone:    client.opts.MemoryOnly,
		trusting: trusting,
		codec:    defaultCodec[V](),
		sizer:    heapsize.For[V](),
		inItem:   heapsize.Allocated(local.BytesWith[V]()) - local.Bytes,
		flights:  flight.New[Entry[V], asked](),
		limiter:  outageLimiter(p.OutageLoadRate),
		guard:    newGuard(p.LoadRetryAfter),
	}
	c.keys = client.store.NewClass(name, p.TTL, p.WriteTimeout, hearing[V]{c})
	c.prefix = c.keys.Prefix
	for _, o := range options {
		if o != nil {
			o(c)
		}
	}
	c.asItIs = asItIs(c.codec)
	c.refuse(p.ReplicaReads && !client.opts.ReplicaReads && !client.opts.MemoryOnly, "Policy.ReplicaReads: no replica is read from; set Options.ReplicaReads too")
	c.refuse(p.RefreshAhead != 0 && p.L1TTL == 0, "Policy.RefreshAhead: with L1TTL Never no read is answered from memory, and only such a read starts a refresh; set another L1TTL, or no RefreshAhead")
	if err := c.faultsOf(class); err != nil {
		return nil, err
	}
	if p.ReplicaReads {
		c.keys.ReadReplicas(p.MaxStaleness)
	}
	var err error
	if c.id, c.l1, err = client.register(name, c, p); err != nil {
		return nil, err
	}
	c.ended = c.watchEnd()
	client.store.Subscribe(name, c.keys)
	return c, nil
}

// faultsOf is every fault of the class at once; nil: there is none.
func (c *Cache[V]) faultsOf(class string) error {
	err := errors.Join(append(c.faults, c.policy.validate(), codecFault(c.codec))...)
	bad := ValidClass(class)
	switch {
	case bad == nil && err != nil:
		return fmt.Errorf("evercache: class %s: %w", class, err)
	case err == nil:
		return bad
	}
	return errors.Join(bad, err)
}

// refuse notes a fault of an option.
func (c *Cache[V]) refuse(bad bool, fault string) {
	if bad {
		c.faults = append(c.faults, errors.New(fault))
	}
}

// versioned is what the keys of a version of a class begin with in Redis, and what it
// is called here. No class has an @ in its name, so no two of them share a key, a
// mark or a prefix.
func versioned(class string, version int) string {
	if version == 0 {
		return class
	}
	return class + "@" + strconv.Itoa(version)
}

// Release lets the class go: what memory holds of it is dropped, nothing is changed
// in Redis, and NewCache may make the class again. Calls that are under way end as
// they would; begin no more. It reports false, and does nothing, while writes wait
// for a Redis that is away, and for a class with a memory of its own.
func (c *Cache[V]) Release() bool {
	if c.l1 != c.client.memory || !c.client.release(c.class) {
		return false
	}
	if c.running.idle() {
		c.ended()
	}
	c.dropPrefix("")
	c.l1.Forget(c.id)
	return true
}

func outageLimiter(perSecond int) *rate.Limiter {
	switch perSecond {
	case NoLoads:
		return rate.NewLimiter(0, 0)
	case UnlimitedLoads:
		return rate.NewLimiter(rate.Inf, 0)
	}
	return rate.NewLimiter(rate.Limit(perSecond), perSecond)
}

const maxClassBytes = 64

// ValidClass checks a class's name.
func ValidClass(class string) error {
	ok := len(class) > 0 && len(class) <= maxClassBytes && class[0] != '_' && class[0] != '-'
	for i := 0; ok && i < len(class); i++ {
		ch := class[i]
		ok = ch >= 'a' && ch <= 'z' || ch >= '0' && ch <= '9' || ch == '_' || ch == '-'
	}
	if !ok {
		return fmt.Errorf("evercache: class %.80q: want [a-z0-9][a-z0-9_-]{0,63}", class)
	}
	return nil
}

func validKey(key string) error {
	if key == "" {
		return fmt.Errorf("%w: it is empty", ErrKey)
	}
	if len(key) > MaxKeyBytes {
		return fmt.Errorf("%w: it has %d bytes, at most %d are allowed", ErrKey, len(key), MaxKeyBytes)
	}
	return nil
}

// full is the key as it is in Redis.
func (c *Cache[V]) full(key string) string { return c.prefix + key }

// newItem makes what memory holds of a value that was written age ago and has
// ttl left.
func (c *Cache[V]) newItem(v V, now int64, age, ttl time.Duration) *local.Item {
	it := local.NewItem(v)
	it.Written = now - int64(age)
	it.Size = uint32(max(0, min(c.weigh(v, it), maxWeight)))
	c.live(it, now, ttl)
	return it
}

// maxWeight is below what the memory's sums can hold.
const maxWeight = 1 << 30

// weigh is what a value costs in memory, beside its item.
func (c *Cache[V]) weigh(v V, it *local.Item) int {
	if c.weight != nil {
		return c.weight(v)
	}
	return c.inItem + c.sizer.Beside(local.At[V](it))
}

// live sets how long the item is good for from now. Without an L1TTL of the
// policy's, a coherent item is served for as long as it lives.
func (c *Cache[V]) live(it *local.Item, now int64, ttl time.Duration) {
	it.FreshUntil = now + int64(ttl)
	it.AskAfter = min(now+int64(c.policy.L1TTL), it.FreshUntil)
	it.TrustUntil = it.AskAfter
	if c.trusting {
		it.TrustUntil = it.FreshUntil
	}
	it.KeepUntil = it.FreshUntil + int64(c.policy.Stale)
	c.dueIn(it)
}

// absentItem remembers that a loader found nothing.
func (c *Cache[V]) absentItem(now int64) *local.Item {
	end := now + int64(c.policy.NegativeTTL)
	return &local.Item{Absent: true, Written: now, AskAfter: end, TrustUntil: end, FreshUntil: end, KeepUntil: end}
}

// valueOf is the value of an item of this class.
func valueOf[V any](it *local.Item) V {
	return local.Value[V](it)
}

func (c *Cache[V]) peek(key string) *local.Item { return c.l1.Get(local.Key{Class: c.id, Key: key}) }

func (c *Cache[V]) put(key string, it *local.Item) { c.l1.Set(local.Key{Class: c.id, Key: key}, it) }
func (c *Cache[V]) drop(key string)                { c.l1.Delete(local.Key{Class: c.id, Key: key}) }

func (c *Cache[V]) dropPrefix(prefix string) int {
	return c.dropAll(beginsWith(prefix))
}

func beginsWith(prefix string) func(key string) bool {
	return func(key string) bool { return strings.HasPrefix(key, prefix) }
}

// dropAll drops the keys of the class that under reports.
func (c *Cache[V]) dropAll(under func(key string) bool) (n int) {
	return c.dropOf(c.l1.Keys(c.id), under)
}

// dropOf is dropAll for some keys of the class, the only ones that can be under.
func (c *Cache[V]) dropOf(keys iter.Seq[string], under func(key string) bool) (n int) {
	c.guard.pauses.ForgetAll(under)
	c.flights.SupersedeAll(under)
	for key := range keys {
		if under(key) {
			c.flights.Supersede(key, func() { c.drop(key) })
			n++
		}
	}
	return n
}

// own is the value as a caller may have it.
func (c *Cache[V]) own(v V) V {
	if c.clone != nil {
		return c.clone(v)
	}
	return v
}

// entry describes an item that memory serves. One that another process may have overwritten
// is there for an outage and is not fresh.
func (c *Cache[V]) entry(it *local.Item, src Source, now int64, cause error) Entry[V] {
	fresh := it.Fresh(now) && it.Newer == local.NoNewer
	if it.Alone() {
		cause = errors.Join(cause, errAlone)
	}
	return Entry[V]{
		Value:    c.own(valueOf[V](it)),
		Source:   src,
		Age:      max(0, time.Duration(now-it.Written)),
		Fresh:    fresh,
		Coherent: fresh && c.client.vouches(it, src, now),
		Cause:    cause,
	}
}

// vouches reports whether nothing newer can have been acknowledged: Redis said
// so, and whoever asked knows whether it was the only master, or the feed has announced
// nothing since.
func (c *Client) vouches(it *local.Item, src Source, now int64) bool {
	switch src {
	case SourceRedis:
		return !it.Cover.Over()
	case SourceMemory:
		return c.opts.MemoryOnly || it.Cover.Covers(now)
	case SourceReplica:
		return it.Cover.Covers(now)
	}
	return c.opts.MemoryOnly
}
