// Package machine says what a figure was measured with and on: without that
// nobody can tell what it means.
package machine

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/evercache/evercache/internal/redisproc"
)

// Machine is what every report begins with.
type Machine struct {
	Command  string            `json:"command"`
	Commit   string            `json:"commit"`
	Go       string            `json:"go"`
	Redis    string            `json:"redis"`
	Modules  map[string]string `json:"modules"` // of the peers
	Platform string            `json:"platform"`
	CPU      string            `json:"cpu"`
	CPUs     int               `json:"cpus"`
	Load     string            `json:"load"` // average of the last minute, at the start
	At       time.Time         `json:"at"`

	peers []string
}

// Look describes where and how this program runs. The program is what `go run`
// is given; peers are the modules whose versions belong to the figures.
func Look(ctx context.Context, program string, peers ...string) Machine {
	return Machine{
		Command:  strings.Join(append([]string{"go run " + program}, os.Args[1:]...), " "),
		Commit:   commit(ctx),
		Go:       runtime.Version(),
		Redis:    redisVersion(ctx),
		Modules:  versions(peers),
		Platform: runtime.GOOS + "/" + runtime.GOARCH,
		CPU:      cpuModel(),
		CPUs:     runtime.NumCPU(),
		Load:     loadAverage(),
		At:       time.Now().UTC().Truncate(time.Second),
		peers:    peers,
	}
}

// Markdown is two paragraphs; shared says by whom the CPUs are.
func (m Machine) Markdown(shared string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "`%s` at commit %s, %s.\n\n", m.Command, m.Commit, m.At.Format(time.RFC3339))
	fmt.Fprintf(&b, "%s, %s, %d CPUs shared by %s, load average %s at the start; %s, redis-server %s", m.Platform, m.CPU, m.CPUs, shared, m.Load, m.Go, m.Redis)
	for _, p := range m.peers {
		fmt.Fprintf(&b, ", %s %s", p, m.Modules[p])
	}
	b.WriteString(".\n\n")
	return b.String()
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

// redisVersion asks the program that the servers are started with.
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

// versions are those that this program was built with.
func versions(of []string) map[string]string {
	built := map[string]string{}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return built
	}
	for _, m := range info.Deps {
		if slices.Contains(of, m.Path) {
			built[m.Path] = m.Version
		}
	}
	return built
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
