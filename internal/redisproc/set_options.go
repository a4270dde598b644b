package redisproc

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// SetOptions say what set to start. Zero means the default.
type SetOptions struct {
	MasterName string // "mymaster"
	Replicas   int    // 2
	Sentinels  int    // 3
	Quorum     int    // the majority of the sentinels

	DownAfter       time.Duration // 500 ms: short, so that a failover fits into a test
	FailoverTimeout time.Duration // 10 s; a failed election is tried again after twice that

	Password         string // of the nodes' default user
	Users            []User // of the nodes
	SentinelPassword string // of the sentinels

	TLS               *TLS // for nodes and sentinels
	RequireClientCert bool

	// Persistence makes the nodes keep an append-only file, so that a killed node comes back with
	// its data.
	Persistence bool

	// Fast keeps the sentinels' periods short after the start, see SetFast.
	Fast bool

	Config         []string // further lines for the nodes
	SentinelConfig []string // further lines for the sentinels

	Place Placement // of the nodes and of the sentinels; nil: anywhere

	StartTimeout time.Duration // 60 s for the whole set
}

func (o SetOptions) withDefaults() SetOptions {
	o.MasterName = cmp.Or(o.MasterName, "mymaster")
	o.Replicas = cmp.Or(o.Replicas, 2)
	o.Sentinels = cmp.Or(o.Sentinels, 3)
	o.Quorum = cmp.Or(o.Quorum, o.Sentinels/2+1)
	o.DownAfter = cmp.Or(o.DownAfter, 500*time.Millisecond)
	o.FailoverTimeout = cmp.Or(o.FailoverTimeout, 10*time.Second)
	o.StartTimeout = cmp.Or(o.StartTimeout, time.Minute)
	return o
}

func (o SetOptions) validate() error {
	var errs []error
	if strings.ContainsAny(o.MasterName, " \t\r\n\"'\\,") {
		errs = append(errs, fmt.Errorf("option MasterName: %q is not one word", o.MasterName))
	}
	if o.Replicas < 1 || o.Replicas > 20 {
		errs = append(errs, fmt.Errorf("option Replicas: %d, want 1 to 20", o.Replicas))
	}
	if o.Sentinels < 1 || o.Sentinels > 20 {
		errs = append(errs, fmt.Errorf("option Sentinels: %d, want 1 to 20", o.Sentinels))
	}
	if o.Quorum < 1 || o.Quorum > o.Sentinels {
		errs = append(errs, fmt.Errorf("option Quorum: %d, want 1 to the number of sentinels, %d", o.Quorum, o.Sentinels))
	}
	if o.DownAfter < time.Millisecond || o.FailoverTimeout < time.Millisecond {
		errs = append(errs, errors.New("options DownAfter, FailoverTimeout: at least a millisecond"))
	}
	return errors.Join(errs...)
}

// node is the options of the i-th node. It follows masterAddr, or is the first master.
func (o SetOptions) node(i int, masterAddr string) Options {
	config := []string{"rdb-del-sync-files yes"} // else a killed replica comes back with its first sync
	if o.Persistence {
		config = []string{"appendonly yes", "appendfsync everysec"}
	}
	return Options{
		Password: o.Password, Users: o.Users, ReplicaOf: masterAddr,
		TLS: o.TLS, RequireClientCert: o.RequireClientCert,
		Config: slices.Concat(config, o.Config), Place: o.Place.at(Server, i),
	}
}

// sentinel is the options of the i-th sentinel. It watches the master at host:port.
func (o SetOptions) sentinel(i int, host, port string) Options {
	var c conf
	c.line("sentinel", "monitor", o.MasterName, host, port, fmt.Sprint(o.Quorum))
	c.line("sentinel", "down-after-milliseconds", o.MasterName, fmt.Sprint(o.DownAfter.Milliseconds()))
	c.line("sentinel", "failover-timeout", o.MasterName, fmt.Sprint(o.FailoverTimeout.Milliseconds()))
	if o.Password != "" {
		c.line("sentinel", "auth-pass", o.MasterName, o.Password)
	}
	config := strings.Split(strings.TrimSuffix(c.text.String(), "\n"), "\n")
	return Options{
		Kind: Sentinel, Password: o.SentinelPassword,
		TLS: o.TLS, RequireClientCert: o.RequireClientCert,
		Config: slices.Concat(config, o.SentinelConfig), Place: o.Place.at(Sentinel, i),
		hidden: o.Password,
	}
}
