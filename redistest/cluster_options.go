package redistest

import (
	"testing"
	"time"

	"github.com/evercache/evercache/internal/redisproc"
)

// WithMasters sets the number of masters of a cluster; the default is 3. For StartCluster only.
func WithMasters(n int) Option {
	return clusterOption("WithMasters", func(o *redisproc.ClusterOptions) { o.Masters = orInvalid(n) })
}

// WithNodeTimeout sets cluster-node-timeout: for how long a node may be silent before another one suspects it. The
// default is 1 s. A killed master is replaced after about twice that, and at least a second later. On a machine that is so
// busy that a process can wait that long for its turn, masters that are well are replaced; a test that must not
// see this asks for 5 s. For StartCluster only.
func WithNodeTimeout(d time.Duration) Option {
	return clusterOption("WithNodeTimeout", func(o *redisproc.ClusterOptions) { o.NodeTimeout = d })
}

// WithPartialCoverage sets cluster-require-full-coverage to no: while one slot has no owner, the others are served.
// By default every node refuses everything then. For StartCluster only.
func WithPartialCoverage() Option {
	return clusterOption("WithPartialCoverage", func(o *redisproc.ClusterOptions) { o.PartialCoverage = true })
}

// WithHostnames makes the nodes announce these names to clients in place of their IP address, in the order of the
// nodes; when there are fewer names than nodes they begin again. "localhost" can be resolved everywhere and is in the
// certificates of WithTLS. The server must be Redis 7 or later. For StartCluster only.
func WithHostnames(names ...string) Option {
	return clusterOption("WithHostnames", func(o *redisproc.ClusterOptions) { o.Hostnames = names })
}

// WithProxies puts a Proxy in front of each node, and makes the nodes announce the addresses of the proxies. What breaks
// at Cluster.Proxy is the way to a node for clients and for its replicas. The nodes' own bus does not go
// through it: they go on seeing each other. For StartCluster only.
func WithProxies() Option {
	return func(c *config) {
		c.restrict("WithProxies", byCluster)
		c.proxies = true
	}
}

// WithNodeClock gives a clock to one node of a cluster, counted from 0 as in Cluster.Nodes. For StartCluster only.
func WithNodeClock(node int, clock *Clock) Option {
	return func(c *config) {
		c.restrict("WithNodeClock", byCluster)
		if c.clocks == nil {
			c.clocks = map[int]*Clock{}
		}
		c.clocks[node] = clock
	}
}

func clusterOption(name string, apply func(*redisproc.ClusterOptions)) Option {
	return func(c *config) {
		c.restrict(name, byCluster)
		apply(&c.cluster)
	}
}

func (c config) clusterOptions(tb testing.TB) redisproc.ClusterOptions {
	tb.Helper()
	c.check(tb, byCluster)
	o := c.cluster
	o.Replicas = 1
	if c.replicas != nil {
		o.Replicas = *c.replicas
	}
	o.Persistence = c.set.Persistence
	o.Password, o.Users, o.Config = c.password, c.users, c.lines
	o.TLS, o.RequireClientCert = c.certificates(tb), c.clientCerts
	o.Env = func(node int) []string {
		if clock := c.clocks[node]; clock != nil {
			return clock.Env()
		}
		return c.env
	}
	return o
}
