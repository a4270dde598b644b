package status

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/censor"
	"github.com/evercache/evercache/stats"
)

// report is the JSON of Health. The order and the types of the fields down to
// Sentinel are a contract with existing monitors; the fields after it are ours,
// and more may follow at the end of each block.
type report struct {
	Status   word             `json:"status"`
	Redis    redis            `json:"redis"`
	Findings []health.Finding `json:"findings"`

	Revocations *denylist `json:"revocations,omitempty"`
}

// shortReport is what everybody may read. Its fields are those of report.
type shortReport struct {
	Status word       `json:"status"`
	Redis  shortRedis `json:"redis"`
	// Details says how to get the rest.
	Details string `json:"details"`
}

type shortRedis struct {
	Status    word   `json:"status"`
	Connected bool   `json:"connected"`
	Message   string `json:"message"`
	Mode      string `json:"mode"`
}

func newShortReport(r report) shortReport {
	return shortReport{
		Status:  r.Status,
		Redis:   shortRedis{r.Redis.Status, r.Redis.Connected, r.Redis.Message, r.Redis.Mode},
		Details: "left out without the token: Authorization: Bearer",
	}
}

type redis struct {
	Status    word    `json:"status"`
	Connected bool    `json:"connected"` // a verified master answers
	Message   string  `json:"message"`
	Mode      string  `json:"mode"`
	Metrics   metrics `json:"metrics"`

	Sentinel *sentinel `json:"sentinel,omitempty"`

	State         string     `json:"state"`
	Since         *time.Time `json:"since"` // when State began
	RequestedMode string     `json:"requestedMode"`
	Master        *string    `json:"master"` // last verified, host:port
	Cause         *string    `json:"cause"`  // why Redis is not used
	Outbox        outbox     `json:"outbox"`
	Feed          feed       `json:"feed"`
	Recovery      recovery   `json:"recovery"`

	Cluster *cluster `json:"cluster,omitempty"`
}

// metrics counts callers' reads over both levels since the process started.
type metrics struct {
	Hits    uint64  `json:"hits"`
	Misses  uint64  `json:"misses"`
	HitRate float64 `json:"hitRate"` // four decimals; 0 without traffic
	Sets    uint64  `json:"sets"`
	Deletes uint64  `json:"deletes"`
	Errors  uint64  `json:"errors"`
}

// outbox is what waits for the next master.
type outbox struct {
	Entries       int     `json:"entries"`
	Bytes         int64   `json:"bytes"`
	OldestSeconds float64 `json:"oldestSeconds"`
}

func newReport(h health.Report, s stats.Snapshot, draining bool) report {
	status := statusOf(h, draining)
	findings := h.Findings
	if findings == nil {
		findings = []health.Finding{} // [], not null
	}
	return report{
		Status: status,
		Redis: redis{
			Status:        status,
			Connected:     h.Connected,
			Message:       message(h, draining),
			Mode:          h.Mode.String(),
			Metrics:       newMetrics(s),
			Sentinel:      newSentinel(h.Sentinel),
			State:         h.State.String(),
			Since:         unless(h.Since.IsZero(), h.Since.UTC()),
			RequestedMode: h.RequestedMode.String(),
			Master:        unless(h.Master == "", h.Master),
			Cause:         cause(h.Cause),
			Outbox:        newOutbox(h),
			Feed:          newFeed(h.Feed),
			Recovery:      newRecovery(h.Recovery),
			Cluster:       newCluster(h.Cluster),
		},
		Findings: findings,
	}
}

func newMetrics(s stats.Snapshot) metrics {
	return metrics{
		Hits: s.Hits, Misses: s.Misses, HitRate: hitRate(s.Hits, s.Misses),
		Sets: s.Sets, Deletes: s.Deletes, Errors: s.Errors,
	}
}

func newOutbox(h health.Report) outbox {
	return outbox{
		Entries:       h.OutboxEntries,
		Bytes:         h.OutboxBytes,
		OldestSeconds: h.OutboxOldest.Round(time.Millisecond).Seconds(),
	}
}

// hitRate has four decimals, and is 0 without traffic.
func hitRate(hits, misses uint64) float64 {
	reads := float64(hits) + float64(misses)
	if reads == 0 {
		return 0
	}
	return math.Round(float64(hits)/reads*1e4) / 1e4
}

// message is one sentence for people. The first form is read by monitors too.
func message(h health.Report, draining bool) string {
	mode := modeName(h.Mode)
	switch {
	case draining:
		return fmt.Sprintf("Shutting down (%s)", mode)
	case h.State == health.Closed:
		return fmt.Sprintf("The client is closed (%s)", mode)
	case h.Mode == health.ModeMemoryOnly:
		return "Memory answers; no Redis is used (Memory mode)"
	case h.State == health.Connected:
		return fmt.Sprintf("Redis is healthy (%s)", mode)
	case h.State == health.Recovering:
		return fmt.Sprintf("Redis answers, still to be sent to it: %s (%s)", writes(h.OutboxEntries), mode)
	case h.OutboxEntries > 0:
		return fmt.Sprintf("%s, memory answers and keeps %s for it (%s)", absent(h), writes(h.OutboxEntries), mode)
	}
	return fmt.Sprintf("%s, memory answers (%s)", absent(h), mode)
}

// absent is what is away: of a Cluster it may be a part.
func absent(h health.Report) string {
	if h.Cluster == nil || h.Cluster.Unowned > 0 {
		return "Redis is unavailable"
	}
	away := 0
	for _, s := range h.Cluster.Shards {
		if !s.InUse {
			away++
		}
	}
	if away == 0 || away == len(h.Cluster.Shards) {
		return "Redis is unavailable"
	}
	return fmt.Sprintf("The masters of %d of %d shards are unavailable", away, len(h.Cluster.Shards))
}

func writes(n int) string {
	if n == 1 {
		return "1 write"
	}
	return fmt.Sprintf("%d writes", n)
}

func modeName(m health.Mode) string {
	switch m {
	case health.ModeStandalone:
		return "Standalone mode"
	case health.ModeSentinel:
		return "Sentinel mode"
	case health.ModeCluster:
		return "Cluster mode"
	}
	return "Memory mode"
}

// maxCause bounds the text of an error, in bytes.
const maxCause = 1 << 10

// cause is the text of err as it can be shown; null when there is none.
func cause(err error) *string {
	if err == nil {
		return nil
	}
	return new(censor.Text(strings.ReplaceAll(err.Error(), "\n", "; "), maxCause))
}

// unless is null where absent, else v.
func unless[T any](absent bool, v T) *T {
	if absent {
		return nil
	}
	return &v
}
