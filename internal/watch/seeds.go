package watch

import (
	"context"
	"net"
	"time"

	"github.com/evercache/evercache/internal/cluster"
	"github.com/evercache/evercache/internal/remote"
	"github.com/evercache/evercache/internal/sentinel"
)

// addrsOf reads addresses as they are configured.
func addrsOf(texts []string) []cluster.Addr {
	var as []cluster.Addr
	for _, s := range texts {
		if a, err := sentinel.SplitAddr(s); err == nil {
			as = append(as, a)
		}
	}
	return as
}

// singleName is the one seed where that is a name, not an address; "": it is not.
// Managed services give one name for all nodes.
func singleName(seeds []string) string {
	if len(seeds) != 1 {
		return ""
	}
	host, _, err := net.SplitHostPort(seeds[0])
	if err != nil || net.ParseIP(host) != nil {
		return ""
	}
	return seeds[0]
}

// lookup is the addresses of a name with a port.
func lookup(ctx context.Context, name string) ([]string, error) {
	host, port, err := net.SplitHostPort(name)
	if err != nil {
		return nil, err
	}
	ips, err := net.DefaultResolver.LookupHost(ctx, host)
	if err != nil {
		return nil, err
	}
	for i, ip := range ips {
		ips[i] = net.JoinHostPort(ip, port)
	}
	return ips, nil
}

const (
	resolveFirst = 100 * time.Millisecond
	resolveEach  = 5 * time.Second
)

// resolve looks the seeds' name up until it has addresses, and again each five seconds
// while no node can be used. Without any the name itself is dialled.
func (d *Cluster) resolve() {
	for delay := resolveFirst; ; delay = min(2*delay, resolveEach) {
		if d.seeking.Load() {
			ctx, cancel := context.WithTimeout(d.ctx, time.Second)
			found, err := d.lookup(ctx, d.named)
			cancel()
			if err != nil && d.ctx.Err() == nil {
				d.complaints.note(addrsOf([]string{d.named})[0], err)
			}
			if len(found) > 0 {
				delay = resolveEach
				d.report(func() { d.resolved(found) })
			}
		}
		if remote.Pause(d.ctx, delay) != nil {
			return
		}
	}
}

// resolved takes the addresses of the seeds' name. One address is dialled by the name.
func (d *Cluster) resolved(found []string) {
	if !d.seeking.Load() {
		return
	}
	as := addrsOf(found)
	seeds := map[cluster.Addr]string{}
	for _, a := range as {
		seeds[a] = d.named
	}
	if len(seeds) < 2 {
		as, seeds = addrsOf(d.c.Seeds), nil
	}
	d.seeds = seeds
	d.machine.SetSeeds(as)
	d.observe(cluster.Tick{At: time.Now()})
}
