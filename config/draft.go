package config

import (
	"time"

	"github.com/evercache/evercache"
)

// draft holds the values of the table one by one, before they are weighed
// against each other.
type draft struct {
	url          target
	host         string
	port         int
	username     string
	password     evercache.Secret
	passwordFile string
	db           int
	keyPrefix    string
	strict       bool

	sentinelEnabled      bool
	masterName           string
	sentinels            []string
	sentinelUsername     string
	sentinelPassword     evercache.Secret
	sentinelPasswordFile string
	addressMap           map[string]string
	clusterNodes         []string
	replicaReads         bool
	zone                 string

	tls           bool
	sentinelTLS   *bool
	tlsCAFile     string
	tlsCertFile   string
	tlsKeyFile    string
	tlsServerName string

	server Server
	traces traceDraft

	ttl                time.Duration
	stale              time.Duration
	l1TTL              time.Duration
	journalDir         string
	revocationsKeyFile string
	memory             int64
	outboxMemory       int64
	ringMemory         int64
	ringAge            time.Duration
	dialTimeout        time.Duration
	readTimeout        time.Duration
	writeTimeout       time.Duration
}
