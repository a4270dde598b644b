package history

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/evercache/evercache/internal/censor"
	"github.com/evercache/evercache/internal/table"
)

// History is what a process remembers of the failovers since its start. Its JSON is what evercache history
// -o json prints: fields may be added, none is renamed.
type History struct {
	Source    string     `json:"source"`
	Count     int        `json:"failoverCount"` // all since the start; the list has the last ones
	Failovers []Failover `json:"failovers"`     // oldest first
	Short     bool       `json:"short"`         // the process did not tell: a token is needed
}

// Failover is one change of master. A time that is null is not known.
type Failover struct {
	At         time.Time  `json:"at"` // when the process adopted the new master
	From       string     `json:"from"`
	To         string     `json:"to"`
	Cause      string     `json:"cause"`
	Epoch      int64      `json:"epoch"`
	BlackoutMs int64      `json:"blackoutMs"` // callers had no master
	Replayed   uint64     `json:"replayed"`   // kept writes that were sent to the new one
	Shard      uint32     `json:"shard,omitzero"`
	SDown      *time.Time `json:"sdown"`     // some sentinel, or node of a Cluster, held the master down
	ODown      *time.Time `json:"odown"`     // enough of them did
	Promoted   *time.Time `json:"promoted"`  // the new master was seen to be one
	Confirmed  *time.Time `json:"confirmed"` // most name it
}

// MaxHealth bounds an answer of /health, in bytes.
const MaxHealth = 4 << 20

// maxListed bounds the failovers that are read.
const maxListed = 1000

// ErrNoHealth: the answer is none of /health.
var ErrNoHealth = errors.New("the answer is not that of /health of evercache")

// OfHealth reads the failovers in the body of /health. source is the address of who sent it.
func OfHealth(body []byte, source string) (History, error) {
	var r struct {
		Status string `json:"status"`
		Redis  struct {
			Mode              string `json:"mode"`
			Sentinel, Cluster *struct {
				FailoverCount int        `json:"failoverCount"`
				Failovers     []Failover `json:"failovers"`
			}
		} `json:"redis"`
		Details string `json:"details"`
	}
	if len(body) > MaxHealth {
		return History{}, fmt.Errorf("%w: more than %d bytes", ErrNoHealth, MaxHealth)
	}
	if err := json.Unmarshal(body, &r); err != nil || r.Status == "" || r.Redis.Mode == "" {
		return History{}, ErrNoHealth
	}
	h := History{Source: source, Failovers: []Failover{}, Short: r.Details != ""}
	for _, block := range []*struct {
		FailoverCount int        `json:"failoverCount"`
		Failovers     []Failover `json:"failovers"`
	}{r.Redis.Sentinel, r.Redis.Cluster} {
		if block == nil {
			continue
		}
		h.Count = block.FailoverCount
		for _, f := range block.Failovers[:min(len(block.Failovers), maxListed)] {
			f.From, f.To, f.Cause = line(f.From), line(f.To), line(f.Cause)
			h.Failovers = append(h.Failovers, f)
		}
	}
	return h, nil
}

// line makes a text of others fit to be shown.
func line(text string) string { return censor.Text(text, 300) }

// After is the failovers that are not in an earlier history.
func (h History) After(before History) (fresh []Failover) {
	for _, f := range h.Failovers {
		if !slices.ContainsFunc(before.Failovers, func(b Failover) bool { return b.At.Equal(f.At) && b.To == f.To && b.Shard == f.Shard }) {
			fresh = append(fresh, f)
		}
	}
	return fresh
}

// Text shows the history for people, in lines of at most width characters (0: any).
func (h History) Text(width int, colour bool) string {
	var lines []string
	switch {
	case h.Short:
		lines = append(lines, "It tells nothing without its token: set EVERCACHE_TOKEN or EVERCACHE_TOKEN_FILE.")
	case h.Count == 0:
		lines = append(lines, "no failover since the start of the process")
	case h.Count > len(h.Failovers):
		lines = append(lines, fmt.Sprintf("%d failovers since the start of the process; the last %d:", h.Count, len(h.Failovers)), "")
	}
	if len(h.Failovers) > 0 {
		lines = append(lines, table.Layout(rows(h.Failovers), width, colour)...)
	}
	return strings.Join(lines, "\n") + "\n"
}

func rows(all []Failover) []table.Row {
	head := []string{"When", "From", "To", "Cause", "Epoch", "No master for", "Held down", "Promoted to used", "Replayed"}
	sharded := slices.ContainsFunc(all, func(f Failover) bool { return f.Shard != 0 })
	if sharded {
		head = append(head, "Shard")
	}
	out := []table.Row{table.Of(table.Plain, head...)}
	for _, f := range all {
		cells := f.cells()
		if sharded {
			cells = append(cells, fmt.Sprint(f.Shard))
		}
		out = append(out, table.Of(table.Plain, cells...))
	}
	return out
}

// cells: how long the master was held down before another was used, and how long after its promotion that was.
func (f Failover) cells() []string {
	return []string{
		f.At.Local().Format("2006-01-02 15:04:05.000"), f.From, f.To, f.Cause, fmt.Sprint(f.Epoch),
		(time.Duration(f.BlackoutMs) * time.Millisecond).String(), f.until(f.SDown), f.until(f.Promoted), fmt.Sprint(f.Replayed),
	}
}

// until is how long before the adoption something was; "" if that is not known.
func (f Failover) until(at *time.Time) string {
	if at == nil || at.IsZero() || at.After(f.At) {
		return ""
	}
	return f.At.Sub(*at).Round(time.Millisecond).String()
}

// Line is one failover for people.
func (f Failover) Line() string {
	text := fmt.Sprintf("%s  %s is master in place of %s (%s, epoch %d): no master for %v, %d kept writes were sent",
		f.At.Local().Format("15:04:05.000"), f.To, f.From, f.Cause, f.Epoch, time.Duration(f.BlackoutMs)*time.Millisecond, f.Replayed)
	if f.Shard != 0 {
		text += fmt.Sprintf("  (shard %d)", f.Shard)
	}
	return text
}
