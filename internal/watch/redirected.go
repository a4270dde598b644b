package watch

import (
	"net"
	"time"

	"github.com/evercache/evercache/internal/cluster"
	"github.com/evercache/evercache/internal/remote"
	"github.com/evercache/evercache/internal/sentinel"
)

// Redirected is Refused for who knows a redirection only by its parts. It was sent a
// moment ago.
func (d *Cluster) Redirected(n *remote.Node, r remote.Redirect) {
	id, bad := cluster.ParseID(n.ID)
	if bad != nil {
		return
	}
	now := time.Now()
	o := cluster.Refused{Node: id, SentAt: now, At: now, Slot: noSlot}
	if r.Slot >= 0 && r.Slot < noSlot {
		o.Slot = uint16(r.Slot)
	}
	switch r.Kind {
	case remote.Moved:
		o.Fault = cluster.FaultMoved
		if host, port, err := net.SplitHostPort(r.Addr); err == nil {
			o.To, _ = sentinel.ParseAddr(host, port)
		}
	case remote.ClusterDown:
		o.Fault = cluster.FaultDown
	default:
		o.Fault = cluster.FaultOther
	}
	d.refusals.add(o)
}
