package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"strings"
	"time"

	"github.com/evercache/evercache/config"
	"github.com/evercache/evercache/internal/audit"
	"github.com/evercache/evercache/internal/doctor"
	"github.com/evercache/evercache/internal/survey"
	"github.com/evercache/evercache/internal/switchover"
)

func switchoverCommand() command {
	return command{
		name:    "switchover",
		summary: "Change the master on purpose, without losing a write",
		usage:   " [--to NODE] [--yes] [--dry-run] [--timeout 30s] [--audit-log FILE] [-o text|json]",
		help: `Makes a replica the master, and the master a replica, so that no write is lost,
also none of clients that know nothing of evercache. A plain SENTINEL FAILOVER
loses what the old master takes until it is told: ten seconds and more.

It looks at the set as evercache doctor does, and refuses where that finds an
error that makes it unsafe. Then it asks, unless --yes is given. In a Sentinel
set it holds writes back on the master (CLIENT PAUSE WRITE, which ends by itself
after 3 s) and waits until the replicas have all of them. It lets the sentinels
promote one, and makes the old master follow that before it takes writes again.
Some servers do all this themselves: Valkey from 9.1.1 (SENTINEL FAILOVER
COORDINATED), and a Cluster (CLUSTER FAILOVER). Ctrl-C gives up before a
promotion is ordered, and not after. Redis is found through the same settings as
by evercache serve.

Flags:
  --to NODE        host:port of the replica that takes over; in a Cluster it has
                   to be given. In a Sentinel set the replica gets a lower
                   replica-priority meanwhile, and it takes up to ten seconds
                   until all sentinels know. Default: the sentinels choose
  --yes            do not ask
  --dry-run        say what would be done, and do nothing
  --timeout 30s    how long all servers may take to agree
  -o text|json     what is printed
` + auditFlag + `
Examples:
  evercache switchover --dry-run
  evercache switchover --yes
  evercache switchover --to 10.0.0.12:6379
  REDIS_CLUSTER_NODES=10.0.0.7:6379 evercache switchover --to 10.0.0.9:6379 --yes

Exit status: 0 done, or --dry-run finds that it can be; 1 it was begun and did
not end as it should: what is printed says in what state the set was left;
2 refused, and nothing was changed; or wrong flags or configuration.
`,
		run: switchoverRun,
	}
}

// switchoverFlags are what may be asked of it.
type switchoverFlags struct {
	to, output, audit string
	yes, dryRun       bool
	timeout           time.Duration
}

func switchoverRun(inv invocation, args []string) int {
	c := switchoverCommand()
	var fs flag.FlagSet
	var f switchoverFlags
	fs.StringVar(&f.to, "to", "", "")
	fs.StringVar(&f.output, "o", "text", "")
	fs.BoolVar(&f.yes, "yes", false, "")
	fs.BoolVar(&f.dryRun, "dry-run", false, "")
	fs.DurationVar(&f.timeout, "timeout", 30*time.Second, "")
	fs.StringVar(&f.audit, "audit-log", "", "")
	if status, ok := c.parse(inv, &fs, args); !ok {
		return status
	}
	if err := errors.Join(wrongFormat(f.output), wrongSpan("--timeout", f.timeout, time.Second, 10*time.Minute)); err != nil {
		return c.wrong(inv, err)
	}
	cfg, err := config.FromEnv(inv.environ)
	if err != nil {
		return wrongConfig(inv, err)
	}
	ctx, stop := untilSignal()
	defer stop()
	return f.run(ctx, inv, cfg)
}

func (f switchoverFlags) run(ctx context.Context, inv invocation, cfg config.Config) int {
	s, found := doctor.Look(ctx, cfg, survey.DefaultTimeout)
	plan := switchover.NewPlan(s, found, switchover.FindLeftover(ctx, survey.TargetOf(cfg.Redis), s), f.to)
	plan.AskRights(ctx, survey.TargetOf(cfg.Redis))
	told := inv.stdout
	if f.output == "json" {
		told = inv.stderr
	}
	if len(plan.Refusals) == 0 || f.output == "text" {
		say(told, "%s", plan.Text())
	}
	switch {
	case len(plan.Refusals) > 0:
		return f.end(inv, switchover.Report{Outcome: switchover.Refused, Plan: plan, State: "nothing was changed", At: s.At.UTC(), Steps: []switchover.Step{}})
	case f.dryRun:
		return f.end(inv, switchover.Report{Outcome: switchover.Planned, Plan: plan, State: "nothing was changed", At: s.At.UTC(), Steps: []switchover.Step{}})
	case !f.yes && !confirmed(ctx, inv.stdin, told, "Change the master now?"):
		say(inv.stderr, "evercache switchover: not confirmed, nothing was changed; --yes does not ask\n")
		return exitUsage
	}
	note := noteTo("switchover", f.audit, cfg)
	what := strings.TrimSpace(plan.Text())
	if err := note.begun(audit.SwitchoverBegun, audit.Event{Detail: what}); err != nil {
		say(inv.stderr, "evercache switchover: %v\n", err)
		return exitUsage
	}
	r := switchover.Run(ctx, plan, switchover.Options{
		Target: survey.TargetOf(cfg.Redis), Timeout: f.timeout,
		Tell: func(step string) { say(told, "%s\n", step) },
	})
	status := f.end(inv, r)
	if !note.ended(inv, audit.SwitchoverEnded, audit.Event{Outcome: r.Outcome, Detail: r.State}) {
		status = exitFailed
	}
	return status
}

// switchoverStatus is the exit status of each outcome.
var switchoverStatus = map[string]int{
	switchover.Done: exitOK, switchover.Planned: exitOK, switchover.Refused: exitUsage,
	switchover.GaveUp: exitFailed, switchover.Unclean: exitFailed,
}

func (f switchoverFlags) end(inv invocation, r switchover.Report) int {
	switch {
	case f.output == "json":
		text, err := json.MarshalIndent(r, "", "  ")
		if err != nil {
			say(inv.stderr, "evercache switchover: %v\n", err)
			return exitFailed
		}
		say(inv.stdout, "%s\n", text)
	case r.Outcome != switchover.Refused:
		say(inv.stdout, "%s", r.Text())
	}
	return switchoverStatus[r.Outcome]
}
