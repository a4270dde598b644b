package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/config"
	"github.com/evercache/evercache/internal/daemon"
	"github.com/evercache/evercache/internal/logqueue"
)

func serveCommand() command {
	return command{
		name:    "serve",
		summary: "Serve the cache over HTTP",
		help: `Serves the cache over HTTP until SIGTERM or an interrupt, then finishes what is
under way and sends what it keeps for Redis; a second signal, a second or more
later, ends it at once. SIGHUP does the same where a terminal has hung up, and is
ignored elsewhere. SIGQUIT logs what every goroutine does and ends nothing.
On an address that others can reach it answers for 3 s more while /readyz says 503
(EVERCACHE_SHUTDOWN_DELAY). It starts whether Redis is there or not, and connects
when Redis comes. systemd is told when it listens, lives and ends (Type=notify).

Settings, from the environment (docs/configuration.md has them all):
  EVERCACHE_LISTEN         address, default 127.0.0.1:3000; any other than
                           loopback needs a token, or EVERCACHE_INSECURE=true
  EVERCACHE_TOKEN          bearer token for everything, or EVERCACHE_TOKEN_FILE;
                           there are others for some calls only
  EVERCACHE_HOSTS          names that requests may use besides localhost
  EVERCACHE_TTL            how long a value lives without ?ttl=, default 1h
  OTEL_EXPORTER_OTLP_ENDPOINT
                           an OpenTelemetry collector, for traces; default none

Where Redis is, one of:
  REDIS_HOST, REDIS_PORT   one server, or REDIS_URL; default localhost:6379
  REDIS_SENTINEL_ENABLED=true with REDIS_SENTINEL_MASTER_NAME and REDIS_SENTINELS
                           a Sentinel set: at least three sentinels
  REDIS_CLUSTER_NODES      a Redis Cluster: some of its nodes

Examples:
  evercache serve
  REDIS_URL=redis://cache.internal:6379 evercache serve
  REDIS_SENTINEL_ENABLED=true REDIS_SENTINEL_MASTER_NAME=mymaster \
    REDIS_SENTINELS=s1:26379,s2:26379,s3:26379 evercache serve
  REDIS_CLUSTER_NODES=node-1:6379,node-2:6379,node-3:6379 evercache serve
  EVERCACHE_LISTEN=:3000 EVERCACHE_TOKEN_FILE=/run/secrets/token evercache serve

  curl -X PUT --data hello 'localhost:3000/v1/cache/demo/a?ttl=60s'
  curl localhost:3000/v1/cache/demo/a
  curl localhost:3000/health

Exit status: 0 after a clean end; 1 when it could not listen, or some writes could
not be saved at the end; 2 when the configuration is wrong: every fault is listed;
143 or 130 when a second signal (SIGTERM or an interrupt) ended it at once: the
last line of the log counts the writes that are lost.
`,
		run: serve,
	}
}

func serve(inv invocation, args []string) int {
	var fs flag.FlagSet
	if status, ok := serveCommand().parse(inv, &fs, args); !ok {
		return status
	}
	cfg, err := config.FromEnv(inv.environ)
	if err != nil {
		return wrongConfig(inv, err)
	}
	mem := limitMemory(inv.environ, os.DirFS("/"))
	cfg = cfg.Within(mem.most())
	var level slog.LevelVar // the admin listener may change it
	level.Set(cfg.Server.LogLevel)
	logs := logqueue.New(daemon.NewLogger(inv.stderr, &level, cfg.Server.LogFormat).Handler(), &level, logqueue.Bounds{})
	defer flush(logs)
	log := slog.New(logs)
	slog.SetDefault(log) // whoever else logs must not wait for its reader either
	mem.log(log, cfg)
	d := daemon.New(cfg, log)
	d.Level = &level
	ctx := watchSignals(log, func(second os.Signal) {
		d.TellCutOff("second signal, " + second.String())
		flush(logs)
	})
	told := tellSystemd(ctx, inv.environ, d, log)
	err = d.Run(ctx)
	told()
	if wrong, ok := errors.AsType[*daemon.ConfigError](err); ok {
		return wrongConfig(inv, wrong)
	}
	if err != nil {
		logEnd(log, err)
		return exitFailed
	}
	return exitOK
}

// lastLines is what the end waits for whoever reads the log.
const lastLines = time.Second

func flush(logs *logqueue.Handler) {
	ctx, cancel := context.WithTimeout(context.Background(), lastLines)
	defer cancel()
	logs.Flush(ctx)
}

// logEnd says why the end was not clean, and counts what was lost with it.
func logEnd(log *slog.Logger, err error) {
	attrs := []slog.Attr{slog.String("event", "server.failed"), slog.Any("error", err)}
	if unsaved, atRisk := unsavedIn(err); unsaved+atRisk > 0 {
		attrs = append(attrs, slog.Int("unsaved_writes", unsaved), slog.Int("at_risk_writes", atRisk))
	}
	log.LogAttrs(context.Background(), slog.LevelError, "ended with an error", attrs...)
}

// unsavedIn adds up what the cache and the denylist could not save.
func unsavedIn(err error) (writes, atRisk int) {
	switch e := err.(type) {
	case nil:
	case *evercache.UnsavedError:
		return e.Writes, e.AtRisk
	case interface{ Unwrap() error }:
		return unsavedIn(e.Unwrap())
	case interface{ Unwrap() []error }:
		for _, one := range e.Unwrap() {
			w, r := unsavedIn(one)
			writes, atRisk = writes+w, atRisk+r
		}
	}
	return writes, atRisk
}

// wrongConfig prints every fault on a line of its own.
func wrongConfig(inv invocation, err error) int {
	var text strings.Builder
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintf(&text, "  %s\n", strings.TrimRight(line, "\n"))
	}
	say(inv.stderr, "evercache: the configuration is wrong:\n%s", text.String())
	return exitUsage
}
