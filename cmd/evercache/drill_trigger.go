package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/evercache/evercache/config"
	"github.com/evercache/evercache/internal/censor"
	"github.com/evercache/evercache/internal/dev"
	"github.com/evercache/evercache/internal/drill"
	"github.com/evercache/evercache/internal/survey"
)

// act does something to a set, and says what.
type act func(ctx context.Context) (string, error)

// pull makes the trigger, and what undoes it. The error says why it cannot be had.
func (f *drillFlags) pull(ctx context.Context, inv invocation, s *survey.Survey, cfg config.Config) (pull, mend act, err error) {
	switch f.trigger {
	case drill.None:
		return nil, nil, nil
	case drill.Hook:
		return f.runHook(inv), nil, nil
	case drill.Failover:
		return drill.PlannedFailover(survey.TargetOf(cfg.Redis), s), nil, nil
	}
	env, err := f.toDev(ctx, inv, "env")
	if err == nil && !sameSet(env, cfg) {
		err = errors.New("the settings lead to another set than the one that it runs")
	}
	if err != nil {
		return nil, nil, fmt.Errorf("--trigger %s is for a set of evercache dev only: %w", f.trigger, err)
	}
	pull = func(ctx context.Context) (string, error) { return f.toDev(ctx, inv, f.trigger+" master") }
	return pull, func(ctx context.Context) (string, error) { return f.toDev(ctx, inv, "start") }, nil
}

// toDev gives an order to the set of evercache dev.
func (f *drillFlags) toDev(ctx context.Context, inv invocation, line string) (string, error) {
	order, err := dev.Parse(line)
	if err != nil {
		return "", err
	}
	return dev.Send(ctx, inv.environ, f.name, order)
}

// sameSet reports whether what evercache dev env prints leads to where our settings lead.
func sameSet(exports string, cfg config.Config) bool {
	env := map[string]string{}
	for line := range strings.Lines(exports) {
		if name, value, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "export "), "="); ok {
			env[name] = strings.Trim(value, "'")
		}
	}
	theirs := func(name string) []string { return sortedList(strings.Split(env[name], ",")) }
	switch o := cfg.Redis; {
	case len(o.Sentinels) > 0:
		return slices.Equal(sortedList(o.Sentinels), theirs("REDIS_SENTINELS")) && o.MasterName == env["REDIS_SENTINEL_MASTER_NAME"]
	case len(o.ClusterNodes) > 0:
		return slices.Equal(sortedList(o.ClusterNodes), theirs("REDIS_CLUSTER_NODES"))
	default:
		return o.Addr == net.JoinHostPort(env["REDIS_HOST"], env["REDIS_PORT"])
	}
}

func sortedList(all []string) []string { return slices.Sorted(slices.Values(all)) }

// mostOutput bounds what is shown of what a hook prints.
const mostOutput = 400

// runHook runs the user's command in our environment.
func (f *drillFlags) runHook(inv invocation) act {
	return func(ctx context.Context) (string, error) {
		cmd := exec.CommandContext(ctx, f.hook[0], f.hook[1:]...)
		cmd.Env, cmd.WaitDelay = inv.environ, time.Second // what it has started may hold its pipes
		var out tail
		cmd.Stdout, cmd.Stderr = &out, &out
		err := cmd.Run()
		switch {
		case ctx.Err() != nil && err != nil:
			err = errors.New("it was ended, because it had not ended by itself within --for")
		case errors.Is(err, exec.ErrWaitDelay): // it has ended well, and left something in the background
			err = nil
		}
		said := censor.Text(out.lastLine(), mostOutput)
		if err != nil {
			return "", fmt.Errorf("%s: %w: %s", f.hook[0], err, said)
		}
		return fmt.Sprintf("%s ended well: %s", f.hook[0], said), nil
	}
}

// tail keeps the end of what is written to it.
type tail struct{ b []byte }

func (t *tail) Write(p []byte) (int, error) {
	const most = 16 << 10
	t.b = append(t.b, p[max(0, len(p)-most):]...)
	t.b = t.b[max(0, len(t.b)-most):]
	return len(p), nil
}

// lastLine is the last line that is not empty and not indented.
func (t *tail) lastLine() string {
	lines := bytes.Split(bytes.TrimSpace(t.b), []byte("\n"))
	for _, line := range slices.Backward(lines) {
		if len(line) > 0 && line[0] != ' ' {
			return string(line)
		}
	}
	return string(lines[len(lines)-1])
}
