package shard

import (
	"crypto/tls"
	"log/slog"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/errsummary"
	"github.com/evercache/evercache/internal/remote"
	"github.com/evercache/evercache/trace"
)

// TLSSource gives the TLS settings of the next dial.
type TLSSource = remote.TLSSource

// Config says how to reach a master and what may be kept for it. Its fields are
// those of Options, validated and with their defaults.
type Config struct {
	Mode          health.Mode
	RedisOptional bool // without a Redis at the default address memory is all there is
	KeyPrefix     string
	Process       string // names this process in Redis

	// Secrets are in a function: fmt, which cannot call methods of what is in
	// unexported fields, would print them.
	Secrets      func() (redis, sentinel string)
	Addr         string
	Username     string
	PasswordFile string
	DB           int
	TLS          *tls.Config
	TLSNow       TLSSource // read at each dial; nil: TLS

	ClusterNodes []string // seeds of a Cluster

	MasterName           string
	Sentinels            []string
	SentinelUsername     string
	SentinelPasswordFile string
	SentinelTLS          *tls.Config
	SentinelTLSNow       TLSSource
	AddressMap           map[string]string // of Sentinel and Cluster mode

	ReplicaReads bool   // of classes that want it
	Zone         string // whose replicas are asked first; "": any

	DialTimeout, ReadTimeout, WriteTimeout time.Duration
	CloseTimeout                           time.Duration // packages that build on the client end within it

	MaxValueBytes int64
	OutboxEntries int
	OutboxBytes   int64
	RingBytes     int64
	RingAge       time.Duration // 0: no ring
	JournalDir    string        // "": no journal

	Log    *slog.Logger // must never wait
	Tracer trace.Tracer // nil: nobody traces
	// CallFailures counts calls of callers that fail, for the log; nil: nobody wants to know.
	CallFailures *errsummary.Summary
	Changed      func(health.Change)
	FailedOver   func(health.Failover)
}
