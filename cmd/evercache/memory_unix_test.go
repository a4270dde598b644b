//go:build unix

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestServeSaysWhichMemoryItMayHave(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	log, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	p := prepare(t, append(deadRedis(t), "GOMEMLIMIT=32MiB", "EVERCACHE_MEMORY=40MiB")...)
	p.Stderr = log
	p.begin()
	if _, body := p.ask("GET", "/health", ""); !strings.Contains(body, `"config-memory"`) {
		t.Errorf("no finding says that the settings need more than the limit: %s", body)
	}
	p.until("the log says what the bounds are", func() bool {
		text, err := os.ReadFile(path)
		return err == nil && strings.Contains(string(text), `"runtime_limit_bytes":33554432,"values_bytes":41943040,"outbox_bytes":2097152,"ring_bytes":2097152`)
	})
}
