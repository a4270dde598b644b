package daemon

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/revoke"
	"github.com/evercache/evercache/stats"
)

// left counts the acknowledged writes, and revocations, that no Redis has.
type left struct {
	lost      int // with the process: they are in its memory only
	journaled int // in the journal: the next process with the same folder sends them
}

func leftBy(h health.Report, list stats.Denylist) left {
	switch j := h.Journal; {
	case !j.Enabled || j.Err != nil:
		return left{lost: h.OutboxEntries + list.Untaken}
	default:
		return left{
			lost:      j.Unsaved + list.Unsaved,
			journaled: max(0, j.Waiting-j.Unsaved) + max(0, list.Untaken-list.Unsaved),
		}
	}
}

// live is what runs, for a process that is ended before Run returns.
type live struct {
	client *evercache.Client
	list   *revoke.List // nil: none
}

func (r *live) left() left {
	var list stats.Denylist
	if r.list != nil {
		list = r.list.Stats()
	}
	return leftBy(r.client.Health(), list)
}

const inJournal = "the next start with the same EVERCACHE_JOURNAL_DIR sends them"

// tellJournaled says at the end that what is missing in Redis is not lost.
func (e *ending) tellJournaled(ctx context.Context) {
	r := live{e.client, e.list}
	if n := r.left().journaled; n > 0 {
		e.log.LogAttrs(ctx, slog.LevelInfo, fmt.Sprintf("%d writes that Redis does not have wait in the journal; %s", n, inJournal),
			slog.String("event", "server.journaled"), slog.Int("writes", n))
	}
}

// TellCutOff logs what an end at once leaves: for a process that does not wait for
// Run to return.
func (d *Daemon) TellCutOff(why string) {
	var n left
	if r := d.live.Load(); r != nil {
		n = r.left()
	}
	text := why + ": the process ends at once"
	level := slog.LevelInfo
	if n.lost > 0 {
		level = slog.LevelError
		text += fmt.Sprintf("; %d writes that Redis does not have are lost", n.lost)
	}
	if n.journaled > 0 {
		text += fmt.Sprintf("; %d writes wait in the journal, and %s", n.journaled, inJournal)
	}
	d.log.LogAttrs(context.Background(), level, text, slog.String("event", "server.cut_short"),
		slog.Int("unsaved_writes", n.lost), slog.Int("journaled_writes", n.journaled))
}

// Look takes a snapshot of all that runs, and waits for nobody but its own locks: for
// a watchdog, which ends a process in which it does not return.
func (d *Daemon) Look() {
	if r := d.live.Load(); r != nil {
		_ = r.left()
		_ = r.client.Health()
	}
}
