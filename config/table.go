package config

import "slices"

// setting is one variable: the whole truth about it.
type setting struct {
	name    string
	group   string
	meaning string
	def     string // the default, in the form a user would write it
	unset   string // what holds without a value, where that is no value
	example string
	secret  bool // its value is never shown
	parse   func(*draft, string) []problem
}

// settings is in the order of the documentation.
var settings = slices.Concat(redisSettings, tlsSettings, sentinelSettings, clusterSettings, replicaSettings, serverSettings, accessSettings, cacheSettings, traceSettings)

// position is where a name stands in the table; -1 is a name that does not.
func position(name string) int {
	return slices.IndexFunc(settings, func(s setting) bool { return s.name == name })
}
