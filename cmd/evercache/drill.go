package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/evercache/evercache/config"
	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/audit"
	"github.com/evercache/evercache/internal/doctor"
	"github.com/evercache/evercache/internal/drill"
	"github.com/evercache/evercache/internal/survey"
	"github.com/evercache/evercache/internal/switchover"
)

func drillCommand() command {
	return command{
		name:    "drill",
		summary: "Break a Redis set under load, and measure what callers feel",
		usage:   " [--trigger failover|kill|stop|hook|none] [flags] [CMD...]",
		help: `Writes, reads and deletes keys of its own through evercache, breaks the set, waits
until it is well again, and compares what was acknowledged with what the masters
hold. It prints what callers felt: failed calls, the longest ones, writes lost,
deletes undone. With --compare a plain client does the same beside it.

It looks at the set as evercache doctor does, refuses where that finds an error,
and asks, unless --yes is given. Keys are drill:ID:*; they are removed at the
end, and else end by themselves. Ctrl-C ends the traffic early; it compares and
cleans up all the same. Redis is found through the same settings as by evercache
serve.

Triggers:
  failover         SENTINEL FAILOVER, or CLUSTER FAILOVER. Other clients of the set
                   may lose writes: SENTINEL FAILOVER does that
  kill, stop       end or freeze the master: only in a set of evercache dev. At the
                   end it is started again
  hook             run CMD with its arguments; it has as long as --for
  none             break nothing: a load test

Flags:
  --for 15s        traffic after the trigger
  --rate 200       calls a second of each client
  --compare        run a plain client beside evercache: one connection, which looks
                   for the master when it breaks
  --max-read-errors 0, --max-write-errors -1, --max-lost 0
                   gates for evercache: most reads that fail or find nothing, most
                   writes that fail, most writes lost and deletes undone; -1: any
  --max-gap 0s     gate: longest time without a write that a master took; 0: any
  --report FILE    write the report to FILE.md, FILE.json or FILE.svg too; may be
                   given several times
  --name NAME      of the evercache dev that kill and stop are for
  --yes            do not ask
  --force          go on where the doctor finds errors
  -o text|json     what is printed
` + auditFlag + `
Examples:
  evercache drill --trigger kill --compare --yes
  evercache drill --trigger failover --max-gap 3s --report drill.md
  evercache drill --trigger none --for 10m --rate 1000 --yes
  evercache drill --compare --yes --trigger hook evercache switchover --yes

Exit status: 0 every gate was kept; 1 one was missed, or the drill did not end as
it should; 2 refused, and nothing was done; or wrong flags or configuration.
`,
		run: drillRun,
	}
}

// drillFlags are what may be asked of it.
type drillFlags struct {
	trigger, output, name string
	audit                 string
	yes, force, compare   bool
	rate                  int
	duration              time.Duration
	gates                 drill.Gates
	reports               []string
	hook                  []string
}

