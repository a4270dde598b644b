package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/evercache/evercache/internal/redisproc"
)

// environment is what a figure must be read with.
type environment struct {
	Command    string            `json:"command"`
	Commit     string            `json:"commit"`
	Go         string            `json:"go"`
	Redis      string            `json:"redis"`
	Modules    map[string]string `json:"modules"` // of the peers
	Platform   string            `json:"platform"`
	CPU        string            `json:"cpu"`
	CPUs       int               `json:"cpus"`
	Load       string            `json:"load"` // average of the last minute, at the start
	Repeat     int               `json:"repeat"`
	DownAfter  string            `json:"downAfter"`
	Writes     float64           `json:"writesPerSecond"`
	Reads      float64           `json:"readsPerSecond"`
	Contenders map[string]string `json:"contenders"` // their settings
	At         time.Time         `json:"at"`

	order []string // of the contenders
}

func newEnvironment(ctx context.Context, o options) environment {
	e := environment{
		Command:    strings.Join(append([]string{"go run ./failover"}, os.Args[1:]...), " "),
		Commit:     commit(ctx),
		Go:         runtime.Version(),
		Redis:      redisVersion(ctx),
		Modules:    modules(),
		Platform:   runtime.GOOS + "/" + runtime.GOARCH,
		CPU:        cpuModel(),
		CPUs:       runtime.NumCPU(),
		Load:       loadAverage(),
		Repeat:     o.repeat,
		DownAfter:  o.downAfter.String(),
		Writes:     o.rates.writes,
		Reads:      o.rates.reads,
		Contenders: map[string]string{},
		At:         time.Now().UTC().Truncate(time.Second),
	}
	for _, c := range o.contenders {
		e.Contenders[c.name] = c.how
		e.order = append(e.order, c.name)
	}
	return e
}

// commit is that of the working directory, with "-dirty" where it differs.
func commit(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty", "--exclude=*").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}

var versionIn = regexp.MustCompile(`v=(\S+)`)

// redisVersion asks the program that the sets are started with.
func redisVersion(ctx context.Context) string {
	program := os.Getenv(redisproc.ServerEnv)
	if program == "" {
		program = "redis-server"
	}
	out, err := exec.CommandContext(ctx, program, "--version").Output()
	if v := versionIn.FindSubmatch(out); err == nil && v != nil {
		return string(v[1])
	}
	return "unknown"
}

var peers = []string{"github.com/redis/go-redis/v9", "github.com/redis/rueidis"}

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

func cpuModel() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return "unknown"
	}
	defer func() { _ = f.Close() }()
	for s := bufio.NewScanner(f); s.Scan(); {
		if k, v, ok := strings.Cut(s.Text(), ":"); ok && strings.TrimSpace(k) == "model name" {
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
	fmt.Fprintf(&b, "%s, %s, %d CPUs shared by the clients and the set, load average %s at the start; %s, redis-server %s", e.Platform, e.CPU, e.CPUs, e.Load, e.Go, e.Redis)
	for _, p := range peers {
		fmt.Fprintf(&b, ", %s %s", p, e.Modules[p])
	}
	fmt.Fprintf(&b, ".\n\n1 master, %d replicas, %d sentinels, down-after %s, fresh for every repetition; all contenders at the same time, each with %v writes a second of keys of their own and %v reads a second of %d known keys, in an open loop, every call with a context of %v.\n", replicas, sentinels, e.DownAfter, e.Writes, e.Reads, knownKeys, callTimeout)
	fmt.Fprintf(&b, "A cell is median (min–max) of %d repetitions; `>` is a lower bound: it had not happened when the observation ended.\n\n", e.Repeat)
	for _, name := range e.order {
		fmt.Fprintf(&b, "- %s: %s\n", name, e.Contenders[name])
	}
	return b.String()
}
