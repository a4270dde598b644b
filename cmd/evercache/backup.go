package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/evercache/evercache/config"
	"github.com/evercache/evercache/evercacheprom"
	"github.com/evercache/evercache/internal/backup"
	"github.com/evercache/evercache/internal/survey"
)

func backupCommand() command {
	return command{
		name:    "backup",
		summary: "Copy what Redis holds into a file, once or on a schedule",
		usage:   " FILE|DIR | --every 1h --keep 24 --dir DIR [flags]",
		help: `Copies the keys of Redis into one file, with their values and the ends of their
lives. It reads the least lagging replica (in a Cluster one of each shard), or the
single server. In DIR it makes evercache-<UTC time>.backup. The file appears when
it is complete, and only its owner can read it. Redis is found through the settings
of evercache serve.

It is no picture of one moment: keys that change meanwhile are in it as they were
before or after. docs/guide/backup.md says what it promises and what not.

Flags:
  --match GLOB        only keys that match a pattern of SCAN
  --prefix TEXT       only keys that begin so
  --gzip              compress the file
  --from-master       read a master where no replica is fit
  --max-value 64MiB   leave out keys that take more memory in Redis (MEMORY USAGE);
                      they are counted, and the exit status is 1
  --rate N            read at most N records a second
  --allow-skipped     exit status 0 all the same
  --overwrite         replace FILE, once the new one is complete
  --every 1h          repeat it until SIGTERM or Ctrl-C, at once and then so often
  --dir DIR           where to, with --every
  --keep 24           how many whole files stay, with --every. A broken file is not
                      removed, nor the last good one
  --metrics-file FILE metrics for Prometheus' textfile collector, with --every

Examples:
  evercache backup /var/backups/
  evercache backup cart.backup --prefix cart: --gzip
  evercache backup --every 1h --keep 24 --dir /var/backups/shop \
    --metrics-file /var/lib/node_exporter/evercache_backup.prom

Exit status: 0 complete, or stopped (--every); 1 it failed, or keys were left out;
2 wrong flags or configuration.
`,
		run: runBackup,
	}
}

// backupFlags are what may be asked of a backup.
type backupFlags struct {
	backup.Options
	maxValue               string
	allow, overwrite       bool
	every                  time.Duration
	dir, metricsFile, name string
	keep                   int
}

// mixed reads flags and arguments in any order.
func (c command) mixed(inv invocation, fs *flag.FlagSet, args []string) (rest []string, status int, ok bool) {
	for {
		left, status, ok := c.parseArgs(inv, fs, args)
		if !ok || len(left) == 0 {
			return rest, status, ok
		}
		if consumed := len(args) - len(left); consumed > 0 && args[consumed-1] == "--" {
			return append(rest, left...), status, true
		}
		rest, args = append(rest, left[0]), left[1:]
	}
}

func runBackup(inv invocation, args []string) int {
	c := backupCommand()
	var fs flag.FlagSet
	var f backupFlags
	fs.StringVar(&f.Match, "match", "", "")
	fs.StringVar(&f.Prefix, "prefix", "", "")
	fs.BoolVar(&f.Gzip, "gzip", false, "")
	fs.IntVar(&f.Rate, "rate", 0, "")
	fs.BoolVar(&f.FromMaster, "from-master", false, "")
	fs.StringVar(&f.maxValue, "max-value", "64MiB", "")
	fs.BoolVar(&f.allow, "allow-skipped", false, "")
	fs.BoolVar(&f.overwrite, "overwrite", false, "")
	fs.DurationVar(&f.every, "every", 0, "")
	fs.StringVar(&f.dir, "dir", "", "")
	fs.IntVar(&f.keep, "keep", 24, "")
	fs.StringVar(&f.metricsFile, "metrics-file", "", "")
	rest, status, ok := c.mixed(inv, &fs, args)
	if !ok {
		return status
	}
	if err := f.check(rest, &fs); err != nil {
		return c.wrong(inv, err)
	}
	cfg, err := config.FromEnv(inv.environ)
	if err != nil {
		return wrongConfig(inv, err)
	}
	if cfg.Redis.MemoryOnly {
		return c.wrong(inv, errNoRedis)
	}
	f.Version = evercacheprom.ReadBuild().Version
	target := survey.TargetOf(cfg.Redis)
	ctx, stop := untilSignal()
	defer stop()
	if f.every > 0 {
		return f.repeat(ctx, inv, target)
	}
	return f.once(ctx, inv, target)
}

