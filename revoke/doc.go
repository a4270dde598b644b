// Package revoke is a denylist of tokens that no outage can open.
//
// A denylist is not a cache: a lost entry lets a revoked token in. It is a set
// that only grows, of hashed ids and when they expire, so that merging is taking
// the later expiry and sending something twice is always safe.
//
//	client, err := evercache.Open(ctx, options)
//	list, err := revoke.New(client, revoke.Policy{MaxLife: 24 * time.Hour})
//	…
//	if !list.Check(revoke.Token{ID: claims.ID, Subject: claims.Subject, IssuedAt: issued}).Allowed() {
//		return errUnauthorized
//	}
//
// Every process holds the whole set in memory: a check is a look at memory,
// whether Redis is there or not. What a process is not sure to know makes the
// answer Unknown, and the policy decides; the default is to deny.
//
// What Redis loses (a failover, a restart from an old file, FLUSHALL, eviction)
// is put back by any process that lives. The processes of a list know each other:
// after a loss none says that it knows all before the others have put back what they
// have, or half a minute is over. A process that starts does not believe
// a set in Redis that does not carry the marker of a complete one, so that an
// emptied Redis is not taken for "nothing is revoked".
package revoke
