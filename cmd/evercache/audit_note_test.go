//go:build unix

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/evercache/evercache/internal/audit"
	"github.com/evercache/evercache/redistest"
)

// noted are the events of a log, which must be as it was written.
func noted(t *testing.T, path string) (events string) {
	t.Helper()
	log, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := audit.Verify(bytes.NewReader(log)); err != nil {
		t.Errorf("%v\n%s", err, log)
	}
	var all []string
	for line := range strings.Lines(string(log)) {
		_, rest, _ := strings.Cut(line, `"event":"`)
		event, rest, _ := strings.Cut(rest, `"`)
		_, rest, _ = strings.Cut(rest, `"outcome":"`)
		outcome, _, _ := strings.Cut(rest, `"`)
		all = append(all, event+"="+outcome)
	}
	return strings.Join(all, " ")
}

// What changes a set or its data is in the audit log: that it was begun, and how it ended.
func TestCommandsWriteToTheAuditLog(t *testing.T) {
	t.Parallel()
	const password = "canary-of-the-audit"
	server := redistest.Start(t, redistest.WithPassword(password))
	dir := t.TempDir()
	log, file := filepath.Join(dir, "commands.log"), filepath.Join(dir, "x.backup")
	s := &session{t: t, environ: []string{"REDIS_HOST=" + server.Host(), "REDIS_PORT=" + strconv.Itoa(server.Port()), "REDIS_PASSWORD=" + password, "EVERCACHE_AUDIT_LOG=" + log}}
	server.Do("SET", "canary-of-a-key", "1")
	s.run(exitOK, "backup", file) // a backup changes nothing
	s.run(exitOK, "restore", file, "--dry-run")
	s.run(exitUsage, "restore", file) // it is not confirmed
	if _, err := os.Stat(log); err == nil {
		t.Errorf("it has %s, and nothing was done", noted(t, log))
	}
	s.run(exitOK, "restore", file, "--yes")
	s.run(exitOK, "drill", "--trigger", "none", "--for", "1s", "--yes")
	s.run(exitFailed, "drill", "--trigger", "hook", "--for", "1s", "--yes", "false")
	if got, want := noted(t, log), "restore.begun=ok restore.ended=ok drill.begun=ok drill.ended=passed drill.begun=ok drill.ended=failed"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if name := inside(t, dir, password); name != "" {
		t.Errorf("the password is in %s", name)
	}
	if text, _ := os.ReadFile(log); bytes.Contains(text, []byte("canary-of-a-key")) {
		t.Error("a key is in the log")
	}
}

// A log that the service holds is not written, and nothing is done without one.
func TestWithoutItsAuditLogNothingIsDone(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	dir := t.TempDir()
	log, file := filepath.Join(dir, "audit.log"), filepath.Join(dir, "x.backup")
	s := &session{t: t, environ: []string{"REDIS_HOST=" + server.Host(), "REDIS_PORT=" + strconv.Itoa(server.Port()), "EVERCACHE_AUDIT_LOG=" + log}}
	server.Do("SET", "k", "1")
	s.run(exitOK, "backup", file)
	server.Do("FLUSHALL")
	l, err := audit.Open(log)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close(t.Context())
	for _, c := range [][]string{{"restore", file}, {"drill", "--trigger", "none", "--for", "1s", "--yes"}} {
		status := map[string]int{"restore": exitFailed, "drill": exitUsage}[c[0]]
		out := s.run(status, c...)
		for _, want := range []string{"another process writes it", "nothing was done", "--audit-log FILE", "--audit-log off"} {
			if !strings.Contains(out, want) {
				t.Errorf("%v: %q is not in %s", c, want, out)
			}
		}
	}
	if n := server.Do("DBSIZE"); n != int64(0) {
		t.Errorf("%v keys", n)
	}
	s.run(exitOK, "restore", file, "--audit-log", "off")
	server.Do("FLUSHALL")
	s.run(exitOK, "restore", file, "--audit-log", log+".commands")
	if got := noted(t, log+".commands"); got != "restore.begun=ok restore.ended=ok" {
		t.Error(got)
	}
}
