package redisproc

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestFindTakesTheNamedProgramElseThePath(t *testing.T) {
	dir := t.TempDir()
	program := func(name string) string {
		file := filepath.Join(dir, name)
		must(t, os.WriteFile(file, []byte("#!/bin/sh\n"), 0o700))
		return file
	}
	onPath := t.TempDir()
	t.Setenv("PATH", onPath)
	server, sentinel := program("my-server"), program("my-sentinel")

	tests := []struct {
		name                   string
		serverEnv, sentinelEnv string
		path                   string // the name of a program on PATH
		kind                   Kind
		want                   string
		args                   []string
	}{
		{"nothing", "", "", "", Server, "", nil},
		{"nothing for a sentinel", "", "", "", Sentinel, "", nil},
		{"server on PATH", "", "", "redis-server", Server, "redis-server", nil},
		{"valkey on PATH", "", "", "valkey-server", Server, "valkey-server", nil},
		{"server named", server, "", "redis-server", Server, server, nil},
		{"server named and missing", "/no/such", "", "redis-server", Server, "", nil},
		{"sentinel on PATH", "", "", "redis-sentinel", Sentinel, "redis-sentinel", nil},
		{"server as sentinel", "", "", "redis-server", Sentinel, "redis-server", []string{"--sentinel"}},
		{"named server as sentinel", server, "", "redis-sentinel", Sentinel, server, []string{"--sentinel"}},
		{"sentinel named", server, sentinel, "", Sentinel, sentinel, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv(ServerEnv, tt.serverEnv)
			t.Setenv(SentinelEnv, tt.sentinelEnv)
			if tt.path != "" {
				file := filepath.Join(onPath, tt.path)
				must(t, os.WriteFile(file, []byte("#!/bin/sh\n"), 0o700))
				defer func() { _ = os.Remove(file) }()
				if tt.want == tt.path {
					tt.want = file
				}
			}
			got, err := find(tt.kind)
			if got.path != tt.want || !slices.Equal(got.args, tt.args) {
				t.Errorf("find = %v, want %s %v", got, tt.want, tt.args)
			}
			if (tt.want == "") != errors.Is(err, ErrNoBinary) {
				t.Errorf("error = %v", err)
			}
		})
	}
}
