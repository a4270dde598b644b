package findings

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/evercache/evercache/health"
)

// Cluster is what is seen of a Cluster beside what a Report says.
type Cluster struct {
	Notes []ClusterNote
	// Clocks are the two masters whose clocks certainly differ most; nil: none do, as far
	// as is known.
	Clocks *ClocksDiffer
}

// ClusterNote is something about a Cluster, or about one of its nodes or shards, that
// has been so for long.
type ClusterNote struct {
	Code  string // of package health
	Shard uint32 // 0: none in particular
	Node  string // its address; "": none in particular
	ID    string // of the node
	Slots int    // how many
	First uint16 // the lowest of them
	Since time.Time
}

// ClocksDiffer are two masters, and how far apart their clocks are at least.
type ClocksDiffer struct {
	Behind, Ahead string
	By            time.Duration
}

// clusters lists what is wrong with a Cluster: one finding for each code, which names
// all that it is true of.
func clusters(h *health.Cluster, in Input) (fs []health.Finding) {
	if h == nil {
		return nil
	}
	seen := clusterSeen(h, in)
	for _, k := range clusterKinds {
		texts := seen[k.finding.Code]
		if len(texts) == 0 {
			continue
		}
		f := k.finding
		if len(h.Shards) == 0 && k.none.Title != "" {
			f.Severity, f.Title, f.Fix = health.SeverityError, k.none.Title, k.none.Fix
		}
		f.Detail = some(texts)
		fs = append(fs, f)
	}
	if len(h.Shards) == 0 && len(fs) == 0 {
		fs = append(fs, notFound(h))
	}
	return fs
}

// explains reports whether the findings about a Cluster say why it is not usable as a
// whole: by shards, or that none is known.
func explains(h *health.Cluster) bool {
	return h != nil && (len(h.Shards) == 0 || h.Unowned > 0 || slices.ContainsFunc(h.Shards, func(sh health.ClusterShard) bool { return !sh.InUse }))
}

// clusterSeen are the details of findings, by their codes.
func clusterSeen(h *health.Cluster, in Input) map[string][]string {
	seen := map[string][]string{}
	add := func(code, format string, a ...any) { seen[code] = append(seen[code], fmt.Sprintf(format, a...)) }
	told, away := map[string]bool{}, map[string]bool{}
	for _, sh := range h.Shards {
		if !sh.InUse && sh.Code != "" {
			told[sh.Code+sh.Master], away[sh.Master] = true, true
			add(sh.Code, "%s: %s", shardText(sh), errText(sh.Cause))
		}
	}
	for _, n := range h.Unreachable {
		if !away[n.Addr] {
			add(n.Code, "%s: %s", n.Addr, errText(n.Err))
		}
	}
	for _, n := range in.Cluster.Notes {
		if !told[n.Code+n.Node] {
			add(n.Code, "%s", n.text(h, in.Now))
		}
	}
	if in.Away != nil && h.Unowned > 0 && len(h.Shards) > 0 && len(seen[health.CodeClusterSlotUncovered]) == 0 {
		add(health.CodeClusterSlotUncovered, "slots without an owner: %d", h.Unowned)
	}
	if c := in.Cluster.Clocks; c != nil {
		add(health.CodeClusterClocksDiffer, "the clock of %s is at least %v behind that of %s", c.Behind, c.By.Round(time.Millisecond), c.Ahead)
	}
	if len(h.Forbidden) > 0 {
		add(health.CodeClusterUnproven, "missing: %s", strings.Join(h.Forbidden, ", "))
	}
	return seen
}

// mostTexts bounds what one finding names.
const mostTexts = 8

// some joins details, the first ones where there are many.
func some(texts []string) string {
	more := ""
	if n := len(texts) - mostTexts; n > 0 {
		texts, more = texts[:mostTexts], fmt.Sprintf("; and %d more", n)
	}
	return strings.Join(texts, "; ") + more
}

// shardText names a shard as an operator knows it.
func shardText(sh health.ClusterShard) string {
	return fmt.Sprintf("shard %d (master %s, %s)", sh.Number, sh.Master, slotsText(sh.Slots))
}

func slotsText(n int) string {
	if n == 1 {
		return "1 slot"
	}
	return fmt.Sprintf("%d slots", n)
}

func errText(err error) string {
	if err == nil {
		return "no answer"
	}
	return err.Error()
}

// text says what a note is about, and for how long it has been so.
func (n ClusterNote) text(h *health.Cluster, now time.Time) string {
	var parts []string
	if n.Node != "" {
		parts = append(parts, n.Node)
	}
	for _, sh := range h.Shards {
		if n.Shard != 0 && sh.Number == n.Shard {
			parts = append(parts, "of "+shardText(sh))
		}
	}
	if n.Slots > 0 {
		parts = append(parts, fmt.Sprintf("%s, the lowest is %d", slotsText(n.Slots), n.First))
	}
	if n.ID != "" && n.Code == health.CodeClusterRival {
		parts = append(parts, "node id "+n.ID)
	}
	text := strings.Join(parts, " ")
	switch {
	case !n.Since.IsZero():
		ago := fmt.Sprintf("for %v", max(0, now.Sub(n.Since)).Round(time.Second))
		if n.Code == health.CodeClusterReplaced {
			ago = "at " + n.Since.UTC().Format(time.RFC3339)
		}
		text = strings.TrimSpace(text + " " + ago)
	case text == "":
		text = "seen at the configured nodes: " + some(h.Configured)
	}
	return text
}

// notFound is about a Cluster that has not been found, where nothing else says why.
func notFound(h *health.Cluster) health.Finding {
	f := clusterNotFound
	f.Detail = "none of the configured nodes has answered yet"
	if h.Cause != nil {
		f.Detail = h.Cause.Error()
	}
	return f
}
