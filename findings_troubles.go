package evercache

import (
	"fmt"
	"slices"
	"strings"

	"github.com/evercache/evercache/internal/watch"
)

type troubleFinding struct {
	blame   watch.Blame
	finding Finding
}

// sentinelTroubles say what a sentinel fails at, in the order of their weight.
var sentinelTroubles = []troubleFinding{
	{watch.BlameLogin, Finding{
		Code: "sentinel-auth", Title: "The sentinels refuse our login",
		Fix: "Check REDIS_SENTINEL_USERNAME and REDIS_SENTINEL_PASSWORD, or REDIS_SENTINEL_PASSWORD_FILE. They are not those of Redis. Where the sentinels ask for no password, unset them.",
	}},
	{watch.BlameRights, Finding{
		Code: "sentinel-noperm", Title: "The ACL of the sentinels forbids what evercache asks",
		Fix: "Allow the user of REDIS_SENTINEL_USERNAME what docs/operations.md lists for sentinels.",
	}},
	{watch.BlameMaster, Finding{
		Code: "sentinel-unknown-master", Title: "The sentinels answer, and know no master of the configured name",
		Fix: "Set REDIS_SENTINEL_MASTER_NAME to one of the names that redis-cli -p 26379 SENTINEL MASTERS lists.",
	}},
	{watch.BlameTLS, Finding{
		Code: "sentinel-tls", Title: "The TLS handshake with the sentinels failed",
		Fix: "Check REDIS_SENTINEL_TLS (without it REDIS_TLS counts for the sentinels too), REDIS_TLS_CA_FILE, and the port: tls-port in sentinel.conf.",
	}},
	{watch.BlameNoSentinel, Finding{
		Code: "sentinel-not-sentinel", Title: "What answers at the addresses of the sentinels is no sentinel",
		Fix: "Let REDIS_SENTINELS list the sentinels (port 26379 mostly), not the data nodes (6379).",
	}},
	{watch.BlameName, Finding{
		Code: "sentinel-unresolved", Title: "The names of the sentinels cannot be resolved",
		Fix: "Check the names in REDIS_SENTINELS (getent hosts NAME), and the DNS of this machine.",
	}},
	{watch.BlameAway, Finding{
		Code: "sentinel-unreachable", Title: "A sentinel does not answer",
		Fix: "Start it again, or remove it everywhere (SENTINEL RESET on the others, one by one) if it is gone for good.",
	}},
}

// noneAnswers is BlameAway where it is true of all.
var noneAnswers = Finding{
	Code: "sentinel-unreachable", Title: "No sentinel answers",
	Fix: "Check the hosts and ports in REDIS_SENTINELS, and the firewall: redis-cli -h HOST -p PORT PING. Start redis-sentinel there.",
}

// sentinelTrouble is what most sentinels fail at.
func sentinelTrouble(b watch.Blame) Finding {
	f := noneAnswers
	for _, t := range sentinelTroubles {
		if t.blame == b && b != watch.BlameAway {
			f = t.finding
		}
	}
	f.Severity = Error
	return f
}

// troubleFindings tell what each sentinel fails at, one finding for each cause.
func (h *SentinelHealth) troubleFindings() (fs []Finding) {
	for _, t := range sentinelTroubles {
		texts := h.errorsOf(t.blame)
		if len(texts) == 0 {
			continue
		}
		f := t.finding
		f.Severity = Warning
		if !h.CanFailOver {
			f.Severity = Error
		}
		if t.blame == watch.BlameAway {
			if h.Reachable == 0 {
				f.Title, f.Fix = noneAnswers.Title, noneAnswers.Fix
			} else if !h.CanFailOver && h.CurrentMaster != "" {
				continue // that is told as a quorum that is missing
			}
		}
		f.Detail = h.says(t.blame) + strings.Join(texts, "; ")
		fs = append(fs, f)
	}
	return fs
}

// says begins the detail where the errors alone do not tell what was looked for.
func (h *SentinelHealth) says(b watch.Blame) string {
	if b == watch.BlameMaster {
		return fmt.Sprintf("%q is unknown: ", h.MasterName)
	}
	return ""
}

// errorsOf are the errors of one kind, each with its sentinel.
func (h *SentinelHealth) errorsOf(b watch.Blame) (texts []string) {
	for _, s := range h.Sentinels {
		switch {
		case s.Err != nil && watch.BlameFor(s.Err) == b:
			texts = append(texts, s.Addr+": "+s.Err.Error())
		case s.Err == nil && !s.Reachable && b == watch.BlameAway && h.asked():
			texts = append(texts, s.Addr)
		}
	}
	return texts
}

// asked reports whether any sentinel has been asked yet.
func (h *SentinelHealth) asked() bool {
	return slices.ContainsFunc(h.Sentinels, func(s SentinelNode) bool { return s.Reachable || s.Err != nil })
}

// quorum says how many sentinels there are for a failover.
func (h *SentinelHealth) quorum() string {
	text := fmt.Sprintf("%d of %d answer", h.Reachable, h.Known)
	if h.Monitoring < h.Reachable {
		text += fmt.Sprintf(", %d of them know the master %q", h.Monitoring, h.MasterName)
	}
	text += fmt.Sprintf("; a majority needs %d", h.Needed)
	if h.Quorum > 0 {
		text += fmt.Sprintf(", the quorum is %d", h.Quorum)
	}
	if away := h.errorsOf(watch.BlameAway); len(away) > 0 {
		text += ". " + strings.Join(away, "; ")
	}
	return text
}
