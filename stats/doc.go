// Package stats is what evercache counts, as plain values. Client.Stats of
// evercache returns a [Snapshot], List.Stats of revoke a [Denylist]:
//
//	s := client.Stats()
//	for _, r := range s.Requests {
//		fmt.Println(r.Op, r.Tier, r.Result, r.Count)
//	}
//
// Counters begin at 0 with the client and only rise; a few fields are sizes of this
// moment, and say so. The state and the findings are in package health. Package
// evercacheprom shows both as metrics.
package stats
