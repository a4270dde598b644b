package evercache

import (
	"cmp"
	"slices"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/findings"
	"github.com/evercache/evercache/internal/keyfiles"
)

// Health is a snapshot of what the client knows; taking it never dials.
func (c *Client) Health() health.Report {
	in := c.known()
	h := in.Report
	h.Findings = append(slices.Clone(c.opts.Findings), findings.Of(in)...)
	if h.Sentinel != nil {
		h.Sentinel.Failovers = c.store.FailoverHistory()
	}
	if h.Cluster != nil {
		h.Cluster.Failovers = c.store.FailoverHistory()
	}
	return h
}

// findings are what is wrong now, without what the settings were found to have.
func (c *Client) findings() []health.Finding { return findings.Of(c.known()) }

// known is what findings are made of.
func (c *Client) known() findings.Input {
	in := c.store.Health()
	in.Report.Mode, in.Report.RequestedMode = c.opts.mode(), *c.opts.RequestedMode
	in.KeyFiles, in.Classes = c.keyFiles.known(), c.classFaults()
	in.Report.Certificates = c.keyFiles.certificates()
	return in
}

// known is what is known of the files.
func (k keyFiles) known() (all []findings.KeyFiles) {
	for _, s := range []struct {
		source *keyfiles.Source
		whose  string
	}{{k.redis, "for Redis"}, {k.sentinels, "for the sentinels"}} {
		if s.source == nil {
			continue
		}
		at, _ := s.source.Expires()
		all = append(all, findings.KeyFiles{Whose: s.whose, Fault: s.source.Fault(), Expires: at})
	}
	return all
}

// certificates are those that servers are shown.
func (k keyFiles) certificates() (all []health.Certificate) {
	for _, s := range []struct {
		source *keyfiles.Source
		peer   string
	}{{k.redis, "redis"}, {k.sentinels, "sentinel"}} {
		if s.source == nil {
			continue
		}
		if at, ok := s.source.Expires(); ok {
			all = append(all, health.Certificate{Peer: s.peer, Expires: at})
		}
	}
	return all
}

// classFaults are what is wrong with each class, by its name.
func (c *Client) classFaults() (all []findings.Class) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range c.named {
		all = append(all, k.known())
	}
	slices.SortFunc(all, func(a, b findings.Class) int { return cmp.Compare(a.Name, b.Name) })
	return all
}
