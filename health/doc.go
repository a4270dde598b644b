// Package health is what evercache knows of itself and of its Redis, as plain
// values. Client.Health returns a [Report]:
//
//	r := client.Health()
//	if r.State != health.Connected {
//		log.Print(r.Cause)
//	}
//	for _, f := range r.Findings {
//		log.Print(f.Code, ": ", f.Title, ". ", f.Fix)
//	}
//
// A Report says how Redis is reached (Mode), what the client can do now
// (State), what waits for Redis (OutboxEntries, Recovery, Journal), what is
// known of the Sentinel set or of the Cluster (Sentinel, Cluster), and what an operator should know
// (Findings). Counters are in package stats.
//
// A [Finding] has a stable code. The Code constants list those that the library
// makes. The settings and the server add codes of their own. docs/operations.md
// explains them, those of the denylist docs/guide/revocation.md.
//
// Package status shows a Report as JSON at /health.
package health
