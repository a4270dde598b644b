package redistest

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/redisproc"
)

// Option changes what Start, StartSentinel or StartCluster starts. Those that not all of them can follow say
// so; the others refuse them.
type Option func(*config)

type config struct {
	password    string
	users       []redisproc.User
	tls         bool
	clientCerts bool
	lines       []string
	set         redisproc.SetOptions
	cluster     redisproc.ClusterOptions
	replicas    *int // nil: the default
	proxies     bool
	clocks      map[int]*Clock
	env         []string
	only        []restriction
}

// restriction is an option that not every function can follow.
type restriction struct {
	option string
	by     []string // the functions that can
}

const (
	byStart    = "Start"
	bySentinel = "StartSentinel"
	byCluster  = "StartCluster"
)

func (c *config) restrict(option string, by ...string) {
	c.only = append(c.only, restriction{option, by})
}

// check ends the test when an option was given that this function cannot follow.
func (c config) check(tb testing.TB, function string) {
	tb.Helper()
	var refused []string
	for _, r := range c.only {
		if !slices.Contains(r.by, function) {
			refused = append(refused, r.option)
		}
	}
	if len(refused) > 0 {
		tb.Fatalf("redistest: %s cannot follow %s: see there what it is for", function, strings.Join(refused, ", "))
	}
}

// WithPassword sets the default user's password, in a set or cluster that of all nodes. The sentinels have one
// of their own, see WithSentinelPassword.
func WithPassword(password string) Option {
	return func(c *config) { c.password = password }
}

// WithUser adds an ACL user, for instance WithUser("app", "secret", "~app:*", "+@all"). In a set
// or cluster all nodes have it.
func WithUser(name, password string, rules ...string) Option {
	return func(c *config) {
		c.users = append(c.users, redisproc.User{Name: name, Password: password, Rules: rules})
	}
}

// WithTLS makes everything speak TLS only, replication, sentinels and the bus of a cluster included,
// with certificates made for the test: see TLSConfig and TLSFiles.
func WithTLS() Option {
	return func(c *config) { c.tls = true }
}

// WithTLSClientCerts is WithTLS, and refuses clients without a certificate.
func WithTLSClientCerts() Option {
	return func(c *config) { c.tls, c.clientCerts = true, true }
}

// WithConfig adds lines to the configuration file, such as "maxmemory 1mb" or "maxclients 4"; in a
// set or cluster to that of every node. They come last and win.
func WithConfig(lines ...string) Option {
	return func(c *config) { c.lines = append(c.lines, lines...) }
}

// WithPersistence lets the nodes of a set or cluster keep an append-only file, so that a killed node can
// be restarted with KeepData. A server of Start always has one.
func WithPersistence() Option {
	return func(c *config) { c.set.Persistence = true }
}

// WithMasterName names the set; the default is "mymaster". For StartSentinel only.
func WithMasterName(name string) Option {
	return setOption("WithMasterName", func(o *redisproc.SetOptions) { o.MasterName = name })
}

// WithReplicas sets the number of replicas: of a set, where the default is 2, or of each master of a
// cluster, where it is 1 and may be 0. For StartSentinel and StartCluster only.
func WithReplicas(n int) Option {
	return func(c *config) {
		c.restrict("WithReplicas", bySentinel, byCluster)
		c.replicas = &n
	}
}

// WithSentinels sets the number of sentinels; the default is 3. For StartSentinel only.
func WithSentinels(n int) Option {
	return setOption("WithSentinels", func(o *redisproc.SetOptions) { o.Sentinels = orInvalid(n) })
}

// WithQuorum sets how many sentinels must find the master down before one of them may begin a
// failover; the default is the majority. For StartSentinel only.
func WithQuorum(n int) Option {
	return setOption("WithQuorum", func(o *redisproc.SetOptions) { o.Quorum = orInvalid(n) })
}

// WithDownAfter sets for how long a node may be silent before a sentinel finds it down; the default
// is 500 ms. On a machine that is so busy that a process can wait that long for its turn, Sentinel
// fails over masters that are well; a test that must not see this asks for 2 s. For StartSentinel
// only.
func WithDownAfter(d time.Duration) Option {
	return setOption("WithDownAfter", func(o *redisproc.SetOptions) { o.DownAfter = d })
}

// WithFailoverTimeout sets Sentinel's failover-timeout; the default is 10 s. A failed election is
// tried again after twice that. For StartSentinel only.
func WithFailoverTimeout(d time.Duration) Option {
	return setOption("WithFailoverTimeout", func(o *redisproc.SetOptions) { o.FailoverTimeout = d })
}

// WithSentinelPassword sets the password of the sentinels themselves. For StartSentinel only.
func WithSentinelPassword(password string) Option {
	return setOption("WithSentinelPassword", func(o *redisproc.SetOptions) { o.SentinelPassword = password })
}

// WithSentinelConfig adds lines to the configuration file of every sentinel. For StartSentinel only.
func WithSentinelConfig(lines ...string) Option {
	return setOption("WithSentinelConfig", func(o *redisproc.SetOptions) {
		o.SentinelConfig = append(o.SentinelConfig, lines...)
	})
}

// WithFastSentinel keeps the sentinels in a hurry for the whole test, see Sentinel.SetFast. For
// StartSentinel only.
func WithFastSentinel() Option {
	return setOption("WithFastSentinel", func(o *redisproc.SetOptions) { o.Fast = true })
}

func setOption(name string, apply func(*redisproc.SetOptions)) Option {
	return func(c *config) {
		c.restrict(name, bySentinel)
		apply(&c.set)
	}
}

// orInvalid keeps a zero that was asked for from being taken as the default.
func orInvalid(n int) int {
	if n == 0 {
		return -1
	}
	return n
}

func collect(opts []Option) config {
	var c config
	for _, o := range opts {
		o(&c)
	}
	return c
}

// serverOptions are for Start. Every acknowledged write is in the append-only file before its reply
// is sent, so that a killed server loses none; only a machine that loses power could.
func (c config) serverOptions(tb testing.TB) redisproc.Options {
	tb.Helper()
	c.check(tb, byStart)
	return redisproc.Options{
		Password: c.password, Users: c.users,
		TLS: c.certificates(tb), RequireClientCert: c.clientCerts, Env: c.env,
		Config: slices.Concat([]string{"appendonly yes", "appendfsync no"}, c.lines),
	}
}

func (c config) setOptions(tb testing.TB) redisproc.SetOptions {
	tb.Helper()
	c.check(tb, bySentinel)
	o := c.set
	if c.replicas != nil {
		o.Replicas = orInvalid(*c.replicas)
	}
	o.Password, o.Users, o.Config = c.password, c.users, c.lines
	o.TLS, o.RequireClientCert = c.certificates(tb), c.clientCerts
	return o
}

// certificates are made for each test: none is worth stealing.
func (c config) certificates(tb testing.TB) *redisproc.TLS {
	tb.Helper()
	if !c.tls {
		return nil
	}
	t, err := redisproc.NewTLS(tb.TempDir())
	must(tb, err)
	return t
}
