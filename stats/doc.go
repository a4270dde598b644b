// Package stats is what evercache counts, as plain values. Client.Stats of
// evercache returns a [Snapshot], List.Stats of revoke a [Denylist]:
//
//	s := client.Stats()
//	for _, r := range s.Requests {
//		fmt.Println(r.Op, r.Tier, r.Result, r.Count)
//	}
//
// Counters begin at 0 with the client and only rise. What is the case at this
// moment, such as the state and the findings, is in package health. Package
// evercacheprom shows both as metrics.
package stats
