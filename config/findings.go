package config

import (
	"bytes"
	"fmt"
	"io/fs"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/evercache/evercache/health"
)

// findingKind is one thing an environment can be found to have that does not
// stop the start. Each is found at most once, about everything it concerns.
type findingKind struct {
	code     string
	severity health.Severity
	title    string
	when     string // for the documentation
}

func (k findingKind) finding(detail, fix string) health.Finding {
	return health.Finding{Code: k.code, Severity: k.severity, Title: k.title, Detail: detail, Fix: fix}
}

var (
	sentinelFallback = findingKind{
		"config-sentinel-fallback", health.SeverityError, "Sentinel mode is asked for, a single server is used",
		"`REDIS_SENTINEL_ENABLED=true` without a master name or with fewer than three sentinels, and not `REDIS_STRICT=true`.",
	}
	sentinelNotEnabled = findingKind{
		"config-sentinel-not-enabled", health.SeverityWarning, "Sentinel settings have no effect",
		"`REDIS_SENTINEL*` is set, `REDIS_SENTINEL_ENABLED` is not true. Info where it says false.",
	}
	sentinelEven = findingKind{
		"config-sentinel-even", health.SeverityWarning, "An even number of sentinels",
		"`REDIS_SENTINELS` lists 4, 6, … addresses: no more of them may fail than with one fewer.",
	}
	sentinelPort = findingKind{
		"config-sentinel-port", health.SeverityWarning, "A sentinel on the port of Redis",
		"`REDIS_SENTINELS` lists an address with port 6379.",
	}
	replicasUnknown = findingKind{
		"config-replica-reads-off", health.SeverityWarning, "Reads from replicas are asked for, and are off",
		"`REDIS_REPLICA_READS=true` beside an incomplete Sentinel configuration: a single server is used.",
	}
	redisPort = findingKind{
		"config-redis-port", health.SeverityWarning, "Redis on the port of a sentinel",
		"The port of `REDIS_PORT` or `REDIS_URL` is 26379.",
	}
	severalModes = findingKind{
		"config-several-modes", health.SeverityInfo, "Several ways to Redis are set",
		"A server is set beside Sentinel or Cluster mode, which wins.",
	}
	settingUnused = findingKind{
		"config-setting-unused", health.SeverityInfo, "A setting has no effect",
		"`REDIS_ADDRESS_MAP` for a single server, or `EVERCACHE_INSECURE=true` beside a token.",
	}
	tlsOff = findingKind{
		"config-tls-off", health.SeverityWarning, "TLS to Redis is set up and switched off",
		"`REDIS_TLS=false` beside other `REDIS_TLS_*` settings.",
	}
	memoryShort = findingKind{
		"config-memory", health.SeverityWarning, "The settings need more memory than the process may have",
		"What `EVERCACHE_MEMORY`, `EVERCACHE_OUTBOX_MEMORY` and `EVERCACHE_RING_MEMORY` allow does not fit the limit of the control group, or `GOMEMLIMIT`.",
	}
	listenerOpen = findingKind{
		"config-listener-open", health.SeverityWarning, "Anyone who reaches the port can read and write",
		"`EVERCACHE_INSECURE=true` on an address that is not loopback.",
	}
	secretReadable = findingKind{
		"config-secret-file-mode", health.SeverityInfo, "A secret's file is readable by everybody on this machine",
		"A `_FILE` of a secret, or a private key, has mode bit 0004, and is not under `/run/secrets`, where a container engine sets the mode.",
	}
	unknownName = findingKind{
		"config-unknown-name", health.SeverityWarning, "An unknown setting",
		"A `REDIS_*` or `EVERCACHE_*` variable that is no setting.",
	}
	kubernetesNames = findingKind{
		"config-kubernetes-names", health.SeverityInfo, "Variables made by Kubernetes are ignored",
		"`REDIS_PORT=tcp://…`, `REDIS_SERVICE_HOST` and the like, made for a Service called redis or evercache.",
	}
)

var findingKinds = []findingKind{
	sentinelFallback, replicasUnknown, sentinelNotEnabled, sentinelEven, sentinelPort, redisPort, severalModes,
	settingUnused, tlsOff, memoryShort, listenerOpen, secretReadable, unknownName, kubernetesNames,
}

// allFindings adds to what was found on the way what is known at the end.
func (r *reader) allFindings() []health.Finding {
	out := r.findings
	if len(r.unused) > 0 {
		out = append(out, settingUnused.finding(strings.Join(r.unused, " "), "Unset what is not needed."))
	}
	if len(r.openToOthers) > 0 {
		out = append(out, secretReadable.finding(
			"Everybody may read the file of "+strings.Join(r.openToOthers, ", ")+".",
			"chmod 0400, or defaultMode: 0400 for a Kubernetes Secret.",
		))
	}
	out = append(out, r.unknownFinding()...)
	return append(out, r.kubernetesFinding()...)
}

// checkKeyMode notes a private key that everybody may read.
func (r *reader) checkKeyMode(name, path string, data []byte, mode fs.FileMode) {
	if bytes.Contains(data, []byte("PRIVATE KEY-----")) {
		r.checkMode(name, path, mode)
	}
}

// checkMode notes a secret's file that everybody may read, where its mode is the
// operator's to choose.
func (r *reader) checkMode(name, path string, mode fs.FileMode) {
	if runtime.GOOS != "windows" && mode.Perm()&0o004 != 0 && !givenByEngine(path) {
		r.openToOthers = append(r.openToOthers, name)
	}
}

// givenByEngine reports whether a container engine has put the file where it is:
// Docker, Swarm, Compose and Podman mount secrets under /run/secrets, for one
// container alone, with a mode (0444) that cannot be changed in it.
func givenByEngine(path string) bool {
	path = filepath.Clean(path)
	return strings.HasPrefix(path, "/run/secrets/") || strings.HasPrefix(path, "/var/run/secrets/")
}

// maxListed bounds the names in a finding.
const maxListed = 16

func listed(names []string) string {
	if more := len(names) - maxListed; more > 0 {
		return strings.Join(names[:maxListed], ", ") + fmt.Sprintf(" and %d more", more)
	}
	return strings.Join(names, ", ")
}