var errNoRedis = errors.New("the configuration names no Redis: see docs/configuration.md")

// check looks at the flags as they are given together.
func (f *backupFlags) check(args []string, given *flag.FlagSet) error {
	var err error
	if f.MaxValue, err = parseBytes(f.maxValue); err != nil || f.MaxValue < 1<<10 || f.MaxValue > backup.MaxPayload {
		return fmt.Errorf("--max-value %.20q: want 1KiB to 512MiB", f.maxValue)
	}
	if f.Rate < 0 {
		return fmt.Errorf("--rate %d: want a positive number", f.Rate)
	}
	scheduled := map[string]bool{"dir": true, "keep": true, "metrics-file": true}
	given.Visit(func(x *flag.Flag) {
		if scheduled[x.Name] && f.every == 0 && err == nil {
			err = fmt.Errorf("--%s goes with --every", x.Name)
		}
	})
	switch {
	case err != nil:
		return err
	case f.every == 0 && len(args) != 1:
		return errors.New("want one FILE or directory, or --every with --dir")
	case f.every == 0:
		f.name = args[0]
		return nil
	case len(args) > 0:
		return fmt.Errorf("unexpected argument %.60q: with --every the directory is --dir", args[0])
	case f.dir == "":
		return errors.New("--every goes with --dir")
	case f.every < time.Second || f.every > 366*24*time.Hour:
		return fmt.Errorf("--every %v: want 1s to a year", f.every)
	case f.keep < 1 || f.keep > 100000:
		return fmt.Errorf("--keep %d: want 1 to 100000", f.keep)
	case f.overwrite:
		return errors.New("--overwrite does not go with --every")
	}
	return nil
}

// once takes one backup.
func (f *backupFlags) once(ctx context.Context, inv invocation, target survey.Target) int {
	name := f.name
	if info, err := os.Stat(name); err == nil && info.IsDir() || strings.HasSuffix(name, string(filepath.Separator)) {
		name = filepath.Join(name, backup.NameAt(time.Now(), f.Gzip))
	}
	show, clear := inv.meter("backup")
	f.Progress = show
	res, err := backup.Take(ctx, target, name, f.overwrite, f.Options)
	clear()
	if err != nil {
		say(inv.stderr, "evercache backup: %v\n", wrongPlace(err))
		return exitFailed
	}
	say(inv.stdout, "%s: %s, from %s\n", name, res.Text(), strings.Join(res.Sources, ", "))
	if !res.Complete() && !f.allow {
		say(inv.stderr, "evercache backup: it is not complete, see above; --allow-skipped takes it for a success\n")
		return exitFailed
	}
	return exitOK
}

// wrongPlace adds what to do about a file that cannot be made.
func wrongPlace(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: make the directory first", err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: name a directory that this user may write", err)
	}
	return err
}

// repeat takes backups until a signal.
func (f *backupFlags) repeat(ctx context.Context, inv invocation, target survey.Target) int {
	s := backup.Schedule{
		Dir: f.dir, Every: f.every, Keep: f.keep, Zip: f.Gzip, Allow: f.allow, MetricsFile: f.metricsFile,
		Of: &backup.Header{Mode: target.Mode.String(), DB: target.DB(), KeyPrefix: target.KeyPrefix, Match: f.Match, Prefix: f.Prefix},
		Take: func(ctx context.Context, name string) (backup.Result, error) {
			return backup.Take(ctx, target, name, false, f.Options)
		},
		Log: func(format string, a ...any) {
			say(inv.stdout, "%s %s\n", time.Now().UTC().Format(time.RFC3339), fmt.Sprintf(format, a...))
		},
	}
	if err := s.Run(ctx); err != nil {
		say(inv.stderr, "evercache backup: %v\n", wrongPlace(err))
		return exitFailed
	}
	return exitOK
}

// meter shows progress, on a terminal only.
func (inv invocation) meter(what string) (show func(records, bytes, total int64), clear func()) {
	f, ok := inv.stderr.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return nil, func() {}
	}
	m := backup.NewMeter(f, what)
	return m.Show, m.Clear
}
