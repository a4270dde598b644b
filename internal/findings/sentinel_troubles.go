package findings

import (
	"fmt"
	"slices"
	"strings"

	"github.com/evercache/evercache/health"
)

// byTrouble says what a sentinel fails at, in the order of its weight.
var byTrouble = []struct {
	reason  Reason
	finding health.Finding
}{
	{SentinelLogin, health.Finding{
		Code: health.CodeSentinelAuth, Title: "The sentinels refuse the login",
		Fix: "Check REDIS_SENTINEL_USERNAME and REDIS_SENTINEL_PASSWORD, or REDIS_SENTINEL_PASSWORD_FILE. They are not those of Redis. Where the sentinels ask for no password, unset them.",
	}},
	{SentinelRights, health.Finding{
		Code: health.CodeSentinelNoPerm, Title: "The ACL of the sentinels forbids commands that evercache needs",
		Fix: "Allow the user of REDIS_SENTINEL_USERNAME what docs/operations.md lists for sentinels.",
	}},
	{SentinelMaster, health.Finding{
		Code: health.CodeSentinelUnknownMaster, Title: "The sentinels know no master of the configured name",
		Fix: "Set REDIS_SENTINEL_MASTER_NAME to one of the names that redis-cli -p 26379 SENTINEL MASTERS lists.",
	}},
	{SentinelTLS, health.Finding{
		Code: health.CodeSentinelTLS, Title: "The TLS handshake with the sentinels failed",
		Fix: "Check REDIS_SENTINEL_TLS (without it REDIS_TLS counts for the sentinels too), REDIS_TLS_CA_FILE, and the port: tls-port in sentinel.conf.",
	}},
	{SentinelOther, health.Finding{
		Code: health.CodeSentinelNotSentinel, Title: "The servers at the addresses of the sentinels are not sentinels",
		Fix: "Let REDIS_SENTINELS list the sentinels (port 26379 mostly), not the data nodes (6379).",
	}},
	{SentinelName, health.Finding{
		Code: health.CodeSentinelUnresolved, Title: "The names of the sentinels cannot be resolved",
		Fix: "Check the names in REDIS_SENTINELS (getent hosts NAME), and the DNS of this machine.",
	}},
	{SentinelAway, health.Finding{
		Code: health.CodeSentinelUnreachable, Title: "A sentinel does not answer",
		Fix: "Start it again. If it is gone for good, remove it everywhere (SENTINEL RESET on the others, one by one).",
	}},
}

// noneAnswers is SentinelAway where it is true of all.
var noneAnswers = health.Finding{
	Code: health.CodeSentinelUnreachable, Title: "No sentinel answers",
	Fix: "Check the hosts and ports in REDIS_SENTINELS, and the firewall: redis-cli -h HOST -p PORT PING. Start redis-sentinel there.",
}

// sentinelTrouble is what most sentinels fail at.
func sentinelTrouble(r Reason) (f health.Finding, ok bool) {
	for _, t := range byTrouble {
		if t.reason == r {
			f, ok = t.finding, true
		}
	}
	if r == SentinelAway {
		f = noneAnswers
	}
	f.Severity = health.SeverityError
	return f, ok
}

// SentinelCode is the code of what a sentinel fails at.
func SentinelCode(r Reason) string {
	f, _ := sentinelTrouble(r)
	return f.Code
}

// troubles reports what each sentinel fails at, one finding for each cause.
func troubles(h *health.Sentinel) (fs []health.Finding) {
	for _, t := range byTrouble {
		texts := errorsOf(h, t.finding.Code)
		if len(texts) == 0 {
			continue
		}
		f := t.finding
		f.Severity = health.SeverityWarning
		if !h.CanFailOver {
			f.Severity = health.SeverityError
		}
		if t.reason == SentinelAway {
			if h.Reachable == 0 {
				f.Title, f.Fix = noneAnswers.Title, noneAnswers.Fix
			} else if !h.CanFailOver && h.CurrentMaster != "" {
				continue // reported as sentinel-no-quorum
			}
		}
		f.Detail = strings.Join(texts, "; ")
		if t.reason == SentinelMaster { // the errors do not tell what was looked for
			f.Detail = fmt.Sprintf("%q is unknown: ", h.MasterName) + f.Detail
		}
		fs = append(fs, f)
	}
	return fs
}

// errorsOf are the errors that make one finding, each with its sentinel.
func errorsOf(h *health.Sentinel, code string) (texts []string) {
	for _, s := range h.Sentinels {
		switch {
		case s.Err != nil && s.Code == code:
			texts = append(texts, s.Addr+": "+s.Err.Error())
		case s.Err == nil && !s.Reachable && code == noneAnswers.Code && asked(h):
			texts = append(texts, s.Addr)
		}
	}
	return texts
}

// asked reports whether any sentinel has been asked yet.
func asked(h *health.Sentinel) bool {
	return slices.ContainsFunc(h.Sentinels, func(s health.SentinelNode) bool { return s.Reachable || s.Err != nil })
}

// quorum says how many sentinels there are for a failover.
func quorum(h *health.Sentinel) string {
	text := fmt.Sprintf("%d of %d answer", h.Reachable, h.Known)
	if h.Monitoring < h.Reachable {
		text += fmt.Sprintf(", %d of them know the master %q", h.Monitoring, h.MasterName)
	}
	text += fmt.Sprintf("; a majority needs %d", h.Needed)
	if h.Quorum > 0 {
		text += fmt.Sprintf(", the quorum is %d", h.Quorum)
	}
	if away := errorsOf(h, noneAnswers.Code); len(away) > 0 {
		text += ". " + strings.Join(away, "; ")
	}
	return text
}
