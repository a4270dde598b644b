package evercache

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/shard"
	"github.com/evercache/evercache/trace"
)

// Options says where Redis is and how long to wait for it. The zero value
// reaches a Redis on localhost:6379 without a password. Every fault is an
// error of Open; no setting ever chooses another mode.
type Options struct {
	// Addr is host:port of a single server; default localhost:6379.
	Addr string
	// Sentinels and MasterName choose Sentinel mode: host:port of at least
	// three sentinels, or one DNS name with several addresses.
	Sentinels  []string
	MasterName string
	// SentinelUsername, SentinelPassword (or its file) and SentinelTLS are for
	// the sentinels themselves.
	SentinelUsername     string
	SentinelPassword     Secret
	SentinelPasswordFile string
	SentinelTLS          *tls.Config
	SentinelTLSFiles     TLSFiles
	// AddressMap turns an address that sentinels, or nodes of a Cluster, announce
	// (host:port) into one that can be dialled from here (container NAT). A node of a
	// Sentinel set that it lists is logged in to by one sentinel's word. Any other one
	// is, when a majority of the sentinels that were heard names it, or the master does.
	AddressMap map[string]string
	// ClusterNodes chooses Cluster mode: host:port of some nodes of a Redis Cluster, at
	// most 64, or one DNS name with several addresses. The other nodes are found through
	// them. DB must be 0.
	ClusterNodes []string
	// ReplicaReads lets replicas answer reads of classes whose Policy.ReplicaReads is
	// set, in Sentinel and Cluster mode. It keeps a connection to each replica.
	ReplicaReads bool
	// Zone is where this process runs, by the name that the servers have in
	// availability-zone (Valkey 8). Replicas there are asked first. Default: any.
	Zone string
	// Username and Password log in; PasswordFile is read at every connection,
	// so a rotated password is picked up without a restart.
	Username     string
	Password     Secret
	PasswordFile string
	// DB is the database index.
	DB int
	// TLS, when not nil, is used for every connection. An empty ServerName is
	// filled in with the host of Addr.
	TLS *tls.Config
	// TLSFiles, where not empty, turn TLS on, are read at every connection, and
	// stand for what TLS says of the same.
	TLSFiles TLSFiles
	// KeyPrefix stands before every key in Redis.
	KeyPrefix string

	// MemoryOnly uses no Redis: a complete cache for unit tests. What memory
	// does not hold is ErrNotFound.
	MemoryOnly bool
	// RedisOptional says that until a Redis has answered for the first time
	// memory is all there is: a key that it does not hold is then ErrNotFound
	// instead of ErrUnavailable.
	RedisOptional bool

	// DialTimeout bounds making a connection, TLS and login included. Default 300 ms.
	DialTimeout time.Duration
	// ReadTimeout and WriteTimeout bound one question. Defaults 100 ms and 250 ms.
	ReadTimeout  time.Duration
	WriteTimeout time.Duration
	// CloseTimeout bounds Close. Default 5 s.
	CloseTimeout time.Duration

	// MemoryBytes bounds the memory that classes without a bound of their own
	// share: what values take with all that they refer to (see WithWeight), their
	// keys, and what an entry costs. Default 32 MiB.
	MemoryBytes int64
	// MaxValueBytes bounds an encoded value, at most 512 MiB. A longer one is not
	// written (ErrValue). One that another program has put into Redis is not sent
	// for: the key counts as missing, what a loader returns replaces it, and Health
	// has the finding redis-value-too-long. Default 16 MiB.
	MaxValueBytes int64
	// OutboxEntries and OutboxBytes bound what is kept for the next master.
	// Defaults 100 000 and 32 MiB. At the bound a write is kept as the wish to
	// delete its key there (a miss is safe, an old value is not). Deletes of
	// prefixes that wait may take as much memory again, and are
	// refused beyond that, or when 65 536 of them wait.
	OutboxEntries int
	OutboxBytes   int64
	// RingBytes and RingAge bound the ring: confirmed writes, which are put back
	// when Redis returns from an older state on its disk. What is beyond either
	// bound is not put back then. Defaults 16 MiB and 60 s; at most 5 min;
	// RingAge Never keeps none.
	RingBytes int64
	RingAge   time.Duration

	// JournalDir, when not empty, is a directory of this process alone, in which
	// what Redis has not taken is kept in a file: a write in an outage is then
	// acknowledged as Journaled, when it is on the disk, and is sent by the next
	// process that opens the directory if this one dies first. A write that
	// cannot be put on the disk is a *DurabilityError.
	JournalDir string

	// Logger gets one line for each change of state, each finding and each failover. Calls to
	// Redis and loads that fail have a line each at debug level, and in ten seconds one line
	// for each kind of error at warn level, which counts them. Lines about a call of the
	// application are logged with its context, so that a handler can add its ids. Default slog.Default(). Its
	// handler is called by one goroutine, in order, behind a bounded queue (4096
	// lines, 1 MiB): one that blocks or fails delays later lines and nothing else.
	// Lines without room are dropped, counted in Stats.LogDropped and told in one
	// line when the handler works again.
	Logger *slog.Logger
	// Tracer is told of each call to Redis and each load, and never of a hit in memory.
	// Default: none. Package evercacheotel makes OpenTelemetry spans of it.
	Tracer trace.Tracer
	// Events are called on changes; see Events.
	Events Events

	// RequestedMode is what the configuration asked for, when a fallback made
	// the mode another. It is shown in Health, as are Findings.
	RequestedMode *health.Mode
	Findings      []health.Finding
}

