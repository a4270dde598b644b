package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/evercacheprom"
	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/audit"
)

// actorOpen is the actor of a call where no token is needed.
const actorOpen = "open"

// openAudit opens the audit log that the settings ask for; nil: none. Who asked for one must
// not find out later that there is none.
func (d *Daemon) openAudit() (*audit.Log, error) {
	if d.cfg.Server.AuditLog == "" {
		return nil, nil
	}
	l, err := audit.Open(d.cfg.Server.AuditLog)
	if err != nil {
		return nil, fmt.Errorf("EVERCACHE_AUDIT_LOG: %w; name a file in a folder that this process may write", err)
	}
	return l, nil
}

func event(q *request, what string, fault *apiError) audit.Event {
	e := audit.Event{Event: what, Outcome: "ok", Actor: q.actor, Remote: q.RemoteAddr, RequestID: q.id}
	if fault != nil {
		e.Outcome = fault.code
	}
	return e
}

func (a *api) auditRefusal(q *request, fault *apiError, others int) {
	if a.audit == nil {
		return
	}
	e := event(q, audit.Refused, fault)
	e.Detail, e.Count = q.Method+" "+q.routeName(), new(int64(others)+1)
	a.audit.Add(e)
}

func (a *api) auditPrefix(q *request, class, prefix string, n int, r evercache.Receipt, fault *apiError) {
	if a.audit == nil {
		return
	}
	e := event(q, audit.PrefixDeleted, fault)
	e.Class, e.Target = class, "*"
	if prefix != "" {
		e.Target = audit.Digest(a.idKey.Reveal(), prefix)
	}
	if fault == nil {
		e.Durability = r.Durability.String()
		if n >= 0 {
			e.Count = new(int64(n))
		}
	}
	a.audit.Add(e)
}

func (a *api) auditRevocation(q *request, b revocationBody, r evercache.Receipt, fault *apiError) {
	if a.audit == nil {
		return
	}
	what, id := audit.Revoked, b.ID
	if b.Subject != "" {
		what, id = audit.RevokedAll, b.Subject
	}
	e := event(q, what, fault)
	e.Target = audit.Digest(a.idKey.Reveal(), id)
	if fault == nil {
		e.Durability = r.Durability.String()
	}
	a.audit.Add(e)
}

func (d *Daemon) auditStart(l *audit.Log) {
	l.Add(audit.Event{Event: audit.Started, Outcome: "ok", Detail: "version " + evercacheprom.ReadBuild().Version})
}

// auditEnd writes how the process has ended. A disk that hangs gets a moment.
func (d *Daemon) auditEnd(l *audit.Log, err error) {
	if l == nil {
		return
	}
	e := audit.Event{Event: audit.Stopped, Outcome: "ok"}
	if err != nil {
		e.Outcome = "unclean"
	}
	l.Add(e)
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if lost := l.Close(ctx); lost > 0 {
		d.log.LogAttrs(ctx, slog.LevelError, "events are missing in the audit log", slog.String("event", "audit.lost"), slog.Uint64("events", lost))
	}
}

// auditFindings tell that the audit log cannot be written, or misses events.
func auditFindings(l *audit.Log) []health.Finding {
	s := l.State()
	if s.Err == nil && s.Lost == 0 {
		return nil
	}
	f := health.Finding{
		Code: "audit-failed", Severity: health.SeverityWarning,
		Title:  "Events are missing in the audit log",
		Detail: fmt.Sprintf("missing so far: %d", s.Lost),
		Fix:    "Nothing can bring them back; the file says where they are missing. Restart the process to end this finding.",
	}
	if s.Err != nil {
		f.Severity = health.SeverityError
		f.Title = "The audit log cannot be written"
		f.Detail += fmt.Sprintf("; since %s: %v", s.Since.UTC().Format(time.RFC3339), s.Err)
		f.Fix = "Look at the disk and the folder of EVERCACHE_AUDIT_LOG. Requests are served meanwhile."
	}
	return []health.Finding{f}
}

func auditMetrics(l *audit.Log) (all []prometheus.Collector) {
	if l == nil {
		return nil
	}
	for _, kind := range audit.Kinds() {
		all = append(all, prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "evercache_audit_events_total", Help: "Events that were to be written to the audit log, by what has happened; absent without an audit log.",
			ConstLabels: prometheus.Labels{"event": kind},
		}, func() float64 { return float64(l.Events(kind)) }))
	}
	return append(all, prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "evercache_audit_events_lost_total", Help: "Events that are missing in the audit log, because it could not be written; absent without an audit log.",
	}, func() float64 { return float64(l.State().Lost) }))
}
