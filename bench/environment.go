package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
	"time"
)

// environment is what a figure must be read with.
type environment struct {
	Command  string            `json:"command"`
	Commit   string            `json:"commit"`
	Go       string            `json:"go"`
	Redis    string            `json:"redis"`
	Modules  map[string]string `json:"modules"` // of the peers
	Platform string            `json:"platform"`
	CPU      string            `json:"cpu"`
	CPUs     int               `json:"cpus"`
	Load     string            `json:"load"` // average of the last minute, at the start
	Keys     int               `json:"keys"`
	Repeat   int               `json:"repeat"`
	Length   string            `json:"duration"` // of each cell
	At       time.Time         `json:"at"`
}

func newEnvironment(ctx context.Context, w *world) environment {
	return environment{
		Command:  command(os.Args),
		Commit:   commit(ctx),
		Go:       runtime.Version(),
		Redis:    redisVersion(ctx, w),
		Modules:  modules(),
		Platform: runtime.GOOS + "/" + runtime.GOARCH,
		CPU:      fieldOf("/proc/cpuinfo", "model name"),
		CPUs:     runtime.NumCPU(),
		Load:     loadAverage(),
		Keys:     len(w.keys),
		At:       time.Now().UTC().Truncate(time.Second),
	}
}

func command(args []string) string {
	return strings.Join(append([]string{"go run ."}, args[1:]...), " ")
}

// commit is that of the working directory, with "-dirty" where it differs.
func commit(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty", "--exclude=*").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}

func redisVersion(ctx context.Context, w *world) string {
	reply, err := w.redis.Do(ctx, "INFO", "server")
	info, ok := reply.(string)
	if err != nil || !ok {
		return "unknown"
	}
	for line := range strings.Lines(info) {
		if v, found := strings.CutPrefix(line, "redis_version:"); found {
			return strings.TrimSpace(v)
		}
	}
	return "unknown"
}

// peers are the modules whose versions belong to the figures.
var peers = []string{
	"github.com/maypok86/otter/v2",
	"github.com/redis/go-redis/v9",
	"github.com/redis/rueidis",
	"github.com/viccon/sturdyc",
}

func modules() map[string]string {
	versions := map[string]string{}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return versions
	}
	for _, m := range info.Deps {
		for _, p := range peers {
			if m.Path == p {
				versions[p] = m.Version
			}
		}
	}
	return versions
}

// fieldOf is the first value of a "name : value" line, or "unknown".
func fieldOf(file, name string) string {
	f, err := os.Open(file)
	if err != nil {
		return "unknown"
	}
	defer func() { _ = f.Close() }()
	for s := bufio.NewScanner(f); s.Scan(); {
		if k, v, ok := strings.Cut(s.Text(), ":"); ok && strings.TrimSpace(k) == name {
			return strings.TrimSpace(v)
		}
	}
	return "unknown"
}

func loadAverage() string {
	data, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	first, _, _ := strings.Cut(string(data), " ")
	return first
}

func (e environment) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "`%s` at commit %s, %s.\n\n", e.Command, e.Commit, e.At.Format(time.RFC3339))
	fmt.Fprintf(&b, "%s, %s, %d CPUs (%s), load average %s at the start; %s, redis-server %s on loopback, on the same machine.\n", e.Platform, e.CPU, e.CPUs, "shared by client and server", e.Load, e.Go, e.Redis)
	for i, p := range peers {
		sep := ", "
		if i == 0 {
			sep = ""
		}
		fmt.Fprintf(&b, "%s%s %s", sep, p, e.Modules[p])
	}
	fmt.Fprintf(&b, ".\n\n%d keys in one random order. A cell is median (min–max) of %d runs of %s, subjects interleaved.\n", e.Keys, e.Repeat, e.Length)
	b.WriteString("Ratio: operations a second of the first row over those of this row, paired within each repetition; above 1 the first row is faster.\n")
	return b.String()
}