// TLSFiles are paths of PEM files of at most 2 MiB each, read at every connection: what
// is renewed in them needs no restart. Where one cannot be used, such as one that is
// being written, the last that could is used, and Health has the finding
// redis-tls-files. Where there was none the connection fails, and is tried again.
type TLSFiles struct {
	CA        string // the authorities to trust; "": those of TLS, else the system's
	Cert, Key string // the client's certificate and its key: both or neither
}

func (o Options) withDefaults() Options {
	if o.Addr == "" && o.mode() != health.ModeCluster {
		o.Addr = "localhost:6379"
	}
	o.DialTimeout = or(o.DialTimeout, 300*time.Millisecond)
	o.ReadTimeout = or(o.ReadTimeout, 100*time.Millisecond)
	o.WriteTimeout = or(o.WriteTimeout, 250*time.Millisecond)
	o.CloseTimeout = or(o.CloseTimeout, 5*time.Second)
	if o.MemoryBytes == 0 {
		o.MemoryBytes = 32 << 20
	}
	if o.MaxValueBytes == 0 {
		o.MaxValueBytes = 16 << 20
	}
	if o.OutboxEntries == 0 {
		o.OutboxEntries = 100_000
	}
	if o.OutboxBytes == 0 {
		o.OutboxBytes = 32 << 20
	}
	if o.RingBytes == 0 {
		o.RingBytes = 16 << 20
	}
	o.RingAge = or(o.RingAge, 60*time.Second)
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.RequestedMode == nil {
		o.RequestedMode = new(o.mode())
	}
	return o
}

// maxZone bounds Zone, in bytes.
const maxZone = 256

// maxSeeds bounds ClusterNodes: it is how many the search for a Cluster looks at.
const maxSeeds = 64

// mode follows from which addresses are given.
func (o Options) mode() health.Mode {
	switch {
	case o.MemoryOnly:
		return health.ModeMemoryOnly
	case len(o.ClusterNodes) > 0:
		return health.ModeCluster
	case len(o.Sentinels) > 0 || o.MasterName != "":
		return health.ModeSentinel
	}
	return health.ModeStandalone
}

// ambiguous finds addresses of which one would be ignored. It looks at what was given.
func (o Options) ambiguous() error {
	sentinels := len(o.Sentinels) > 0 || o.MasterName != ""
	switch {
	case o.MemoryOnly && (o.Addr != "" || sentinels || len(o.ClusterNodes) > 0):
		return errors.New("MemoryOnly: an address of Redis is given too; give one of the two")
	case o.Addr != "" && sentinels:
		return errors.New("Addr: Sentinels or MasterName are given too; give Addr for one server, or the other two for a set")
	case len(o.ClusterNodes) > 0 && (o.Addr != "" || sentinels):
		return errors.New("ClusterNodes: Addr, Sentinels or MasterName are given too; give ClusterNodes alone for a Cluster")
	}
	return nil
}