func drillRun(inv invocation, args []string) int {
	c := drillCommand()
	var fs flag.FlagSet
	f := drillFlagsOf(&fs)
	rest, status, ok := c.parseArgs(inv, &fs, args)
	if !ok {
		return status
	}
	f.hook = rest
	if err := f.check(); err != nil {
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

func drillFlagsOf(fs *flag.FlagSet) *drillFlags {
	var f drillFlags
	fs.StringVar(&f.trigger, "trigger", drill.Failover, "")
	fs.StringVar(&f.output, "o", "text", "")
	fs.StringVar(&f.name, "name", "default", "")
	fs.BoolVar(&f.yes, "yes", false, "")
	fs.BoolVar(&f.force, "force", false, "")
	fs.BoolVar(&f.compare, "compare", false, "")
	fs.StringVar(&f.audit, "audit-log", "", "")
	fs.IntVar(&f.rate, "rate", 200, "")
	fs.DurationVar(&f.duration, "for", 15*time.Second, "")
	fs.IntVar(&f.gates.ReadErrors, "max-read-errors", 0, "")
	fs.IntVar(&f.gates.WriteErrors, "max-write-errors", drill.Off, "")
	fs.IntVar(&f.gates.Lost, "max-lost", 0, "")
	fs.DurationVar(&f.gates.Gap, "max-gap", 0, "")
	fs.Func("report", "", func(file string) error { f.reports = append(f.reports, file); return nil })
	return &f
}

var triggers = []string{drill.Failover, drill.Kill, drill.Stop, drill.Hook, drill.None}

// check lists every fault.
func (f *drillFlags) check() error {
	errs := []error{wrongFormat(f.output), wrongSpan("--for", f.duration, time.Second, drill.MaxFor)}
	fault := func(wrong bool, format string, a ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf(format, a...))
		}
	}
	fault(!slices.Contains(triggers, f.trigger), "--trigger %.40q: want %s", f.trigger, strings.Join(triggers, ", "))
	fault(f.trigger == drill.Hook && len(f.hook) == 0, "--trigger hook needs a command after the flags")
	fault(f.trigger != drill.Hook && len(f.hook) > 0, "unexpected argument %.40q: a command is for --trigger hook", append(f.hook, "")[0])
	fault(f.rate < 20 || f.rate > drill.MaxRate, "--rate %d: want 20 to %d", f.rate, drill.MaxRate)
	calls := float64(f.rate) * (f.duration + drill.WarmUp).Seconds()
	fault(calls > drill.MaxCalls, "--rate %d for %v is %.0f calls, at most %d are made", f.rate, f.duration, calls, drill.MaxCalls)
	for _, g := range []struct {
		flag string
		most int
	}{{"--max-read-errors", f.gates.ReadErrors}, {"--max-write-errors", f.gates.WriteErrors}, {"--max-lost", f.gates.Lost}} {
		fault(g.most < drill.Off, "%s %d: want -1 (any) or more", g.flag, g.most)
	}
	fault(f.gates.Gap < 0, "--max-gap %v: want 0 (any) or more", f.gates.Gap)
	fault(len(f.reports) > 8, "--report: %d files, at most 8", len(f.reports))
	for _, file := range f.reports {
		fault(reportKinds[filepath.Ext(file)] == nil, "--report %.100s: want a name that ends in .md, .json or .svg", file)
	}
	return errors.Join(errs...)
}

func (f *drillFlags) run(ctx context.Context, inv invocation, cfg config.Config) int {
	s, found := doctor.Look(ctx, cfg, survey.DefaultTimeout)
	if refusals := append(f.refusals(s, found), f.unwritable()...); len(refusals) > 0 {
		return f.refused(inv, refusals...)
	}
	if f.trigger == drill.Failover {
		if forbidden := switchover.FailoverForbidden(ctx, survey.TargetOf(cfg.Redis), s); len(forbidden) > 0 {
			return f.refused(inv, forbidden...)
		}
	}
	pull, mend, err := f.pull(ctx, inv, s, cfg)
	if err != nil {
		return f.refused(inv, err.Error())
	}
	told := inv.stdout
	if f.output == "json" {
		told = inv.stderr
	}
	if !f.yes && !confirmed(ctx, inv.stdin, told, f.question(s)) {
		say(inv.stderr, "evercache drill: not confirmed, nothing was done; --yes does not ask\n")
		return exitUsage
	}
	id, note := strings.ToLower(rand.Text()[:8]), noteTo("drill", f.audit, cfg)
	what := fmt.Sprintf("%s, keys drill:%s:*, %s", f.trigger, id, setText(s))
	if err := note.begun(audit.DrillBegun, audit.Event{Detail: what}); err != nil {
		say(inv.stderr, "evercache drill: %v\n", err)
		return exitUsage
	}
	report, err := drill.Run(ctx, id, drill.Options{
		Redis: cfg.Redis, Survey: s, Trigger: f.trigger, Pull: pull, Mend: mend,
		For: f.duration, Rate: f.rate, Compare: f.compare, Gates: f.gates,
		Tell: func(text string) { say(told, "%s\n", text) },
	})
	if err != nil {
		say(inv.stderr, "evercache drill: %v\n", err)
		note.ended(inv, audit.DrillEnded, audit.Event{Outcome: "failed", Detail: fmt.Sprintf("%s: %v", what, err)})
		return exitFailed
	}
	status := f.end(inv, report)
	if !note.ended(inv, audit.DrillEnded, audit.Event{Outcome: report.Outcome, Detail: strings.Join(append([]string{what}, report.Faults...), "; ")}) {
		status = exitFailed
	}
	return status
}

