package config

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the generated files instead of comparing them")

const generatedBy = "Made by `go generate ./config` from the table of settings in `config/`; a test compares them."

const preface = `# Configuration

*` + generatedBy + `*

evercache is configured by environment variables. ` + "`REDIS_*`" + ` says where Redis is, ` + "`EVERCACHE_*`" + ` how the
binary behaves, and ` + "`OTEL_*`" + ` where its traces go. None is needed: without any, ` + "`evercache serve`" + ` listens on 127.0.0.1:3000 and serves
from memory until a Redis answers on localhost:6379.

- White space around a value does not count. An empty value is not set.
- Booleans are true, false, 1, 0, yes or no, in any case.
- Durations are Go's (` + "`250ms`, `90s`, `1h30m`" + `) or whole seconds. Sizes are bytes or have a unit
  (` + "`512KiB`, `32MiB`, `64mb`" + `); every unit is a power of 1024.
- Lists are separated by commas or white space. An address is ` + "`host:port`" + `, IPv6 in brackets: ` + "`[::1]:6379`" + `.
- A secret can come from a file instead: the same name with ` + "`_FILE`" + `, at most 64 KiB, the line end at its
  end does not count. Setting both is a fault.
- Anything wrong stops the start with exit status 2 and one line for each fault: the variable, what is
  wrong, what to do. No secret is ever printed.
- An unknown ` + "`REDIS_*` or `EVERCACHE_*`" + ` name is reported and ignored, and so are the variables that
  Kubernetes makes for a Service called redis or evercache.
`

const strictRule = `
## When Sentinel mode is asked for but not configured

` + "`REDIS_SENTINEL_ENABLED=true`" + ` without a master name, or with fewer than three sentinels, uses the single
server of ` + "`REDIS_HOST` and `REDIS_PORT`" + ` instead: existing deployments rely on it. It is not silent: the
finding ` + "`config-sentinel-fallback`" + ` has severity error, and ` + "`/health`" + ` shows a mode that is not the one asked
for. ` + "`REDIS_STRICT=true`" + ` refuses to start instead and lists what is missing. An address that is not
` + "`host:port`" + ` is a fault either way.
`

const memoryRule = `
## Memory

What ` + "`EVERCACHE_MEMORY`, `EVERCACHE_OUTBOX_MEMORY` and `EVERCACHE_RING_MEMORY`" + ` allow is what is kept. The process
needs more: some 24 MiB for itself, the outbox twice (writes that wait, and writes that are not confirmed), and a
quarter for the collector:

    24 MiB + 1.25 × (EVERCACHE_MEMORY + 2 × EVERCACHE_OUTBOX_MEMORY + EVERCACHE_RING_MEMORY)

Large bodies come on top: about three times their size for each request that is under way. Lower
` + "`EVERCACHE_MAX_BODY`" + ` where that is too much.

` + "`evercache serve`" + ` looks for the memory limit of its control group (Linux, version 1 and 2: Docker, Kubernetes, systemd):

- The Go runtime keeps to the limit less an eighth, and less 12 MiB at least. ` + "`GOMEMLIMIT`" + `, where it is set, wins.
- What is not set follows the limit, or ` + "`GOMEMLIMIT`" + ` where that is less: a quarter of it for values, a sixteenth for
  the outbox and a sixteenth for the ring, at most the defaults above. With 64 MiB that is as if these were set:

      GOMEMLIMIT=52MiB
      EVERCACHE_MEMORY=16MiB
      EVERCACHE_OUTBOX_MEMORY=4MiB
      EVERCACHE_RING_MEMORY=4MiB

- What is set stays. Where it does not fit, the finding ` + "`config-memory`" + ` says so.
- The log line ` + "`server.memory`" + ` says what holds.

Without a limit and without ` + "`GOMEMLIMIT`" + ` the runtime lets garbage grow to as much as is kept: the defaults then
need some 150 MiB. What was measured: [performance](performance.md#memory-of-the-binary).
`

func markdown() string {
	var b strings.Builder
	b.WriteString(preface)
	group := ""
	for _, s := range settings {
		if s.group != group {
			group = s.group
			fmt.Fprintf(&b, "\n## %s\n\n| variable | meaning | default | example |\n|---|---|---|---|\n", group)
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | `%s` |\n", s.name, s.meaning, defaultText(s), s.example)
	}
	b.WriteString(memoryRule)
	b.WriteString(strictRule)
	b.WriteString("\n## Findings\n\nWhat does not stop the start, but should be known; also in the log and in `/health`.\n\n| code | severity | when |\n|---|---|---|\n")
	for _, k := range findingKinds {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", k.code, k.severity, k.when)
	}
	return b.String()
}

func defaultText(s setting) string {
	if s.def == "" {
		return s.unset
	}
	return "`" + s.def + "`"
}

// envExample has one active line: what a deployment should not leave to chance.
func envExample() string {
	var b strings.Builder
	b.WriteString("# Settings of evercache, for docker run --env-file, compose and systemd.\n" +
		"# Every line that is commented out shows the default, or an example where there\n" +
		"# is none. docs/configuration.md says what each one means.\n" +
		"# " + strings.ReplaceAll(generatedBy, "`", "") + "\n")
	group := ""
	for _, s := range settings {
		if s.group != group {
			group = s.group
			fmt.Fprintf(&b, "\n# %s\n", group)
		}
		b.WriteString(exampleLine(s) + "\n")
	}
	return b.String()
}

func exampleLine(s setting) string {
	switch {
	case s.name == "REDIS_STRICT":
		return s.name + "=true"
	case s.def != "":
		return "#" + s.name + "=" + s.def
	}
	return "#" + s.name + "=" + s.example
}

func TestGeneratedFilesAreFresh(t *testing.T) {
	for path, want := range map[string]string{
		"../docs/configuration.md": markdown(),
		"../deploy/env.example":    envExample(),
	} {
		if *update {
			write(t, path, want)
			continue
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, string(got)); diff != "" {
			t.Errorf("%s is not what the table says; run go generate ./config (-want +got):\n%s", path, diff)
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestEnvExampleIsAccepted(t *testing.T) {
	cfg := accept(t, strings.Split(envExample(), "\n")...)
	for _, f := range cfg.Redis.Findings {
		t.Errorf("finding %s: %s", f.Code, f.Detail)
	}
}

func TestTableIsWhole(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range settings {
		if seen[s.name] {
			t.Errorf("%s is there twice", s.name)
		}
		seen[s.name] = true
		if s.meaning == "" || s.example == "" || s.group == "" || (s.def == "") == (s.unset == "") {
			t.Errorf("%s: a text is missing, or it has two defaults", s.name)
		}
		if strings.ContainsAny(s.meaning+s.example+s.unset, "|\n") {
			t.Errorf("%s: a text would break its table", s.name)
		}
		if s.def == "" {
			continue
		}
		if bad := s.parse(&draft{}, s.def); bad != nil {
			t.Errorf("%s: its default is a fault: %v", s.name, bad)
		}
	}
}

func TestEveryExampleIsAccepted(t *testing.T) {
	for _, s := range settings {
		if bad := s.parse(&draft{}, s.example); bad != nil {
			t.Errorf("%s=%s: %v", s.name, s.example, bad)
		}
	}
}
