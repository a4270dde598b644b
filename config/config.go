package config

import (
	"log/slog"
	"slices"
	"time"

	"github.com/evercache/evercache"
)

// Config is what the environment says, checked and ready for use.
type Config struct {
	// Redis goes to evercache.Open as it is. RedisOptional is true when no
	// REDIS_* variable is set; RequestedMode is set when Sentinel was asked for
	// and a single server is used instead.
	Redis evercache.Options
	// Server is for the binary.
	Server Server
	// Policy is that of every class of the binary.
	Policy evercache.Policy

	lines []Line
}

// Server is how the binary serves.
type Server struct {
	// Listen is host:port. On anything but loopback there is a token, or
	// Insecure says that it runs open.
	Listen   string
	Tokens   Tokens
	Insecure bool
	// Hosts are names, in lower case and without a port, that a Host header may
	// carry besides those of loopback.
	Hosts []string
	// TLSCertFile and TLSKeyFile are both set, and fit each other, or neither is.
	TLSCertFile string
	TLSKeyFile  string

	LogLevel  slog.Level
	LogFormat string // auto, json or text
	// InspectEvery is how often entries of each class are compared with Redis; 0: never.
	InspectEvery time.Duration
	// AdminListen is the loopback address of the admin listener; "": there is none.
	AdminListen string
	// AuditLog is the file of the audit log; "": there is none.
	AuditLog string

	// Traces says where spans are exported to; nil: nowhere.
	Traces *Traces

	MaxBodyBytes int64
	// BodyMemory bounds what bodies and answers under way hold together.
	BodyMemory int64
	MaxTTL     time.Duration
	MaxClasses int
	// DrainTimeout bounds the end of the process: the delay, requests, then the
	// outbox.
	DrainTimeout time.Duration
	// ShutdownDelay is how long the process that ends is still reachable, and
	// says that it is not ready. It is at most half of DrainTimeout.
	ShutdownDelay time.Duration
	// ReadyWait is how long the process is not ready while no Redis has been reached;
	// 0: it is ready without.
	ReadyWait time.Duration
	// Revocations is one of the four constants.
	Revocations          string
	RevocationsMaxLag    time.Duration
	RevocationsMaxLife   time.Duration
	RevocationsOnUnknown string // deny or allow
	// RevocationsMaxEntries bounds what the denylist holds.
	RevocationsMaxEntries int
	// RevocationsKey goes into the hash of every id.
	RevocationsKey evercache.Secret
}

// OnLoopback reports whether only this machine can reach the listener.
func (s Server) OnLoopback() bool { return loopback(s.Listen) }

// What Server.Revocations can be.
const (
	RevocationsAuto     = "auto"     // the denylist is served, and does nothing until it is used
	RevocationsOn       = "on"       // it is read from the start on
	RevocationsRequired = "required" // and the process is not ready without it
	RevocationsOff      = "off"
)

// maxClasses bounds the classes that requests can make.
const maxClasses = 100

// FromEnv reads the variables of an environment in the form of os.Environ. Of
// two entries with one name the later counts. Its error, when there is one, is
// of type Faults and names everything that is wrong. Of the world it sees only
// the files that settings name.
func FromEnv(environ []string) (Config, error) {
	return read(environ, disk{})
}

func read(environ []string, f files) (Config, error) {
	r := newReader(environ, f)
	r.parseAll()
	cfg := Config{Redis: r.redis(), Server: r.server(), Policy: r.policy()}
	cfg.Policy.ReplicaReads = cfg.Redis.ReplicaReads
	if len(r.faults) > 0 {
		return Config{}, r.faults.sorted()
	}
	cfg.Redis.Findings = r.allFindings()
	cfg.lines = r.lines()
	return cfg, nil
}

// Line is one setting as an operator may see it.
type Line struct {
	Name  string
	Value string // *** for a secret
	// Source is "env", "default", "file", "memory limit" (see Config.Within), or
	// the name of the variable that decided it (REDIS_URL).
	Source string
}

// Redacted lists every setting in the order of the documentation. It holds no
// secret.
func (c Config) Redacted() []Line { return slices.Clone(c.lines) }
