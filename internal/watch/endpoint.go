package watch

import (
	"context"
	"time"

	"github.com/evercache/evercache/internal/cluster"
	"github.com/evercache/evercache/internal/remote"
	"github.com/evercache/evercache/internal/slot"
)

// endpoint is what a node calls the others.
type endpoint struct {
	calls cluster.Endpoint
	at    time.Time // when it was asked; zero: not yet, or in vain
}

// endpointEach is how often a node is asked for it.
const endpointEach = time.Minute

// askEndpoint fills in what the node calls the others, where they have names. No command
// tells that which the ACL of every user allows; so it is shown what clients are told: the
// redirection of a key that another node has.
//
// Whose user has mapped the addresses, and not the names, wants addresses.
func (q *asker) askEndpoint(ctx context.Context, a *cluster.Answer) error {
	if mapsAddresses(q.mapped, a.Lines) {
		a.Calls = cluster.EndpointAddress
		return nil
	}
	s, ok := a.Elsewhere()
	if ok && time.Since(q.endpoint.at) > endpointEach {
		r, err := q.conn.Ask(ctx, probeLimit, []string{"GET", q.prefix + "~b:{" + slot.TagFor(s) + "}"})
		if err != nil {
			return err
		}
		q.endpoint = endpointOf(remote.ReplyIn(r[0].Err), q.addr, a.Lines)
	}
	a.Calls = q.endpoint.calls
	return nil
}

// mapsAddresses reports whether the address of some node is mapped, and its name is not.
func mapsAddresses(mapped map[string]string, lines []cluster.Line) bool {
	if len(mapped) == 0 { // mostly, and it is asked with every answer
		return false
	}
	for i := range lines {
		_, address := mapped[lines[i].Addr.String()]
		_, name := mapped[lines[i].Name.String()]
		if address && !name {
			return true
		}
	}
	return false
}

// endpointOf reads the reply. One without a redirection says nothing, and is not asked for
// again soon; but a Cluster that is down has none for anybody.
func endpointOf(text string, from cluster.Addr, lines []cluster.Line) (e endpoint) {
	if cluster.ReplyFault(text) != cluster.FaultDown {
		e.at = time.Now()
	}
	if r, err := cluster.ParseRedirect(text, from); err == nil {
		e.calls = cluster.EndpointIn(r, lines)
	}
	return e
}
