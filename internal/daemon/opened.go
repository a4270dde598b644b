package daemon

import (
	"context"
	"errors"
	"net"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/internal/audit"
	"github.com/evercache/evercache/internal/otlp"
	"github.com/evercache/evercache/revoke"
)

// opened is what a Daemon needs from the system.
type opened struct {
	client  *evercache.Client
	ln      net.Listener
	bounded *bounded     // below ln
	list    *revoke.List // nil: none
	admin   administered
	audit   *audit.Log   // nil: none
	traces  *otlp.Tracer // nil: none
}

// openAll opens everything, or nothing.
func (d *Daemon) openAll(ctx context.Context) (o opened, err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, o.close())
		}
	}()
	if o.traces = d.openTraces(); o.traces != nil {
		d.cfg.Redis.Tracer = redisSpans{}
	}
	if o.client, err = evercache.Open(ctx, d.cfg.Redis); err != nil { // does not wait for Redis
		return o, &ConfigError{err}
	}
	if o.ln, o.bounded, err = d.listen(ctx); err != nil {
		return o, err
	}
	if o.list, err = d.openDenylist(o.client); err != nil {
		return o, &ConfigError{err}
	}
	if o.admin, err = d.administer(ctx); err != nil {
		return o, err
	}
	if o.audit, err = d.openAudit(); err != nil {
		return o, &ConfigError{err}
	}
	return o, nil
}

// close closes what was opened before something could not be.
func (o opened) close() (err error) {
	o.admin.close()
	if o.list != nil {
		err = errors.Join(err, o.list.Close())
	}
	if o.ln != nil {
		err = errors.Join(err, o.ln.Close())
	}
	if o.client != nil {
		err = errors.Join(err, o.client.Close())
	}
	endTraces(o.traces)
	return err
}