// validate lists every fault of options whose defaults are filled in.
func (o Options) validate() error {
	var errs []error
	fault := func(bad bool, format string, a ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, a...))
		}
	}
	switch o.mode() {
	case health.ModeSentinel:
		errs = append(errs, o.sentinelFaults()...)
	case health.ModeCluster:
		errs = append(errs, o.clusterFaults()...)
	}
	if o.mode() != health.ModeCluster {
		if err := validAddr(o.Addr); err != nil {
			errs = append(errs, fmt.Errorf("Addr: %w", err))
		}
	}
	fault(o.Password != "" && o.PasswordFile != "", "Password and PasswordFile: give one of them")
	fault(o.Username != "" && o.Password == "" && o.PasswordFile == "", "Username without a Password or PasswordFile")
	fault((o.TLSFiles.Cert == "") != (o.TLSFiles.Key == ""), "TLSFiles: give Cert and Key, or neither")
	fault((o.SentinelTLSFiles.Cert == "") != (o.SentinelTLSFiles.Key == ""), "SentinelTLSFiles: give Cert and Key, or neither")
	fault(o.DB < 0, "DB %d: want 0 or more", o.DB)
	fault(len(o.KeyPrefix) > MaxKeyBytes, "KeyPrefix: %d bytes, at most %d", len(o.KeyPrefix), MaxKeyBytes)
	fault(strings.ContainsAny(o.KeyPrefix, "{}"), "KeyPrefix: braces would put every key into one Cluster slot")
	for _, d := range []struct {
		name string
		d    time.Duration
	}{{"DialTimeout", o.DialTimeout}, {"ReadTimeout", o.ReadTimeout}, {"WriteTimeout", o.WriteTimeout}, {"CloseTimeout", o.CloseTimeout}} {
		fault(d.d < 0, "%s %v: want a positive duration", d.name, d.d)
	}
	fault(o.MemoryBytes < 0, "MemoryBytes %d: want a positive number", o.MemoryBytes)
	fault(o.MaxValueBytes < 0 || o.MaxValueBytes > 512<<20, "MaxValueBytes %d: want between 1 and %d", o.MaxValueBytes, 512<<20)
	fault(o.ReplicaReads && o.mode() == health.ModeStandalone, "ReplicaReads: the replicas of a single server are not known here; give Sentinels or ClusterNodes, or leave it off")
	fault(o.Zone != "" && !o.ReplicaReads, "Zone: it is for reads from replicas; set ReplicaReads too")
	fault(len(o.Zone) > maxZone, "Zone: %d bytes, at most %d", len(o.Zone), maxZone)
	fault(o.OutboxEntries < 0, "OutboxEntries %d: want a positive number", o.OutboxEntries)
	fault(o.OutboxBytes < 0, "OutboxBytes %d: want a positive number", o.OutboxBytes)
	fault(o.RingBytes < 0, "RingBytes %d: want a positive number; RingAge Never keeps none", o.RingBytes)
	fault(o.RingAge != Never && (o.RingAge < 0 || o.RingAge > MaxRingAge), "RingAge %v: want a positive duration up to %v, or Never", o.RingAge, MaxRingAge)
	return errors.Join(errs...)
}

// sentinelFaults lists the faults of Sentinel mode.
func (o Options) sentinelFaults() (errs []error) {
	fault := func(bad bool, format string, a ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, a...))
		}
	}
	fault(o.MasterName == "", "MasterName: Sentinel mode needs the name under which the sentinels know the master")
	fault(len(o.Sentinels) == 0, "Sentinels: Sentinel mode needs their addresses")
	errs = append(errs, addrFaults("Sentinels", o.Sentinels)...)
	n := len(o.Sentinels)
	fault(n == 2 || n == 1 && isIP(o.Sentinels[0]), "Sentinels: %d given; a majority that survives one loss needs 3, or one DNS name with several addresses", n)
	fault(o.SentinelPassword != "" && o.SentinelPasswordFile != "", "SentinelPassword and SentinelPasswordFile: give one of them")
	fault(o.SentinelUsername != "" && o.SentinelPassword == "" && o.SentinelPasswordFile == "", "SentinelUsername without a SentinelPassword or SentinelPasswordFile")
	return append(errs, o.mapFaults()...)
}

