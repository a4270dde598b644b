package survey

import (
	"context"
	"crypto/rand"
	"net"
	"net/netip"
	"strings"
	"time"
)

// Lookup is how long this machine takes to learn that a name does not exist.
type Lookup struct {
	Name string
	Took time.Duration
	Done bool // there was an answer; else it was given up after Took
}

// lookupFor bounds a lookup.
const lookupFor = 2500 * time.Millisecond

// absentName is a name that does not exist, beside the first of the addresses that has a name; "": none has.
// Sentinel asks for such a name when a node has gone with its entry in the DNS, and does nothing else meanwhile.
func absentName(addrs []string) string {
	for _, a := range addrs {
		host, _, err := net.SplitHostPort(a)
		if _, bad := netip.ParseAddr(host); err != nil || bad == nil || strings.EqualFold(host, "localhost") {
			continue
		}
		_, domain, _ := strings.Cut(host, ".")
		return strings.TrimSuffix("evercache-doctor-"+strings.ToLower(rand.Text()[:12])+"."+domain, ".")
	}
	return ""
}

// lookupAbsent asks for a name that does not exist, where the sentinels name nodes by names.
func (l *look) lookupAbsent() *Lookup {
	var addrs []string
	for _, s := range l.s.Sentinels {
		addrs = append(addrs, s.Named)
		for _, f := range s.Replicas {
			addrs = append(addrs, f.Addr())
		}
	}
	name := absentName(addrs)
	if name == "" {
		return nil
	}
	resolve := l.resolve
	if resolve == nil {
		resolve = net.DefaultResolver.LookupHost
	}
	ctx, cancel := context.WithTimeout(l.ctx, lookupFor)
	defer cancel()
	began := time.Now()
	_, err := resolve(ctx, name)
	return &Lookup{Name: name, Took: time.Since(began), Done: err == nil || ctx.Err() == nil}
}
