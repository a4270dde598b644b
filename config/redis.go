package config

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/health"
)

// minSentinels survive the loss of one with a majority.
const minSentinels = 3

// redis weighs the REDIS_* settings against each other.
func (r *reader) redis() evercache.Options {
	r.applyURL()
	password := r.secretFrom("REDIS_PASSWORD", r.password, r.passwordFile)
	if !r.bad["REDIS_URL"] { // the password may be in it
		r.checkLogin(cmp.Or(r.shown["REDIS_USERNAME"].Source, "REDIS_USERNAME"), "REDIS_PASSWORD", password)
	}
	r.checkPort()
	conf, sentinelConf := r.redisTLS()
	o := evercache.Options{
		Username: r.username, Password: r.password, PasswordFile: r.passwordFile,
		DB: r.db, KeyPrefix: r.keyPrefix, TLS: conf, TLSFiles: r.tlsFiles(conf),
		DialTimeout: r.dialTimeout, ReadTimeout: r.readTimeout, WriteTimeout: r.writeTimeout,
		MemoryBytes: r.memory, MaxValueBytes: r.draft.server.MaxBodyBytes, OutboxBytes: r.outboxMemory, RingBytes: r.ringMemory, RingAge: r.keptInRing(), JournalDir: r.journalDir,
		RedisOptional: !r.anySet("REDIS_"),
	}
	r.chooseMode(&o)
	if len(o.Sentinels) > 0 {
		o.SentinelTLS, o.SentinelTLSFiles = sentinelConf, r.tlsFiles(sentinelConf)
	}
	return o
}

// keptInRing is the age in the library's form.
func (r *reader) keptInRing() time.Duration {
	if r.ringAge == 0 {
		return evercache.Never
	}
	return r.ringAge
}

// applyURL lets REDIS_URL stand for the settings it covers. Saying a thing
// twice is a fault, whether or not both say the same.
func (r *reader) applyURL() {
	if !r.set("REDIS_URL") {
		return
	}
	covered := []string{"REDIS_HOST", "REDIS_PORT"} // whatever the URL says
	if r.url.username != "" {
		covered = append(covered, "REDIS_USERNAME")
	}
	if r.url.password != "" {
		covered = append(covered, "REDIS_PASSWORD", "REDIS_PASSWORD_FILE")
	}
	if r.url.hasDB {
		covered = append(covered, "REDIS_DB")
	}
	for _, name := range r.setOf(covered...) {
		r.fault(name, "REDIS_URL says it too", "give one of them")
	}
	if !r.bad["REDIS_URL"] {
		r.takeURL()
	}
}

func (r *reader) takeURL() {
	const source = "REDIS_URL"
	r.host, r.port = r.url.host, r.url.port
	r.decidedBy("env", source, r.url.String())
	r.decidedBy(source, "REDIS_HOST", r.host)
	r.decidedBy(source, "REDIS_PORT", fmt.Sprint(r.port))
	if r.url.tls {
		r.decidedBy(source, "REDIS_TLS", "true")
	}
	if r.url.username != "" {
		r.username = r.url.username
		r.decidedBy(source, "REDIS_USERNAME", r.username)
	}
	if r.url.password != "" {
		r.password, r.passwordFile = r.url.password, ""
		r.decidedBy(source, "REDIS_PASSWORD", r.password.String())
	}
	if r.url.hasDB {
		r.db = r.url.db
		r.decidedBy(source, "REDIS_DB", fmt.Sprint(r.db))
	}
}

// checkLogin refuses a user without a password: Redis would refuse it later.
// userName is the setting that names the user.
func (r *reader) checkLogin(userName, passwordName string, password evercache.Secret) {
	if r.set(userName) && password == "" && !r.bad[passwordName] && !r.bad[passwordName+"_FILE"] {
		r.fault(userName, "names a user without a password", "set "+passwordName+" or "+passwordName+"_FILE too")
	}
}

func (r *reader) checkPort() {
	if r.port == 26379 {
		r.findings = append(r.findings, redisPort.finding(
			"26379 is where sentinels listen; they store no keys.",
			"Give the port of Redis, 6379 unless you chose another; sentinels belong into REDIS_SENTINELS.",
		))
	}
}

