package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/admin"
)

// administered is the admin listener of a Daemon. The zero value has none.
type administered struct {
	srv    *http.Server
	ln     net.Listener
	flight *admin.Flight
	ended  chan struct{}
}

// keepFlights lets the flight recorder keep the moments before each failover's end.
func (d *Daemon) keepFlights() {
	if d.cfg.Server.AdminListen == "" {
		return
	}
	before := d.cfg.Redis.Events.Failover
	d.cfg.Redis.Events.Failover = func(f health.Failover) {
		d.flight.Load().Keep()
		if before != nil {
			before(f)
		}
	}
}

// administer opens the admin listener that the settings ask for.
func (d *Daemon) administer(ctx context.Context) (a administered, _ error) {
	if d.cfg.Server.AdminListen == "" {
		return a, nil
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", d.cfg.Server.AdminListen)
	if err != nil {
		return a, fmt.Errorf("EVERCACHE_ADMIN_LISTEN: %w", err)
	}
	flight, err := admin.StartFlight()
	if err != nil { // another one runs in this process
		d.log.LogAttrs(ctx, slog.LevelWarn, "the flight recorder does not run", slog.String("event", "admin.no_flight"), slog.Any("error", err))
	}
	d.flight.Store(flight)
	a = administered{srv: admin.New(d.Level, flight, d.log).Server(), ln: ln, flight: flight, ended: make(chan struct{})}
	go func() {
		defer close(a.ended)
		if err := a.srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			d.log.LogAttrs(context.Background(), slog.LevelError, "the admin listener has ended", slog.String("event", "admin.failed"), slog.Any("error", err))
		}
	}()
	d.log.LogAttrs(ctx, slog.LevelInfo, "admin listener", slog.String("event", "admin.listening"), slog.String("address", ln.Addr().String()))
	return a, nil
}

// adminGrace is for answers under way at the end.
const adminGrace = 200 * time.Millisecond

func (a administered) close() {
	if a.srv == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), adminGrace)
	defer cancel()
	if a.srv.Shutdown(ctx) != nil {
		_ = a.srv.Close() // a profile that is being made; nobody can do anything about its error
	}
	<-a.ended
	a.flight.Stop()
}
