package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"github.com/evercache/evercache/config"
	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/history"
	"github.com/evercache/evercache/internal/survey"
)

func historyCommand() command {
	return command{
		name:    "history",
		summary: "Tell what happened: failovers, and what Sentinel does",
		usage:   " [--url URL] [--watch] [-o text|json]",
		help: `Tells which failovers a running evercache has seen since its start: when, from
where to where, why, for how long callers had no master, how long after its
promotion the new one was used, and how many kept writes were sent to it. It asks
the /health of the address in EVERCACHE_LISTEN, or of --url. With a token
(EVERCACHE_TOKEN or EVERCACHE_TOKEN_FILE) it is told everything.

With --watch it listens to every sentinel of the set in REDIS_SENTINELS, and says
in plain words what each does and sees, with the time since the first sign of
trouble. Without sentinels it looks at the servers once a second, and says what
has changed. With --watch and --url it tells each failover that evercache goes
through.

Flags:
  --url URL        ask this evercache, e.g. http://127.0.0.1:3000
  --watch          go on telling, until Ctrl-C
  --timeout 3s     how long one question may take
  -o format        text (default) or json; with --watch one object on a line for
                   each event

Examples:
  evercache history
  evercache history --url http://127.0.0.1:3000 -o json | jq .failovers
  evercache history --watch

Exit status: 0 told; 1 no answer; 2 wrong flags or configuration.
`,
		run: historyRun,
	}
}

// telling is how a history is told.
type telling struct {
	inv     invocation
	format  string
	timeout time.Duration
}

func historyRun(inv invocation, args []string) int {
	h := telling{inv: inv}
	var fs flag.FlagSet
	url := fs.String("url", "", "")
	watch := fs.Bool("watch", false, "")
	fs.DurationVar(&h.timeout, "timeout", survey.DefaultTimeout, "")
	fs.StringVar(&h.format, "o", "text", "")
	if status, ok := historyCommand().parse(inv, &fs, args); !ok {
		return status
	}
	if err := errors.Join(wrongFormat(h.format), wrongSpan("--timeout", h.timeout, 100*time.Millisecond, time.Minute)); err != nil {
		return historyCommand().wrong(inv, err)
	}
	cfg, err := config.FromEnv(inv.environ)
	if err != nil {
		return wrongConfig(inv, err)
	}
	ctx, stop := untilSignal()
	defer stop()
	if *watch && *url == "" {
		t := survey.TargetOf(cfg.Redis)
		t.Timeout = h.timeout
		if t.Mode != health.ModeSentinel {
			return h.end(h.servers(ctx, t))
		}
		return h.end(h.sentinels(ctx, t))
	}
	d, err := daemonHere(inv.environ, cfg)
	if *url != "" {
		d, err = daemonAt(*url, cfg)
	}
	if err != nil {
		return wrongConfig(inv, err)
	}
	if *watch {
		return h.end(h.failovers(ctx, d))
	}
	return h.end(h.once(ctx, d))
}

func (h telling) end(err error) int {
	if err == nil {
		return exitOK
	}
	say(h.inv.stderr, "evercache history: %v\n", err)
	return exitFailed
}

func (h telling) ask(ctx context.Context, d runningDaemon) (history.History, error) {
	ctx, cancel := context.WithTimeout(ctx, h.timeout)
	defer cancel()
	body, err := d.health(ctx)
	if err != nil {
		return history.History{}, err
	}
	told, err := history.OfHealth(body, d.where())
	if err != nil {
		err = fmt.Errorf("%s: %w", d.where(), err)
	}
	return told, err
}

func (h telling) once(ctx context.Context, d runningDaemon) error {
	told, err := h.ask(ctx, d)
	if err != nil {
		return err
	}
	if h.format == "json" {
		return json.NewEncoder(h.inv.stdout).Encode(told)
	}
	width, _, colour := window(h.inv)
	_, err = io.WriteString(h.inv.stdout, told.Text(width, colour))
	return err
}

// askEvery is how often a process is asked for failovers.
const askEvery = time.Second

// failovers tells each failover that the process goes through, until ctx ends.
func (h telling) failovers(ctx context.Context, d runningDaemon) error {
	before, err := h.ask(ctx, d)
	if err != nil {
		return err
	}
	if before.Short {
		return errors.New("it tells nothing without its token: set EVERCACHE_TOKEN or EVERCACHE_TOKEN_FILE")
	}
	h.note("%d failovers so far; watching %s", before.Count, d.where())
	away := false
	for {
		select {
		case <-time.After(askEvery):
		case <-ctx.Done():
			return nil
		}
		now, err := h.ask(ctx, d)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && !away:
			h.note("no answer: %v; asking again", err)
		case err == nil:
			for _, f := range now.After(before) {
				if err := h.print(f, f.Line()); err != nil {
					return err
				}
			}
			before = now
		}
		away = err != nil
	}
}

// note tells a person what goes on; it is no event.
func (h telling) note(format string, a ...any) {
	say(h.inv.stderr, format+"\n", a...)
}

func (h telling) print(event any, line string) error {
	if h.format == "json" {
		return json.NewEncoder(h.inv.stdout).Encode(event)
	}
	_, err := io.WriteString(h.inv.stdout, line+"\n")
	return err
}
