package config

import (
	"time"

	"github.com/evercache/evercache"
)

// server weighs the settings of the binary against each other.
func (r *reader) server() Server {
	s := r.draft.server
	s.MaxClasses = maxClasses
	s.Tokens = r.tokens()
	s.RevocationsKey = r.revocationsKey()
	r.checkListener(s)
	s.ShutdownDelay = r.shutdownDelay(s)
	s.BodyMemory = r.bodyMemory(s)
	s.Traces = r.traces()
	r.keyPair("EVERCACHE_TLS_CERT_FILE", s.TLSCertFile, "EVERCACHE_TLS_KEY_FILE", s.TLSKeyFile)
	return s
}

// checkListener refuses what would be open by accident.
func (r *reader) checkListener(s Server) {
	unsure := r.bad["EVERCACHE_INSECURE"] || r.badToken()
	switch {
	case s.Tokens.Any() && s.Insecure:
		r.unused = append(r.unused, "EVERCACHE_INSECURE: a token is set and asked for.")
	case s.Tokens.Any() || unsure || loopback(s.Listen):
	case s.Insecure:
		r.findings = append(r.findings, listenerOpen.finding(
			"EVERCACHE_LISTEN is not loopback, there is no token, and EVERCACHE_INSECURE is true.",
			"Set EVERCACHE_TOKEN or EVERCACHE_TOKEN_FILE, and unset EVERCACHE_INSECURE.",
		))
	default:
		r.fault("EVERCACHE_LISTEN", quote(s.Listen)+" can be reached from other machines, and no token is set",
			"set EVERCACHE_TOKEN or EVERCACHE_TOKEN_FILE, or EVERCACHE_INSECURE=true to run open, or listen on 127.0.0.1")
	}
}

// reachableDelay is how long load balancers get by default to notice the end:
// Kubernetes takes a pod out of its Services within a second or two.
const reachableDelay = 3 * time.Second

// shutdownDelay gives no delay by default where no load balancer can be: who
// presses Ctrl-C would wait for nothing.
func (r *reader) shutdownDelay(s Server) time.Duration {
	const name, boundName, listen = "EVERCACHE_SHUTDOWN_DELAY", "EVERCACHE_DRAIN_TIMEOUT", "EVERCACHE_LISTEN"
	most := s.DrainTimeout / 2
	switch {
	case r.set(name):
		if s.ShutdownDelay > most && !r.bad[name] && !r.bad[boundName] {
			r.fault(name, short(s.ShutdownDelay)+" is longer than half of "+boundName+" ("+short(s.DrainTimeout)+")", "lower it, or raise "+boundName)
		}
		return s.ShutdownDelay
	case loopback(s.Listen):
		return 0
	}
	d := min(reachableDelay, most)
	r.decidedBy(listen, name, short(d))
	return d
}

// bodyMemory fits into a sidecar by default, and takes one of the largest bodies.
func (r *reader) bodyMemory(s Server) int64 {
	const name, boundName = "EVERCACHE_BODY_MEMORY", "EVERCACHE_MAX_BODY"
	if !r.set(name) {
		return max(16<<20, 2*s.MaxBodyBytes)
	}
	if s.BodyMemory < s.MaxBodyBytes && !r.bad[name] && !r.bad[boundName] {
		r.fault(name, bytesText(s.BodyMemory)+" is less than "+boundName+" ("+bytesText(s.MaxBodyBytes)+")", "raise it, or lower "+boundName)
	}
	return s.BodyMemory
}

// policy is that of every class. A default gives way to a bound that is set.
func (r *reader) policy() evercache.Policy {
	ttl := r.atMost("EVERCACHE_TTL", r.ttl, "EVERCACHE_MAX_TTL", r.draft.server.MaxTTL)
	var l1TTL time.Duration // the library's default
	if r.set("EVERCACHE_L1_TTL") {
		boundName, bound := "EVERCACHE_TTL", ttl
		if r.bad[boundName] { // it may be as long as this, and no longer
			boundName, bound = "EVERCACHE_MAX_TTL", r.draft.server.MaxTTL
		}
		if l1TTL = r.atMost("EVERCACHE_L1_TTL", r.l1TTL, boundName, bound); l1TTL == 0 {
			l1TTL = evercache.Never
		}
	}
	return evercache.Policy{
		TTL: ttl, Stale: r.stale, L1TTL: l1TTL,
		ReadTimeout: r.readTimeout, WriteTimeout: r.writeTimeout,
	}
}

// atMost holds a duration to a bound that another setting gives.
func (r *reader) atMost(name string, d time.Duration, boundName string, bound time.Duration) time.Duration {
	if d <= bound || r.bad[name] || r.bad[boundName] {
		return d
	}
	if r.set(name) {
		r.fault(name, short(d)+" is longer than "+boundName+" ("+short(bound)+")", "lower it, or raise "+boundName)
		return d
	}
	r.decidedBy(boundName, name, short(bound))
	return bound
}
