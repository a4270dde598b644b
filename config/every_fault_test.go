package config

import (
	"slices"
	"strings"
	"testing"
)

// combined is an environment whose settings do not go together, or with what they
// name: each gives faults that no parser of a single value can find.
type combined struct {
	env []string
	// rests are settings on whose value a fault depends: a wrong value of one may
	// silence it. That of a setting of env silences its own faults.
	rests []string
}

var combinations = []combined{
	{[]string{"REDIS_URL=redis://h", "REDIS_HOST=a", "REDIS_PORT=1"}, nil},
	{[]string{"REDIS_URL=redis://h/1", "REDIS_DB=1"}, []string{"REDIS_URL"}},
	{[]string{"REDIS_URL=redis://u:p@h", "REDIS_USERNAME=u", "REDIS_PASSWORD=p"}, []string{"REDIS_URL"}},
	{[]string{"REDIS_URL=redis://h", "REDIS_TLS=true"}, []string{"REDIS_URL"}},
	{[]string{"REDIS_USERNAME=u"}, []string{"REDIS_URL", "REDIS_PASSWORD", "REDIS_PASSWORD_FILE"}},
	{[]string{"REDIS_SENTINEL_USERNAME=u"}, []string{"REDIS_SENTINEL_PASSWORD", "REDIS_SENTINEL_PASSWORD_FILE"}},
	{[]string{"REDIS_PASSWORD=p", "REDIS_PASSWORD_FILE=/p"}, nil},
	{[]string{"REDIS_PASSWORD_FILE=/none"}, []string{"REDIS_PASSWORD"}},
	{[]string{"REDIS_SENTINEL_PASSWORD=p", "REDIS_SENTINEL_PASSWORD_FILE=/p"}, nil},
	{[]string{"REDIS_SENTINEL_PASSWORD_FILE=/none"}, []string{"REDIS_SENTINEL_PASSWORD"}},
	{[]string{"REDIS_TLS_CA_FILE=/none"}, []string{"REDIS_TLS", "REDIS_URL", "REDIS_SENTINEL_TLS"}},
	{[]string{"REDIS_TLS=true", "REDIS_TLS_CA_FILE=/none"}, nil},
	{[]string{"REDIS_TLS=true", "REDIS_TLS_CERT_FILE=/none"}, []string{"REDIS_TLS_KEY_FILE"}},
	{[]string{"REDIS_TLS=true", "REDIS_TLS_KEY_FILE=/none"}, []string{"REDIS_TLS_CERT_FILE"}},
	{[]string{"REDIS_CLUSTER_NODES=n:1", "REDIS_DB=3"}, nil},
	{[]string{"REDIS_CLUSTER_NODES=n:1", "REDIS_URL=redis://h/3"}, []string{"REDIS_URL"}},
	{[]string{"REDIS_CLUSTER_NODES=n:1", sentinelOn}, []string{"REDIS_SENTINEL_ENABLED"}},
	{[]string{sentinelOn, strict}, []string{"REDIS_SENTINEL_ENABLED", "REDIS_STRICT"}},
	{[]string{sentinelOn, strict, masterIs, "REDIS_SENTINELS=s:1"}, []string{"REDIS_SENTINEL_ENABLED", "REDIS_STRICT"}},
	{[]string{"REDIS_REPLICA_READS=true"}, []string{"REDIS_SENTINEL_ENABLED", "REDIS_CLUSTER_NODES"}},
	{[]string{"REDIS_ZONE=z"}, nil},
	{[]string{"REDIS_ZONE=z", three, masterIs, sentinelOn}, []string{"REDIS_REPLICA_READS"}},
	{[]string{"REDIS_ZONE=z", "REDIS_REPLICA_READS=true"}, []string{"REDIS_SENTINEL_ENABLED", "REDIS_CLUSTER_NODES"}},
	{[]string{"EVERCACHE_LISTEN=:3000"}, []string{
		"EVERCACHE_INSECURE", "EVERCACHE_TOKEN", "EVERCACHE_TOKEN_FILE", "EVERCACHE_READ_TOKEN", "EVERCACHE_READ_TOKEN_FILE",
		"EVERCACHE_WRITE_TOKEN", "EVERCACHE_WRITE_TOKEN_FILE", "EVERCACHE_REVOKE_TOKEN", "EVERCACHE_REVOKE_TOKEN_FILE",
		"EVERCACHE_METRICS_TOKEN", "EVERCACHE_METRICS_TOKEN_FILE",
	}},
	{[]string{"EVERCACHE_TOKEN=0123456789abcdef", "EVERCACHE_TOKEN_FILE=/t"}, nil},
	{[]string{"EVERCACHE_READ_TOKEN_FILE=/none"}, []string{"EVERCACHE_READ_TOKEN"}},
	{[]string{"EVERCACHE_REVOCATIONS_KEY=0123456789abcdef", "EVERCACHE_REVOCATIONS_KEY_FILE=/k"}, nil},
	{[]string{"EVERCACHE_REVOCATIONS_KEY_FILE=/short"}, []string{"EVERCACHE_REVOCATIONS_KEY"}},
	{[]string{"EVERCACHE_TLS_CERT_FILE=/none"}, []string{"EVERCACHE_TLS_KEY_FILE"}},
	{[]string{"EVERCACHE_TLS_KEY_FILE=/none"}, []string{"EVERCACHE_TLS_CERT_FILE"}},
	{[]string{"EVERCACHE_SHUTDOWN_DELAY=6s", "EVERCACHE_DRAIN_TIMEOUT=10s"}, []string{"EVERCACHE_DRAIN_TIMEOUT"}},
	{[]string{"EVERCACHE_BODY_MEMORY=1MiB", "EVERCACHE_MAX_BODY=2MiB"}, []string{"EVERCACHE_MAX_BODY"}},
	{[]string{"EVERCACHE_TTL=2h", "EVERCACHE_MAX_TTL=1h"}, []string{"EVERCACHE_MAX_TTL"}},
	{[]string{"EVERCACHE_L1_TTL=2h", "EVERCACHE_TTL=1h"}, []string{"EVERCACHE_TTL", "EVERCACHE_MAX_TTL"}},
}