// clusterFaults lists the faults of Cluster mode.
func (o Options) clusterFaults() []error {
	errs := addrFaults("ClusterNodes", o.ClusterNodes)
	if n := len(o.ClusterNodes); n > maxSeeds {
		errs = append(errs, fmt.Errorf("ClusterNodes: %d given, at most %d; the other nodes are found through them", n, maxSeeds))
	}
	if o.DB > 0 {
		errs = append(errs, fmt.Errorf("DB %d: a Cluster has only database 0", o.DB))
	}
	return append(errs, o.mapFaults()...)
}

// addrFaults lists what is wrong with a list of addresses.
func addrFaults(name string, addrs []string) (errs []error) {
	seen := map[string]bool{}
	for _, a := range addrs {
		if err := validAddr(a); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
		if seen[a] {
			errs = append(errs, fmt.Errorf("%s: %q is given twice", name, a))
		}
		seen[a] = true
	}
	return errs
}

func (o Options) mapFaults() (errs []error) {
	for from, to := range o.AddressMap {
		for _, a := range []string{from, to} {
			if err := validAddr(a); err != nil {
				errs = append(errs, fmt.Errorf("AddressMap: %w", err))
			}
		}
	}
	return errs
}

func isIP(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	return err == nil && net.ParseIP(host) != nil
}

// validAddr checks host:port, IPv6 in brackets.
func validAddr(addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("%q is not host:port (IPv6 in brackets)", addr)
	}
	if host == "" {
		return fmt.Errorf("%q has no host", addr)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return fmt.Errorf("%q: the port must be 1 to 65535", addr)
	}
	return nil
}

// shardConfig is what the shard is to know of the options.
func (o Options) shardConfig(secrets passwords, files keyFiles, process string) shard.Config {
	return shard.Config{
		Mode: o.mode(), RedisOptional: o.RedisOptional, KeyPrefix: o.KeyPrefix, Process: process,
		Secrets: secrets, Addr: o.Addr, Username: o.Username, PasswordFile: o.PasswordFile, DB: o.DB,
		TLS: o.TLS, TLSNow: tlsNow(files.redis),
		MasterName: o.MasterName, Sentinels: o.Sentinels, SentinelUsername: o.SentinelUsername,
		SentinelPasswordFile: o.SentinelPasswordFile, SentinelTLS: o.SentinelTLS, SentinelTLSNow: tlsNow(files.sentinels),
		ClusterNodes: o.ClusterNodes, AddressMap: o.AddressMap, ReplicaReads: o.ReplicaReads, Zone: o.Zone,
		DialTimeout: o.DialTimeout, ReadTimeout: o.ReadTimeout, WriteTimeout: o.WriteTimeout, CloseTimeout: o.CloseTimeout,
		MaxValueBytes: o.MaxValueBytes, OutboxEntries: o.OutboxEntries, OutboxBytes: o.OutboxBytes,
		RingBytes: o.RingBytes, RingAge: off(o.RingAge), JournalDir: o.JournalDir,
		Log: o.Logger, Tracer: o.Tracer, Changed: o.Events.State, FailedOver: o.Events.Failover,
	}
}

// Events are callbacks for an application that wants to know. Each may be nil.
// They are called one at a time, in order, by one goroutine that holds no lock;
// a slow callback delays later ones and nothing else (past a bounded queue the
// oldest are dropped and counted in Stats.EventsDropped).
type Events struct {
	// State is called at every change of state.
	State func(health.Change)
	// Failover is called when a failover has ended: confirmed by a majority of
	// the sentinels, or in a Cluster by every replica that could be promoted, or
	// overtaken by the next one. Not in standalone mode.
	Failover func(health.Failover)
}
