package survey

import (
	"context"
	"crypto/tls"
	"net"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/keyfiles"
	"github.com/evercache/evercache/internal/remote"
)

// Bounds of a survey.
const (
	// MaxServers is how many servers are asked.
	MaxServers = 100
	// DefaultTimeout bounds the whole. A server has a third of it.
	DefaultTimeout = 3 * time.Second
)

// Target says what to look at, and how to log in there.
type Target struct {
	Mode         health.Mode
	Addr         string // in standalone mode
	Sentinels    []string
	MasterName   string
	ClusterNodes []string
	AddressMap   map[string]string
	KeyPrefix    string
	ReplicaReads bool // reads go to replicas too: more rights are needed there

	// Thorough asks for what takes a moment and only a person wants to know: Pings and
	// Survey.Absent.
	Thorough bool

	// Timeout bounds the whole; 0: DefaultTimeout.
	Timeout time.Duration

	node, sentinel login

	// resolve looks up a name; nil: as everybody does.
	resolve func(ctx context.Context, name string) ([]string, error)
}

// login is how to reach one kind of server. The password is in a function: fmt, which
// cannot call the methods of what is in unexported fields, would print it.
type login struct {
	username, passwordFile string
	password               func() string
	tls                    *tls.Config
	tlsNow                 remote.TLSSource
	db                     int
}

// TargetOf is what the options of a client lead to.
func TargetOf(o evercache.Options) Target {
	t := Target{
		Addr: o.Addr, Sentinels: o.Sentinels, MasterName: o.MasterName, ClusterNodes: o.ClusterNodes,
		AddressMap: o.AddressMap, KeyPrefix: o.KeyPrefix, ReplicaReads: o.ReplicaReads,
		node: login{
			username: o.Username, password: o.Password.Reveal, passwordFile: o.PasswordFile,
			tls: o.TLS, tlsNow: tlsNow(o.TLS, o.TLSFiles), db: o.DB,
		},
		sentinel: login{
			username: o.SentinelUsername, password: o.SentinelPassword.Reveal, passwordFile: o.SentinelPasswordFile,
			tls: o.SentinelTLS, tlsNow: tlsNow(o.SentinelTLS, o.SentinelTLSFiles),
		},
	}
	switch {
	case o.MemoryOnly:
		t.Mode = health.ModeMemoryOnly
	case len(o.ClusterNodes) > 0:
		t.Mode = health.ModeCluster
	case len(o.Sentinels) > 0:
		t.Mode = health.ModeSentinel
	default:
		t.Mode = health.ModeStandalone
		if t.Addr == "" {
			t.Addr = net.JoinHostPort("localhost", "6379")
		}
	}
	return t
}

func tlsNow(base *tls.Config, f evercache.TLSFiles) remote.TLSSource {
	if f == (evercache.TLSFiles{}) {
		return nil
	}
	return keyfiles.NewSource(base, keyfiles.Names(f))
}

// config is how to dial addr.
func (l login) config(addr string, limit time.Duration) remote.Config {
	c := remote.Config{
		Addr: addr, Username: l.username, PasswordFile: l.passwordFile, DB: l.db,
		TLS: l.tls, TLSNow: l.tlsNow, DialTimeout: limit, AskTLS: true,
	}
	if l.password != nil {
		c.Password = l.password()
	}
	return c
}

// hidePasswords lets nothing that a server says be shown with a password of ours in it. A
// sentinel may know that of the servers with data, and speaks before any of them is dialled.
func (t Target) hidePasswords() {
	t.node.config("", 0).HidePassword()
	t.sentinel.config("", 0).HidePassword()
}

// anonymous is the same without a login.
func (l login) anonymous() login {
	l.username, l.passwordFile, l.password = "", "", nil
	return l
}

// dialable is where the server that is announced at addr is dialled.
func (t Target) dialable(addr string) string {
	if to, ok := t.AddressMap[addr]; ok {
		return to
	}
	return addr
}

// perServer is how long one server may take.
func (t Target) perServer() time.Duration { return t.timeout() / 3 }

func (t Target) timeout() time.Duration {
	if t.Timeout > 0 {
		return t.Timeout
	}
	return DefaultTimeout
}