var someFiles = memory{"/p": "!secret", "/t": "!0123456789abcdef", "/k": "!0123456789abcdef", "/short": "!short"}

func nameOf(entry string) string {
	name, _, _ := strings.Cut(entry, "=")
	return name
}

// wrongValues are values of a setting that its parser does not take.
func wrongValues(s setting) []string {
	out := []string{strings.Repeat("x", maxValueBytes+1)}
	var d draft
	for _, v := range []string{"\x01!{", "-1", "x:99999"} {
		if len(s.parse(&d, v)) > 0 {
			out = append(out, v)
		}
	}
	return out
}

// expectKept wants a fault of each setting that has one in c alone, but for those
// that were changed. Another fault may give another reason.
func expectKept(t *testing.T, c combined, env []string, changed ...string) {
	t.Helper()
	alone := refuseWith(t, someFiles, c.env...)
	got := refuseWith(t, someFiles, env...)
	for _, line := range alone {
		name, _, _ := strings.Cut(line, ":")
		told := slices.ContainsFunc(got, func(l string) bool { return strings.HasPrefix(l, name+": ") })
		if !told && !slices.Contains(changed, name) {
			t.Errorf("%.200q does not list\n%s\nbut\n%.400s", env, line, strings.Join(got, "\n"))
		}
	}
}

// Whichever setting has a wrong value, the faults of the others are listed too.
func TestAWrongValueHidesNoFaultOfOtherSettings(t *testing.T) {
	for _, c := range combinations {
		for _, s := range settings {
			if slices.Contains(c.rests, s.name) {
				continue
			}
			for _, v := range wrongValues(s) {
				env := append(slices.Clone(c.env), s.name+"="+v) // the later entry counts
				expectKept(t, c, env, s.name)
			}
		}
	}
}

func TestOneCombinationHidesNoFaultOfAnother(t *testing.T) {
	for _, a := range combinations {
		for _, b := range combinations {
			if !overlap(a, b) {
				env := slices.Concat(a.env, b.env)
				expectKept(t, a, env)
				expectKept(t, b, env)
			}
		}
	}
}

// overlap reports whether one says something else of what the other is about.
func overlap(a, b combined) bool {
	about := func(c combined) (names []string) {
		for _, entry := range c.env {
			names = append(names, nameOf(entry))
		}
		return names
	}
	shared := func(xs, ys []string) bool {
		return slices.ContainsFunc(xs, func(x string) bool { return slices.Contains(ys, x) })
	}
	return shared(about(a), about(b)) || shared(a.rests, about(b)) || shared(about(a), b.rests)
}

// What follows from a wrong value alone is no fault of its own.
func TestAWrongValueIsNoFaultOfOtherSettings(t *testing.T) {
	for _, tt := range []struct {
		env  []string
		name string
	}{
		{[]string{"REDIS_URL=redis://:p@h:0", "REDIS_USERNAME=u"}, "REDIS_URL"},
		{[]string{"REDIS_SENTINEL_ENABLED=maybe", "REDIS_REPLICA_READS=true", "REDIS_ZONE=z"}, "REDIS_SENTINEL_ENABLED"},
		{[]string{"REDIS_CLUSTER_NODES=n", "REDIS_REPLICA_READS=true", "REDIS_ZONE=z"}, "REDIS_CLUSTER_NODES"},
		{[]string{"REDIS_CLUSTER_NODES=n:1", "REDIS_REPLICA_READS=maybe", "REDIS_ZONE=z"}, "REDIS_REPLICA_READS"},
		{[]string{sentinelOn, masterIs, three, "REDIS_SENTINEL_TLS=maybe", "REDIS_TLS_SERVER_NAME=h"}, "REDIS_SENTINEL_TLS"},
		{[]string{"REDIS_SENTINEL_ENABLED=maybe", "REDIS_SENTINEL_TLS=true", "REDIS_TLS_SERVER_NAME=h"}, "REDIS_SENTINEL_ENABLED"},
		{[]string{"EVERCACHE_LISTEN=:1", "EVERCACHE_TOKEN=short"}, "EVERCACHE_TOKEN"},
		{[]string{"EVERCACHE_TTL=2h", "EVERCACHE_MAX_TTL=soon"}, "EVERCACHE_MAX_TTL"},
	} {
		if got := refuse(t, tt.env...); len(got) != 1 || !strings.HasPrefix(got[0], tt.name+":") {
			t.Errorf("%q:\n%s\nwant the fault of %s alone", tt.env, strings.Join(got, "\n"), tt.name)
		}
	}
}
