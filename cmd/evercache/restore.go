package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/evercache/evercache/config"
	"github.com/evercache/evercache/internal/audit"
	"github.com/evercache/evercache/internal/backup"
	"github.com/evercache/evercache/internal/survey"
)

func restoreCommand() command {
	return command{
		name:    "restore",
		summary: "Bring the keys of a backup back into Redis",
		usage:   " FILE [flags]",
		help: `Sends the records of a backup to the current master (in a Cluster to the master of
each key), found through the settings of evercache serve. It goes on through a
failover. A record counts when the master has acknowledged it and its replicas have
it. Keys that exist stay as they are, and records that have expired are left out;
both are counted. The whole file is checked first, unless it is a pipe or "-", the
standard input. Payloads of a newer server are refused before anything is written.

Flags:
  --replace      overwrite keys that exist (never a denylist of tokens)
  --dry-run      check the file, connect, and say what would be done
  --resume       go on where a restore of the same file stopped
  --rate N       at most N records a second
  --patience 2m  how long to wait for a master that takes writes
  --yes          do not ask, although the target is not empty
` + auditFlag + `
Examples:
  evercache restore cart.backup --dry-run
  evercache restore cart.backup
  evercache restore cart.backup --resume --rate 5000
  zcat old.backup.gz | evercache restore - --yes

Exit status: 0 all records are there, or have expired; 1 it failed or stopped, or
Redis refused records or threw keys away for want of memory; 2 not confirmed, and
nothing was written; or wrong flags or configuration.
`,
		run: runRestore,
	}
}

// restoreFlags are what may be asked of a restore.
type restoreFlags struct {
	backup.RestoreOptions
	dryRun, resume, yes bool
	stream              bool // it can be read only once
	name, audit         string
}

func runRestore(inv invocation, args []string) int {
	c := restoreCommand()
	var fs flag.FlagSet
	var f restoreFlags
	fs.BoolVar(&f.Replace, "replace", false, "")
	fs.BoolVar(&f.dryRun, "dry-run", false, "")
	fs.BoolVar(&f.resume, "resume", false, "")
	fs.IntVar(&f.Rate, "rate", 0, "")
	fs.DurationVar(&f.Patience, "patience", backup.DefaultPatience, "")
	fs.BoolVar(&f.yes, "yes", false, "")
	fs.StringVar(&f.audit, "audit-log", "", "")
	rest, status, ok := c.mixed(inv, &fs, args)
	if !ok {
		return status
	}
	if err := f.check(rest); err != nil {
		return c.wrong(inv, err)
	}
	cfg, err := config.FromEnv(inv.environ)
	if err != nil {
		return wrongConfig(inv, err)
	}
	if cfg.Redis.MemoryOnly {
		return c.wrong(inv, errNoRedis)
	}
	ctx, stop := untilSignal()
	defer stop()
	err = f.run(ctx, inv, survey.TargetOf(cfg.Redis), noteTo("restore", f.audit, cfg))
	if err != nil {
		say(inv.stderr, "evercache restore: %v\n", err)
	}
	switch {
	case errors.Is(err, errNotConfirmed):
		return exitUsage
	case err != nil:
		return exitFailed
	}
	return exitOK
}

func (f *restoreFlags) check(args []string) error {
	switch {
	case len(args) != 1:
		return errors.New("want one FILE")
	case f.Rate < 0:
		return fmt.Errorf("--rate %d: want a positive number", f.Rate)
	case f.Patience < time.Second || f.Patience > 24*time.Hour:
		return fmt.Errorf("--patience %v: want 1s to 24h", f.Patience)
	}
	if f.name = args[0]; f.name == "-" {
		return f.once()
	}
	return nil
}

// once is why what can be read only once cannot be used.
func (f *restoreFlags) once() error {
	switch {
	case f.resume:
		return errors.New("--resume needs a file: the standard input, or a pipe, cannot be read again")
	case f.dryRun:
		return errors.New("--dry-run needs a file; evercache verify - checks the standard input")
	}
	return nil
}

// run checks, asks and restores.
func (f *restoreFlags) run(ctx context.Context, inv invocation, target survey.Target, note auditNote) error {
	in, stream, err := openInput(ctx, inv, f.name)
	if err != nil {
		return err
	}
	defer in.Close()
	if f.stream = stream; stream {
		if err := f.once(); err != nil {
			return err
		}
	}
	var sum backup.Summary
	if file, ok := in.(*os.File); ok {
		if sum, err = f.checked(ctx, inv, file); err != nil {
			return err
		}
		if err := f.whereItStopped(sum); err != nil {
			return err
		}
	}
	state, err := backup.Look(ctx, target, min(f.Patience, startPatience))
	if err != nil {
		return err
	}
	if f.dryRun {
		f.foretell(inv, sum, state)
		return nil
	}
	if err := f.ask(ctx, inv, state); err != nil {
		return err
	}
	if err := backup.Try(ctx, target, sum.Samples, f.Patience); err != nil {
		return err
	}
	what := fmt.Sprintf("%s to %s", f.described(), strings.Join(state.Masters, ", "))
	if err := note.begun(audit.RestoreBegun, audit.Event{Detail: what}); err != nil {
		return err
	}
	counts, err := f.restore(ctx, inv, target, in)
	e := audit.Event{Outcome: "ok", Detail: what, Count: &counts.Restored}
	if err != nil {
		e.Outcome, e.Detail = "failed", fmt.Sprintf("%s: %v", what, err)
	}
	if !note.ended(inv, audit.RestoreEnded, e) && err == nil {
		err = errors.New("it is complete, and the audit log does not say so")
	}
	return err
}

