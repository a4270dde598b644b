package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/config"
	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/revoke"
)

func revokeCommand() command {
	return command{
		name:    "revoke",
		summary: "Say that the token denylist in Redis is complete (revoke init)",
		usage:   " init [--timeout 10s]",
		help: `Marks the denylist in Redis as complete. A process that starts does not believe a
list without this mark, since an emptied Redis looks the same as one in which
nothing was ever revoked.

Do it once before first use with EVERCACHE_REVOCATIONS=required, and after Redis
has lost its data while no evercache was running, when you know that no token
which was revoked before is still alive (or have revoked those again).

Redis is found through the same settings as by evercache serve, and
EVERCACHE_REVOCATIONS_KEY must be the same.

Flags:
  --timeout 10s    how long to wait for Redis

Examples:
  evercache revoke init
  REDIS_URL=redis://cache.internal:6379 evercache revoke init --timeout 1m

Exit status: 0 marked, now or before; 1 no Redis, or it refused; 2 wrong flags or
configuration.
`,
		run: revokeInit,
	}
}

func revokeInit(inv invocation, args []string) int {
	c := revokeCommand()
	if len(args) == 0 || args[0] != "init" {
		if len(args) > 0 && (args[0] == "-h" || args[0] == "-help" || args[0] == "--help") {
			c.printHelp(inv.stdout)
			return exitOK
		}
		say(inv.stderr, "evercache revoke: want 'evercache revoke init'\nRun 'evercache revoke --help' for usage.\n")
		return exitUsage
	}
	var fs flag.FlagSet
	timeout := fs.Duration("timeout", 10*time.Second, "")
	if status, ok := c.parse(inv, &fs, args[1:]); !ok {
		return status
	}
	cfg, err := config.FromEnv(inv.environ)
	if err != nil {
		return wrongConfig(inv, err)
	}
	already, err := markDenylist(cfg, *timeout)
	switch {
	case err != nil:
		say(inv.stderr, "evercache revoke init: %v\n", err)
		return exitFailed
	case already:
		say(inv.stdout, "the denylist was already marked as complete\n")
	default:
		say(inv.stdout, "the denylist is marked as complete\n")
	}
	return exitOK
}

// withFindings adds why Redis cannot be used, and what to do.
func withFindings(err error, fs []health.Finding) error {
	for _, f := range fs {
		if f.Severity == health.SeverityError {
			err = fmt.Errorf("%w\n  %s (%s): %s\n  %s", err, f.Title, f.Code, f.Detail, f.Fix)
		}
	}
	return err
}

// markDenylist reports whether it was marked already.
func markDenylist(cfg config.Config, timeout time.Duration) (already bool, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	cfg.Redis.Logger, cfg.Redis.JournalDir = slog.New(slog.DiscardHandler), "" // the journal is that of a process that serves
	client, err := evercache.Open(ctx, cfg.Redis)
	if err != nil {
		return false, err
	}
	already, err = revoke.Init(ctx, client, revoke.Policy{Key: cfg.Server.RevocationsKey})
	if err != nil {
		err = withFindings(err, client.Health().Findings)
	}
	_ = client.Close() // nothing was written through it that could be lost
	return already, err
}