// chooseMode fills in where Redis is. Only an incomplete Sentinel
// configuration ever becomes another mode than the one asked for.
func (r *reader) chooseMode(o *evercache.Options) {
	r.checkSentinelPassword()
	cluster := r.set("REDIS_CLUSTER_NODES") // asked for, even where the list is wrong
	if cluster {
		r.useCluster(o)
	}
	switch {
	case r.sentinelEnabled && cluster:
		r.fault("REDIS_CLUSTER_NODES", "Sentinel mode is asked for too (REDIS_SENTINEL_ENABLED)", "choose one of the two")
	case !r.sentinelEnabled:
		r.noteIdleSentinels()
	}
	if r.sentinelEnabled {
		r.useSentinel(o)
	}
	r.useReplicas(o)
	if len(o.Sentinels) > 0 || len(o.ClusterNodes) > 0 {
		o.AddressMap = r.addressMap
		r.noteOtherServer()
		return
	}
	o.Addr = joinPort(r.host, r.port)
	if r.set("REDIS_ADDRESS_MAP") && !r.sentinelEnabled {
		r.unused = append(r.unused, "REDIS_ADDRESS_MAP: a single server is dialled as it is written.")
	}
}

// useReplicas turns reads from replicas on, where replicas are known.
func (r *reader) useReplicas(o *evercache.Options) {
	const fix = "give REDIS_SENTINEL_ENABLED=true with REDIS_SENTINELS, or REDIS_CLUSTER_NODES, or leave it out"
	known := len(o.Sentinels) > 0 || len(o.ClusterNodes) > 0
	oneServer := !r.sentinelEnabled && !r.bad["REDIS_SENTINEL_ENABLED"] && !r.set("REDIS_CLUSTER_NODES")
	if r.replicaReads && known {
		o.ReplicaReads, o.Zone = true, r.zone
	}
	if r.replicaReads && oneServer {
		r.fault("REDIS_REPLICA_READS", "the replicas of a single server are not known here", fix)
	}
	switch off := !r.replicaReads && !r.bad["REDIS_REPLICA_READS"]; {
	case !r.set("REDIS_ZONE"):
	case off:
		r.fault("REDIS_ZONE", "is for reads from replicas, which are off", "set REDIS_REPLICA_READS=true too, or leave it out")
	case oneServer:
		r.fault("REDIS_ZONE", "is for reads from replicas, and those of a single server are not known here", fix)
	}
	if r.replicaReads && !known && o.RequestedMode != nil {
		r.findings = append(r.findings, replicasUnknown.finding(
			"REDIS_REPLICA_READS is true, but Sentinel mode is incomplete and a single server is used. Its replicas are not known, so every read asks that server.",
			"Complete the Sentinel settings (see config-sentinel-fallback), or unset REDIS_REPLICA_READS and REDIS_ZONE.",
		))
	}
}

func (r *reader) useCluster(o *evercache.Options) {
	o.ClusterNodes = r.clusterNodes
	if r.db != 0 && !r.bad["REDIS_DB"] {
		r.fault("REDIS_DB", "a Cluster has only database 0", "leave it out")
	}
}

// useSentinel takes a complete configuration; what becomes of an incomplete
// one REDIS_STRICT decides.
func (r *reader) useSentinel(o *evercache.Options) {
	gaps := r.sentinelGaps()
	r.noteSentinelList()
	switch {
	case len(gaps) == 0 && !r.bad["REDIS_SENTINELS"] && !r.bad["REDIS_SENTINEL_MASTER_NAME"]:
		o.Sentinels, o.MasterName = r.sentinels, r.masterName
		o.SentinelUsername, o.SentinelPassword, o.SentinelPasswordFile = r.sentinelUsername, r.sentinelPassword, r.sentinelPasswordFile
	case r.strict:
		for _, g := range gaps {
			r.fault(g.Name, g.Problem, g.Fix)
		}
	default:
		o.RequestedMode = new(health.ModeSentinel)
		r.findings = append(r.findings, fallbackFinding(gaps))
	}
}