// refusals are why no drill is begun.
func (f *drillFlags) refusals(s *survey.Survey, found []doctor.Finding) (all []string) {
	if err := drill.Breakable(f.trigger, s.Mode); err != nil {
		return []string{err.Error()}
	}
	for _, x := range found {
		if x.Severity == health.SeverityError && !f.force {
			all = append(all, fmt.Sprintf("%s: %s (--force goes on all the same)", x.Code, x.Title))
		}
	}
	if f.trigger == drill.Failover && !f.force {
		for _, o := range s.Outdated() {
			all = append(all, fmt.Sprintf("%v (--force goes on all the same)", o))
		}
	}
	if !slices.ContainsFunc(s.Nodes, func(n survey.Node) bool { return n.Fault == nil }) && len(all) == 0 {
		all = append(all, "no server answers")
	}
	return all
}

// unwritable are the reports that could not be written at the end.
func (f *drillFlags) unwritable() (all []string) {
	for _, file := range f.reports {
		_, missing := os.Lstat(file)
		report, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE, 0o644)
		if err != nil {
			all = append(all, fmt.Sprintf("--report: %v", err))
			continue
		}
		_ = report.Close() // nothing was written
		if missing != nil {
			_ = os.Remove(file)
		}
	}
	return all
}

func (f *drillFlags) refused(inv invocation, why ...string) int {
	say(inv.stderr, "evercache drill: refused, nothing was done:\n  - %s\n", strings.Join(why, "\n  - "))
	return exitUsage
}

func (f *drillFlags) question(s *survey.Survey) string {
	what := "load it with"
	if f.trigger != drill.None {
		what = "break it by " + f.trigger + " under"
	}
	return fmt.Sprintf("The set (%s) will be drilled: %s %d calls a second for %v.", setText(s), what, f.rate, f.duration)
}

// setText names a set.
func setText(s *survey.Survey) string {
	set := s.Mode.String() + " mode"
	if s.MasterName != "" {
		set += ", " + s.MasterName
	}
	return fmt.Sprintf("%s, %d servers", set, len(s.Nodes))
}

// reportKinds are the forms of a report, by the ending of the file's name.
var reportKinds = map[string]func(drill.Report) (string, error){
	".md":   func(r drill.Report) (string, error) { return r.Markdown(), nil },
	".svg":  func(r drill.Report) (string, error) { return r.SVG(), nil },
	".json": drillJSON,
}

func drillJSON(r drill.Report) (string, error) {
	text, err := json.MarshalIndent(r, "", "  ")
	return string(text) + "\n", err
}

func (f *drillFlags) end(inv invocation, r drill.Report) int {
	status := exitFailed
	if r.Outcome == drill.Passed {
		status = exitOK
	}
	text, errs := r.Text(), []error{}
	if f.output == "json" {
		page, err := drillJSON(r)
		text, errs = page, append(errs, err)
	}
	say(inv.stdout, "%s", text)
	for _, file := range f.reports {
		page, err := reportKinds[filepath.Ext(file)](r)
		if err == nil {
			err = os.WriteFile(file, []byte(page), 0o644)
		}
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		say(inv.stderr, "evercache drill: %v\n", err)
		status = exitFailed
	}
	return status
}
