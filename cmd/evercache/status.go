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
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/evercache/evercache/config"
	"github.com/evercache/evercache/internal/overview"
	"github.com/evercache/evercache/internal/survey"
	"github.com/evercache/evercache/internal/table"
)

func statusCommand() command {
	return command{
		name:    "status",
		summary: "Show a Redis set: master, replicas, sentinels",
		usage:   " [--url URL] [--watch] [-o text|json]",
		help: `Asks every server of the set, once, and shows what it finds: which one is master,
how the replicas follow it, what each sentinel says, memory and versions, and what
is not well. It only reads. Redis is found through the same settings as by
evercache serve: one server, a Sentinel set or a Cluster.

With --url it shows what a running evercache sees, from its /health. With a token
(EVERCACHE_TOKEN or EVERCACHE_TOKEN_FILE) that is everything.

Flags:
  --url URL        ask this evercache, e.g. http://127.0.0.1:3000
  --watch          show it again and again, until Ctrl-C
  --every 2s       how often, with --watch
  --timeout 3s     how long one look may take
  -o format        text (default) or json: one object on a line for each look

Examples:
  evercache status
  evercache status --watch
  evercache status --url http://127.0.0.1:3000
  evercache status -o json | jq -r .master

Exit status: 0 all is well; 1 something is not well; 2 nobody has answered, the
output cannot be written, or wrong flags or configuration. With --watch it is that
of the last look.
`,
		run: statusRun,
	}
}

// looking is how a view is taken and shown.
type looking struct {
	inv     invocation
	format  string
	timeout time.Duration
	every   time.Duration // 0: once
	take    func(ctx context.Context) (overview.View, error)
}

func statusRun(inv invocation, args []string) int {
	l := looking{inv: inv}
	var fs flag.FlagSet
	url := fs.String("url", "", "")
	watch := fs.Bool("watch", false, "")
	every := fs.Duration("every", 2*time.Second, "")
	fs.DurationVar(&l.timeout, "timeout", survey.DefaultTimeout, "")
	fs.StringVar(&l.format, "o", "text", "")
	if status, ok := statusCommand().parse(inv, &fs, args); !ok {
		return status
	}
	if err := l.validate(*every); err != nil {
		return statusCommand().wrong(inv, err)
	}
	if *watch {
		l.every = *every
	}
	cfg, err := config.FromEnv(inv.environ)
	if err != nil {
		return wrongConfig(inv, err)
	}
	l.take = func(ctx context.Context) (overview.View, error) {
		t := survey.TargetOf(cfg.Redis)
		t.Timeout = l.timeout
		return hinted(overview.OfSurvey(survey.Take(ctx, t), cfg.Redis.Findings...), cfg.Redis.RedisOptional), nil
	}
	if *url != "" {
		d, err := daemonAt(*url, cfg)
		if err != nil {
			return wrongConfig(inv, err)
		}
		l.take = d.view
	}
	return l.run()
}

// hinted is a view that says why nobody may have answered: nobody has said where Redis is.
func hinted(v overview.View, unsaid bool) overview.View {
	if unsaid && v.Status == overview.Unknown {
		v.Problems = append(v.Problems, `no REDIS_* variable is set, so the default address was asked; for a set of evercache dev: eval "$(evercache dev env)"`)
	}
	return v
}

func (l looking) validate(every time.Duration) error {
	return errors.Join(
		wrongFormat(l.format),
		wrongSpan("--every", every, 100*time.Millisecond, time.Hour),
		wrongSpan("--timeout", l.timeout, 100*time.Millisecond, time.Minute))
}

func wrongFormat(format string) error {
	if format == "text" || format == "json" {
		return nil
	}
	return fmt.Errorf("-o %.40q: want text or json", format)
}

func wrongSpan(flag string, d, least, most time.Duration) error {
	if d >= least && d <= most {
		return nil
	}
	return fmt.Errorf("%s %v: want %v to %v", flag, d, least, most)
}