// described is which file, and how.
func (f *restoreFlags) described() string {
	text := f.name
	if f.Replace {
		text += " --replace"
	}
	if f.resume {
		text += " --resume"
	}
	return text
}

// checked reads all of the file, and goes back to its beginning.
func (f *restoreFlags) checked(ctx context.Context, inv invocation, file *os.File) (backup.Summary, error) {
	show, clear := inv.meter("verify")
	sum, err := backup.Verify(ctx, file, show)
	clear()
	if err != nil {
		return sum, fmt.Errorf("%s: %w; nothing was written", f.name, err)
	}
	f.Total = sum.Footer.Records
	_, err = file.Seek(0, io.SeekStart)
	return sum, err
}

// placeFile is where it is written down how far a restore is.
func (f *restoreFlags) placeFile() string { return f.name + ".restore-progress" }

// whereItStopped reads how far the last restore came.
func (f *restoreFlags) whereItStopped(sum backup.Summary) error {
	if !f.resume {
		return nil
	}
	data, err := os.ReadFile(f.placeFile())
	if err != nil {
		return fmt.Errorf("--resume: %w: begin without --resume; keys that are there stay", err)
	}
	var p backup.Place
	if err := json.Unmarshal(data, &p); err != nil || p.Counts.Records() < 0 || p.Counts.Records() > sum.Footer.Records {
		return fmt.Errorf("--resume: %s makes no sense: begin without --resume; keys that are there stay", f.placeFile())
	}
	if string(p.ID) != string(sum.Header.ID) {
		return fmt.Errorf("--resume: %s is about another file: begin without --resume", f.placeFile())
	}
	f.Resume = &p
	return nil
}

func (f *restoreFlags) foretell(inv invocation, sum backup.Summary, state backup.State) {
	say(inv.stdout, "%s: %s\n", f.name, wholeText(sum))
	say(inv.stdout, "it would go to %s (Redis %s), where there are %s\n", strings.Join(state.Masters, ", "), strings.Join(state.Versions, ", "), counted(state.Keys, "key"))
	what := "keys that exist would stay (--replace overwrites them)"
	if f.Replace {
		what = "keys that exist would be overwritten"
	}
	say(inv.stdout, "%s; nothing was written\n", what)
	if newer := state.Newer(sum.Sections); newer != "" {
		say(inv.stdout, "the payloads may be refused: %s\n", newer)
	}
}

var errNotConfirmed = errors.New("not confirmed, nothing was written; --yes does not ask")

// ask asks whether to go on with a target that is not empty.
func (f *restoreFlags) ask(ctx context.Context, inv invocation, state backup.State) error {
	if f.yes || f.Resume != nil || state.Keys == 0 {
		return nil
	}
	keyboard, ok := inv.stdin.(*os.File)
	if !ok || f.stream || !term.IsTerminal(int(keyboard.Fd())) {
		return fmt.Errorf("the target has %s already: %w", counted(state.Keys, "key"), errNotConfirmed)
	}
	if !confirmed(ctx, keyboard, inv.stderr, fmt.Sprintf("%s already in %s. Restore into it?", counted(state.Keys, "key"), strings.Join(state.Masters, ", "))) {
		return errNotConfirmed
	}
	return nil
}

func (f *restoreFlags) restore(ctx context.Context, inv invocation, target survey.Target, in io.Reader) (backup.Counts, error) {
	show, clear := inv.meter("restore")
	f.Progress = show
	f.Notice = func(text string) {
		clear()
		say(inv.stderr, "evercache restore: %s\n", text)
	}
	var saved error
	if !f.stream {
		f.Save = func(p backup.Place) { saved = backup.SavePlace(f.placeFile(), p) }
	}
	counts, err := backup.Restore(ctx, target, in, f.RestoreOptions)
	clear()
	say(inv.stdout, "restored %d, existed already %d, expired %d, refused %d\n", counts.Restored, counts.Existed, counts.Expired, counts.Refused)
	if counts.Existed > 0 && !f.Replace {
		say(inv.stdout, "keys that existed stay as they were; --replace overwrites them\n")
	}
	switch {
	case err != nil && saved != nil:
		return counts, fmt.Errorf("%w (and how far it was cannot be written, so --resume is not possible: %w)", err, saved)
	case err != nil:
		return counts, err
	case counts.Refused > 0:
		return counts, fmt.Errorf("the server refused %d records; the first: %s", counts.Refused, counts.FirstRefusal)
	case counts.Evicted > 0:
		return counts, fmt.Errorf("the masters threw %d keys away meanwhile, for want of memory (evicted_keys): it is not complete, or other keys are gone; raise maxmemory, then restore again: keys that are there stay", counts.Evicted)
	}
	if !f.stream {
		_ = os.Remove(f.placeFile()) // it is complete
	}
	return counts, nil
}

// startPatience is how long a restore waits for a master before it has begun: a failover may
// be under way, and what is wrongly configured is to be told soon.
const startPatience = 10 * time.Second
