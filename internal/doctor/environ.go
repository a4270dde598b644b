package doctor

import (
	"slices"
	"strings"

	"github.com/evercache/evercache/config"
	"github.com/evercache/evercache/health"
)

// Change is how an environment becomes that of another mode.
type Change struct {
	Environ []string
	// Set and Unset are the variables that have to be changed, as NAME=VALUE and NAME.
	Set, Unset []string
	// DB is the database that is used now, where the other mode has none but 0.
	DB string
	// Faults are what is missing for the other mode, beside what package config finds.
	Faults config.Faults
}

// Before is the environment of now, where one already names the Cluster to go to: beside
// another way to Redis that way is the one of now.
func Before(environ []string, to health.Mode) []string {
	c := Change{Environ: slices.Clone(environ)}
	other := c.get("REDIS_HOST") != "" || c.get("REDIS_URL") != "" || c.get("REDIS_SENTINELS") != ""
	if to == health.ModeCluster && other {
		c.unset("REDIS_CLUSTER_NODES")
	}
	return c.Environ
}

// ChangeTo is the environment as it would be for another mode.
func ChangeTo(environ []string, to health.Mode) Change {
	c := Change{Environ: slices.Clone(environ)}
	switch to {
	case health.ModeStandalone:
		c.set("REDIS_SENTINEL_ENABLED", "false", c.get("REDIS_SENTINEL_ENABLED") != "")
		c.unset("REDIS_CLUSTER_NODES", "REDIS_REPLICA_READS", "REDIS_ZONE")
	case health.ModeSentinel:
		c.set("REDIS_SENTINEL_ENABLED", "true", true)
		c.set("REDIS_STRICT", "true", true)
		c.unset("REDIS_CLUSTER_NODES")
	case health.ModeCluster:
		c.set("REDIS_SENTINEL_ENABLED", "false", c.get("REDIS_SENTINEL_ENABLED") != "")
		if db := c.get("REDIS_DB"); db != "" && db != "0" {
			c.DB = db
			c.unset("REDIS_DB")
		}
		if c.get("REDIS_CLUSTER_NODES") == "" {
			c.Faults = config.Faults{{Name: "REDIS_CLUSTER_NODES", Problem: "is not set", Fix: "list some nodes of the Cluster, host:port each"}}
		}
	}
	return c
}

// get is the value of a variable; of two with one name the later counts.
func (c *Change) get(name string) (value string) {
	for _, entry := range c.Environ {
		if n, v, _ := strings.Cut(entry, "="); n == name {
			value = strings.TrimSpace(v)
		}
	}
	return value
}

// set gives a variable a value, if it is wanted and does not have it.
func (c *Change) set(name, value string, wanted bool) {
	if now := c.get(name); wanted && !strings.EqualFold(now, value) {
		c.Environ = append(c.Environ, name+"="+value)
		c.Set = append(c.Set, name+"="+value)
	}
}

func (c *Change) unset(names ...string) {
	for _, name := range names {
		if c.get(name) == "" {
			continue
		}
		c.Environ = slices.DeleteFunc(c.Environ, func(entry string) bool { return strings.HasPrefix(entry, name+"=") })
		c.Unset = append(c.Unset, name)
	}
}