// run shows the view once, or again and again until a signal. A look that the signal has cut short shows
// nothing.
func (l looking) run() (status int) {
	ctx, stop := untilSignal()
	defer stop()
	status = exitUsage
	for first := true; ; first = false {
		v, err := l.look(ctx)
		if ctx.Err() != nil {
			return status
		}
		if err == nil {
			status, err = statusOf(v), l.show(v, first)
		} else {
			status = exitUsage
		}
		switch {
		case errors.Is(err, syscall.EPIPE): // such as head, which has seen enough
			return status
		case err != nil:
			say(l.inv.stderr, "evercache status: %v\n", err)
		}
		if errors.Is(err, errUnwritten) {
			return exitUsage
		}
		if l.every == 0 {
			return status
		}
		select {
		case <-time.After(l.every):
		case <-ctx.Done():
			return status
		}
	}
}

// errUnwritten: what is shown cannot be printed.
var errUnwritten = errors.New("the output cannot be written")

func (l looking) look(ctx context.Context) (overview.View, error) {
	ctx, cancel := context.WithTimeout(ctx, l.timeout+time.Second)
	defer cancel()
	return l.take(ctx)
}

// statusOf is the exit status.
func statusOf(v overview.View) int {
	switch v.Status {
	case overview.Well:
		return exitOK
	case overview.NotWell:
		return exitFailed
	}
	return exitUsage
}

func (l looking) show(v overview.View, first bool) error {
	if l.format == "json" {
		return notTaken(json.NewEncoder(l.inv.stdout).Encode(v))
	}
	width, height, colour := window(l.inv)
	text := v.Text(width, colour)
	switch {
	case l.every == 0:
	case height > 0:
		text = onScreen(text, fmt.Sprintf("%s  %s, every %v, Ctrl-C ends", v.Status, v.At.Format(time.RFC3339), l.every), width, height, first)
	default:
		text = v.At.Format(time.RFC3339) + "\n" + text + "\n"
	}
	_, err := io.WriteString(l.inv.stdout, text)
	return notTaken(err)
}

func notTaken(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", errUnwritten, err)
}

// onScreen draws the text over what a terminal shows, as far as it fits. A line that the terminal would break
// itself would scroll what is above out of sight. The title says how it is: the end may not fit.
func onScreen(text, title string, width, height int, first bool) string {
	const home, clear, line, rest = "\x1b[H", "\x1b[2J", "\x1b[K\n", "\x1b[J"
	lines := []string{table.Cut(title, width), ""}
	for one := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n") {
		lines = append(lines, broken(one, width)...)
	}
	lines = lines[:min(len(lines), max(1, height-1))]
	out := home + strings.Join(lines, line) + line + rest
	if first {
		return clear + out
	}
	return out
}

// broken is a line in parts that are at most so wide. One with colours is not broken: its width is kept to
// already.
func broken(line string, width int) (parts []string) {
	rest := []rune(line)
	for width > 0 && len(rest) > width && !strings.Contains(line, "\x1b") {
		parts, rest = append(parts, string(rest[:width])), rest[width:]
	}
	return append(parts, string(rest))
}

// window is the size of the terminal that we print to, and whether colours are wanted; zeros: it is none.
func window(inv invocation) (width, height int, colour bool) {
	f, ok := inv.stdout.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return 0, 0, false
	}
	width, height, err := term.GetSize(int(f.Fd()))
	if err != nil || width < 20 || height < 2 {
		width, height = 80, 24
	}
	return width, height, set(inv.environ, "NO_COLOR") == "" && set(inv.environ, "TERM") != "dumb"
}

// set is the value of a variable, or "".
func set(environ []string, name string) (value string) {
	for _, entry := range environ {
		if v, ok := strings.CutPrefix(entry, name+"="); ok {
			value = v
		}
	}
	return value
}
