package dev

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestTheExportsAreReadByAShell(t *testing.T) {
	env := []string{"REDIS_SENTINELS=127.0.0.1:1,127.0.0.1:2", `REDIS_TLS_CA_FILE=/tmp/it's $HOME "a" file`}
	callers := []string{"REDIS_URL=redis://user:canary@x", "REDIS_SENTINELS=old", "REDIS_DB=", "REDIS_x;rm=1", "PATH=/bin", "EVERCACHE_TTL=1s"}
	text := exports(env, callers)
	if strings.Contains(text, "canary") {
		t.Errorf("the exports hold a value of the caller: %s", text)
	}
	sh := exec.CommandContext(t.Context(), "/bin/sh", "-c", text+`printf '%s|%s|%s' "$REDIS_SENTINELS" "$REDIS_TLS_CA_FILE" "${REDIS_URL-unset}"`)
	sh.Env = callers
	out, err := sh.CombinedOutput()
	if want := `127.0.0.1:1,127.0.0.1:2|/tmp/it's $HOME "a" file|unset`; err != nil || string(out) != want {
		t.Errorf("%v, the shell has %s, want %s\n%s", err, out, want, text)
	}
}

func TestNothingOfTheCallersRedisReachesTheService(t *testing.T) {
	got := serviceEnviron([]string{"REDIS_HOST=127.0.0.1"}, []string{"REDIS_URL=redis://x", "EVERCACHE_TTL=1s", "REDIS_STRICT=true", "EVERCACHE_DRAIN_TIMEOUT=5s"})
	want := []string{"EVERCACHE_DRAIN_TIMEOUT=2s", "EVERCACHE_TTL=1s", "EVERCACHE_DRAIN_TIMEOUT=5s", "REDIS_HOST=127.0.0.1"} // the later one counts
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestAnEnvFileReplacesNoOtherFile(t *testing.T) {
	dir := t.TempDir()
	ours, others, empty := filepath.Join(dir, "ours"), filepath.Join(dir, "others"), filepath.Join(dir, "empty")
	for file, text := range map[string]string{others: "SECRET=1\n", empty: ""} {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{ours, ours, empty} {
		if err := writeEnvFile(file, []string{"A=1", "B=2"}); err != nil {
			t.Error(err)
		}
	}
	for _, file := range []string{others, dir, filepath.Join(dir, "no", "such")} {
		if err := writeEnvFile(file, []string{"A=1"}); err == nil || !strings.Contains(err.Error(), "--env-file") {
			t.Errorf("%s: %v", file, err)
		}
	}
	text, err := os.ReadFile(ours)
	if err != nil || !strings.HasSuffix(string(text), "\nA=1\nB=2\n") {
		t.Errorf("%v: %s", err, text)
	}
	if text, err := os.ReadFile(others); err != nil || string(text) != "SECRET=1\n" {
		t.Errorf("%v: %s", err, text)
	}
	if info, err := os.Stat(ours); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

func TestOptionsThatCannotWorkAreAllNamed(t *testing.T) {
	tests := []struct {
		name string
		o    Options
		want []string // beginnings of lines
	}{
		{"none", Options{}, nil},
		{"a Cluster", Options{Mode: Cluster}, nil},
		{"one server", Options{Mode: Standalone}, nil},
		{"many", Options{Replicas: 29, Sentinels: 9, Port: 6379}, nil},
		{"too many", Options{Replicas: 30, Sentinels: 10}, []string{"--sentinels 10: want 3 to 9", "--masters, --replicas: 31 servers"}},
		{"too few sentinels", Options{Sentinels: 2}, []string{"--sentinels 2"}},
		{"of another mode", Options{Mode: Standalone, Replicas: 1, Sentinels: 3}, []string{"--replicas is not for --standalone", "--sentinels is for"}},
		{"masters without a Cluster", Options{Masters: 3}, []string{"--masters is for --cluster only"}},
		{"a small Cluster", Options{Mode: Cluster, Masters: 2}, []string{"--masters 2: a Cluster needs at least 3"}},
		{"a big Cluster", Options{Mode: Cluster, Masters: 10, Replicas: 3}, []string{"--masters, --replicas: 40 servers"}},
		{"negative", Options{Replicas: -1}, []string{"--masters, --replicas: 0 servers"}},
		{"a mode", Options{Mode: "x"}, []string{`mode "x"`}},
		{"a name and a port", Options{Name: "../x", Port: 80}, []string{`--name "../x"`, "--port 80: want 1024 to"}},
		{"a port without room above", Options{Port: 60000}, []string{"--port 60000"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var lines []string
			if err := tt.o.withDefaults().validate(); err != nil {
				lines = strings.Split(err.Error(), "\n")
			}
			for _, want := range tt.want {
				if !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, want) }) {
					t.Errorf("%q is not among %q", want, lines)
				}
			}
			if len(tt.want) == 0 && len(lines) > 0 {
				t.Errorf("refused: %q", lines)
			}
		})
	}
}

func TestThePortsOfANameAreTheSameEachTime(t *testing.T) {
	o := Options{Port: 6379}.withDefaults()
	place := o.placement("/x", func(string, int) {})
	if got := place(0, 2); got.Port != 6381 || got.Dir != filepath.Join("/x", "redis-3") {
		t.Errorf("redis-3 is at %+v", got)
	}
	if got := place(1, 0); got.Port != 26379 || got.Dir != filepath.Join("/x", "sentinel-1") {
		t.Errorf("sentinel-1 is at %+v", got)
	}
	o.Port = 0
	if got := o.placement("/x", nil)(1, 2); got.Port != 0 {
		t.Errorf("sentinel-3 is at port %d, want any", got.Port)
	}
}