// sentinelGaps lists what Sentinel mode lacks.
func (r *reader) sentinelGaps() (gaps []Fault) {
	if r.masterName == "" && !r.bad["REDIS_SENTINEL_MASTER_NAME"] {
		gaps = append(gaps, Fault{"REDIS_SENTINEL_MASTER_NAME", "is not set", "give the name in the line `sentinel monitor <name>`, often mymaster"})
	}
	const fix = "list at least three, so that a majority survives the loss of one"
	switch n := len(r.sentinels); {
	case r.bad["REDIS_SENTINELS"]:
	case n == 0:
		gaps = append(gaps, Fault{"REDIS_SENTINELS", "is not set", fix})
	case n < minSentinels:
		gaps = append(gaps, Fault{"REDIS_SENTINELS", fmt.Sprintf("lists %d", n), fix})
	}
	return gaps
}

func fallbackFinding(gaps []Fault) health.Finding {
	missing := make([]string, len(gaps))
	fixes := make([]string, len(gaps))
	for i, g := range gaps {
		missing[i] = g.Name + " " + g.Problem
		fixes[i] = g.Name + ": " + g.Fix + "."
	}
	return sentinelFallback.finding(
		"REDIS_SENTINEL_ENABLED is true, but "+strings.Join(missing, " and ")+". Only the server of REDIS_HOST and REDIS_PORT is used: its failover will not be followed.",
		strings.Join(fixes, " ")+" REDIS_STRICT=true refuses to start instead.",
	)
}

func (r *reader) checkSentinelPassword() {
	password := r.secretFrom("REDIS_SENTINEL_PASSWORD", r.sentinelPassword, r.sentinelPasswordFile)
	r.checkLogin("REDIS_SENTINEL_USERNAME", "REDIS_SENTINEL_PASSWORD", password)
}

// noteSentinelList tells what is odd about a list that is well formed.
func (r *reader) noteSentinelList() {
	if n := len(r.sentinels); n > minSentinels && n%2 == 0 {
		r.findings = append(r.findings, sentinelEven.finding(
			fmt.Sprintf("REDIS_SENTINELS lists %d; no more of them may fail than of %d.", n, n-1), "Run an odd number: 3, 5 or 7."))
	}
	for _, addr := range r.sentinels {
		if strings.HasSuffix(addr, ":6379") {
			r.findings = append(r.findings, sentinelPort.finding(
				"REDIS_SENTINELS holds an address with port 6379, where Redis listens.", "Give the ports of the sentinels, 26379 unless you chose others."))
			return
		}
	}
}

// noteIdleSentinels tells of Sentinel settings that are not in force. Where
// the switch says false they are kept for the way back.
func (r *reader) noteIdleSentinels() {
	idle := r.setOf("REDIS_SENTINELS", "REDIS_SENTINEL_MASTER_NAME", "REDIS_SENTINEL_USERNAME",
		"REDIS_SENTINEL_PASSWORD", "REDIS_SENTINEL_PASSWORD_FILE", "REDIS_SENTINEL_TLS")
	if len(idle) == 0 || r.bad["REDIS_SENTINEL_ENABLED"] {
		return
	}
	f := sentinelNotEnabled.finding(
		"REDIS_SENTINEL_ENABLED is not true; no effect have "+strings.Join(idle, ", ")+".",
		"Set REDIS_SENTINEL_ENABLED=true, or unset them.",
	)
	if r.set("REDIS_SENTINEL_ENABLED") {
		f.Severity = health.SeverityInfo
	}
	r.findings = append(r.findings, f)
}

func (r *reader) noteOtherServer() {
	if other := r.setOf("REDIS_URL", "REDIS_HOST", "REDIS_PORT"); len(other) > 0 {
		r.findings = append(r.findings, severalModes.finding(
			"The addresses of Sentinel or Cluster mode win; the server is not taken from "+strings.Join(other, ", ")+".",
			"Nothing needs doing; unset them if nobody needs them for a way back.",
		))
	}
}
