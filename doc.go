// Package evercache is a cache that stays up when Redis doesn't: the memory of
// this process over Redis, where Redis is one server, a Sentinel set or a Cluster.
//
//	client, err := evercache.Open(ctx, evercache.Options{
//		Sentinels:  []string{"sentinel-1:26379", "sentinel-2:26379", "sentinel-3:26379"},
//		MasterName: "mymaster",
//	}) // or Options{Addr: "redis:6379"}; Options{MemoryOnly: true} in unit tests
//	if err != nil {
//		return err
//	}
//	defer client.Close()
//
//	products, err := evercache.NewCache[Product](client, "product", evercache.Policy{
//		TTL:   5 * time.Minute,
//		Stale: 2 * time.Hour, // may be served when nothing better can be had
//	})
//	if err != nil {
//		return err
//	}
//	p, err := products.Get(ctx, id, db.Product) // memory, Redis, db.Product; one load per key
//	receipt, err := products.Set(ctx, id, p)    // receipt.Durability: memory, journaled, master, replicated
//	_, err = products.Delete(ctx, id)
//
// # What it promises
//
// Open never waits for Redis, and no read fails because of it: memory answers
// (a fresh entry, else a stale one where the policy allows it), else the
// loader, else ErrUnavailable at once. A Redis that hangs holds a read no
// longer than the read timeout, and after the first few not at all.
//
// A key has one load at a time however many callers, and none of them can
// cancel it for the others. A load begun before a Set or Delete of its key does
// not overwrite it, whichever process that was in.
//
// A write that is acknowledged while Redis is away is in force here at once and
// is sent to the next master before its key is read from there. The Receipt
// says where a write is; MinDurability asks for more. What a master has taken and
// the next one lacks is sent again, unless another process has written since.
//
// # When Redis goes away
//
// The Client's State says what it can do. Connected: reads are answered from
// memory while Redis would have announced a change (Entry.Coherent), else for
// Policy.L1TTL, then by Redis; writes are in Redis when they are acknowledged. Degraded: there is no usable master; memory answers as
// Policy.OutageReads says, loaders run within Policy.OutageLoadRate, writes are
// kept or refused as Policy.OutageWrites says. Recovering: a master is back and
// what was kept is being sent; a key that still waits is answered from what
// waits. Client.Health says why, and what to do about it.
//
// # Limits
//
// What is kept for the next master lives in this process: what Close could not
// send is an *UnsavedError, and is lost with the process. It is bounded
// (Options.OutboxEntries and OutboxBytes); beyond the bound a value becomes the
// wish to delete its key, or its class, which is a miss, never an old value.
// What another process writes is seen within the round trip of its announcement,
// and where Redis announces nothing within Policy.L1TTL. Keys have at most
// MaxKeyBytes, a time to live is between a millisecond and MaxTTL.
//
// Values are stored plainly, as JSON or as the bytes they are, under the
// class's name and the key, for as long as their TTL: any program can read and
// write them. NewCache refuses a type of which JSON loses a part. A release that
// changes how values are stored gives the class another Policy.Version.
package evercache
