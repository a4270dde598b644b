// Package daemon is the cache as a service over HTTP: what evercache serve runs.
//
// Its promises: every path is taken as it was sent and none is redirected; a
// request never waits for a Redis that is away; nothing secret, no key and no
// value is ever logged; every request, body, header and connection is bounded.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/config"
	"github.com/evercache/evercache/evercacheprom"
	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/admin"
	"github.com/evercache/evercache/revoke"
	"github.com/evercache/evercache/status"
)

// Times of one connection. A slow or silent peer costs a slot, not a goroutine
// for ever.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 30 * time.Second
	writeTimeout      = 65 * time.Second // reading, then the longest call: a delete by prefix
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 16 << 10 // a key of 1 KiB takes 3 KiB encoded
)

// Daemon is one instance of the service.
type Daemon struct {
	cfg config.Config
	log *slog.Logger
	// connections is how many callers may have at the same time.
	connections int
	addr        net.Addr
	listening   chan struct{}
	live        atomic.Pointer[live] // nil before Run has opened it
	flight      atomic.Pointer[admin.Flight]
	// Level is that of the log, for the admin listener. It may be set before Run.
	Level *slog.LevelVar
}

// ConfigError means that the settings are wrong: starting again is no use. Its
// text lists every fault.
type ConfigError struct{ Err error }

func (e *ConfigError) Error() string { return e.Err.Error() }
func (e *ConfigError) Unwrap() error { return e.Err }

// New prepares a Daemon; Run does everything else.
func New(cfg config.Config, log *slog.Logger) *Daemon {
	cfg.Redis.Logger = log
	most := connectionsFor(cfg)
	cfg.Redis.Findings = append(slices.Clone(cfg.Redis.Findings), descriptorFindings(most)...)
	d := &Daemon{cfg: cfg, log: log, connections: most, listening: make(chan struct{}), Level: &slog.LevelVar{}}
	d.Level.Set(cfg.Server.LogLevel)
	d.keepFlights()
	return d
}

// Listening is closed when requests are answered; Addr says where from then on.
func (d *Daemon) Listening() <-chan struct{} { return d.listening }

// Addr is the address of the listener. It is valid once Listening is closed.
func (d *Daemon) Addr() net.Addr { return d.addr }

// Run serves until ctx ends, then drains: readiness turns red at once, the
// listener closes after the configured delay, requests under way finish, and what
// the outbox holds is sent or saved, all within the configured time. Its error is nil after a clean end,
// a *ConfigError when the settings cannot work, and counts the writes that could
// not be saved (*evercache.UnsavedError) otherwise.
func (d *Daemon) Run(ctx context.Context) error {
	o, err := d.openAll(ctx)
	if err != nil {
		return err
	}
	defer o.admin.close()
	client, list, open := o.client, o.list, o.bounded
	d.auditStart(o.audit)
	d.live.Store(&live{client, list})
	st := status.New(client)
	st.SetFindings(func() []health.Finding { return append(open.fullFindings(), auditFindings(o.audit)...) })
	release := d.hold(st)
	a := d.api(client, st, list)
	a.audit, a.tracer = o.audit, o.traces
	a.metrics.registry.MustRegister(slices.Concat(open.metrics(), auditMetrics(o.audit), traceMetrics(o.traces))...)
	end := &ending{Daemon: d, api: a, client: client, list: list, srv: d.server(a), open: open}
	served := make(chan error, 1)
	var serving sync.WaitGroup
	serving.Go(func() { served <- end.srv.Serve(o.ln) }) // until drain closes the listener
	inspecting, done := context.WithCancel(ctx)
	defer done()
	serving.Go(func() { a.keepInspecting(inspecting, d.cfg.Server.InspectEvery) })
	serving.Go(func() { d.awaitDenylist(a.status, list) })
	serving.Go(func() { d.awaitRedis(ctx, release, client) })
	d.announce(client, o.ln)

	select {
	case <-ctx.Done():
		delay := d.cfg.Server.ShutdownDelay
		d.log.LogAttrs(ctx, slog.LevelInfo, "draining", slog.String("event", "server.draining"),
			slog.Any("reason", context.Cause(ctx)), slog.Float64("reachable_s", delay.Seconds()))
		err = end.drain(delay)
		serving.Wait()
	case err = <-served:
		err = errors.Join(fmt.Errorf("serve: %w", err), end.drain(0))
	}
	endTraces(o.traces)
	d.auditEnd(o.audit, err)
	return err
}

func (d *Daemon) api(c *evercache.Client, st *status.Status, list *revoke.List) *api {
	open := func(class string) (cache, error) {
		return evercache.NewCache[[]byte](c, class, d.cfg.Policy)
	}
	s := d.cfg.Server
	a := &api{
		client:     c,
		classes:    newClasses(s.MaxClasses, open),
		status:     st,
		tokens:     newTokens(s.Tokens, d.log),
		hosts:      newHosts(s.Hosts),
		rooms:      newRooms(s.BodyMemory),
		deletes:    make(chan struct{}, mostDeletes),
		pages:      newPages(),
		inspecting: make(chan struct{}, 1),
		idKey:      s.RevocationsKey,
		limits:     limits{bodyBytes: s.MaxBodyBytes, ttl: s.MaxTTL},
		metrics:    newHTTPMetrics(reported{c, st}),
		log:        d.log,
		inside:     s.OnLoopback(),
	}
	if list != nil {
		a.denylist = list
		a.metrics.registry.MustRegister(evercacheprom.NewRevocations(list.Stats))
		st.SetDenylist(list.Stats)
		if d.cfg.Server.Revocations == config.RevocationsRequired {
			st.SetStarting()
		}
	}
	a.metrics.registry.MustRegister(a.rooms.metrics()...)
	a.routes = a.newRoutes()
	a.metrics.prepare(a.routes)
	return a
}

func (d *Daemon) server(h http.Handler) *http.Server {
	return &http.Server{
		Handler:                      answers(h),
		ConnContext:                  withSpoken,
		ConnState:                    between,
		ReadHeaderTimeout:            readHeaderTimeout,
		ReadTimeout:                  readTimeout,
		WriteTimeout:                 writeTimeout,
		IdleTimeout:                  idleTimeout,
		MaxHeaderBytes:               maxHeaderBytes,
		DisableGeneralOptionsHandler: true, // OPTIONS * is a path like any other
		ErrorLog:                     slog.NewLogLogger(d.log.Handler(), slog.LevelDebug),
	}
}

// announce tells the log what is wrong with the configuration and where we
// listen. How Redis is comes from the client, which logs every change of it.
func (d *Daemon) announce(c *evercache.Client, ln net.Listener) {
	ctx, h := context.Background(), c.Health()
	d.tellFindings()
	d.log.LogAttrs(ctx, slog.LevelInfo, "listening",
		slog.String("event", "server.listening"),
		slog.String("address", ln.Addr().String()),
		slog.String("mode", h.Mode.String()),
		slog.String("requested_mode", h.RequestedMode.String()),
		slog.Bool("tls", d.cfg.Server.TLSCertFile != ""),
		slog.Bool("token", d.cfg.Server.Tokens.Any()),
		slog.String("version", evercacheprom.ReadBuild().Version))
	d.addr = ln.Addr()
	close(d.listening)
}

// tellFindings logs what the settings were found to have.
func (d *Daemon) tellFindings() {
	for _, f := range d.cfg.Redis.Findings {
		d.log.LogAttrs(context.Background(), f.Severity.Level(), f.Title,
			append([]slog.Attr{slog.String("event", "config.finding")}, f.LogAttrs()...)...)
	}
}
