//go:build unix

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/testbed"
	"github.com/evercache/evercache/redistest"
)

// session runs commands in this process, and keeps all that they say.
type session struct {
	t       *testing.T
	environ []string
	said    bytes.Buffer
}

func (s *session) run(want int, args ...string) string {
	s.t.Helper()
	var out bytes.Buffer
	got := run(args, invocation{environ: s.environ, stdin: strings.NewReader(""), stdout: &out, stderr: &out})
	if got != want {
		s.t.Errorf("%v: exit status %d, want %d: %s", args, got, want, &out)
	}
	s.said.Write(out.Bytes())
	return out.String()
}

// inside reports whether a text is in any file of a directory.
func inside(t *testing.T, dir, text string) (name string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if bytes.Contains(data, []byte(text)) {
			name = path
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// A session of an operator with a Sentinel set. Its password is nowhere.
func TestBackupVerifyRestore(t *testing.T) {
	t.Parallel()
	const password = "canary-of-the-backup"
	set := redistest.StartSentinel(t, redistest.WithPassword(password), redistest.WithDownAfter(2*time.Second))
	dir := t.TempDir()
	s := &session{t: t, environ: []string{
		"REDIS_SENTINEL_ENABLED=true", "REDIS_SENTINELS=" + strings.Join(set.Addrs(), ","), "REDIS_SENTINEL_MASTER_NAME=" + set.MasterName(),
		"REDIS_PASSWORD=" + password,
	}}
	for i := range 500 {
		set.Master().Do("SET", fmt.Sprint("k", i), fmt.Sprint(i))
	}
	s.run(exitOK, "backup", dir)
	found, err := filepath.Glob(filepath.Join(dir, "evercache-*.backup"))
	if err != nil || len(found) != 1 {
		t.Fatalf("%q, %v", found, err)
	}
	name := found[0]
	if out := s.run(exitOK, "verify", name); !strings.Contains(out, "whole: 500 records") {
		t.Error(out)
	}
	if out := s.run(exitOK, "restore", "--dry-run", name); !strings.Contains(out, "500 keys") || !strings.Contains(out, "nothing was written") {
		t.Error(out)
	}
	if out := s.run(exitUsage, "restore", name); !strings.Contains(out, "--yes") { // it is not empty
		t.Error(out)
	}
	set.Master().Do("DEL", "k7")
	if out := s.run(exitOK, "restore", name, "--yes"); !strings.Contains(out, "restored 1, existed already 499") || !strings.Contains(out, "--replace overwrites") {
		t.Error(out)
	}
	set.Master().Do("FLUSHALL")
	if out := s.run(exitOK, "restore", name); !strings.Contains(out, "restored 500") {
		t.Error(out)
	}
	if got := set.Master().Do("GET", "k7"); got != "7" {
		t.Errorf("k7 is %v", got)
	}
	if left, _ := filepath.Glob(name + ".*"); len(left) != 0 {
		t.Errorf("left: %v", left)
	}

	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	bad := filepath.Join(dir, "bad.backup")
	if err := os.WriteFile(bad, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if out := s.run(exitFailed, "verify", bad); !strings.Contains(out, "broken at byte") || strings.Contains(out, "key") {
		t.Error(out)
	}
	s.run(exitFailed, "restore", bad, "--yes")
	s.run(exitFailed, "restore", name, "--resume", "--yes") // nothing has stopped
	s.run(exitFailed, "backup", name)                       // it exists
	s.environ[len(s.environ)-1] += "-wrong"
	s.run(exitFailed, "backup", dir)
	if strings.Contains(s.said.String(), password) {
		t.Errorf("the password is shown: %s", &s.said)
	}
	if name := inside(t, dir, password); name != "" {
		t.Errorf("the password is in %s", name)
	}
}

// started is the program in a process of its own, through a shell where script is given.
func started(t *testing.T, environ []string, script string, args ...string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	p, out := prepared(t, environ, script, args...)
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	return p, out
}

// prepared is one that is not started yet.
func prepared(t *testing.T, environ []string, script string, args ...string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	named := filepath.Join(t.TempDir(), "evercache") // see TestMain
	if err := os.Symlink(exe, named); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	var out bytes.Buffer
	p := exec.CommandContext(ctx, "/bin/sh", append([]string{"-c", script + `exec "$0" "$@"`, named}, args...)...)
	p.Env, p.Stdout, p.Stderr = append(environ, "GORACE="+quickEnd, "PATH="+os.Getenv("PATH")), &out, &out
	return p, &out
}

func status(err error) int {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode()
	}
	return 0
}

func some(t *testing.T, r *redistest.Server, n int) {
	t.Helper()
	r.Do("EVAL", `for i = 1, tonumber(ARGV[1]) do redis.call('SET', 'k' .. i, string.rep('v' .. i, 100)) end`, "0", fmt.Sprint(n))
}

// files are the names in a directory.
func files(t *testing.T, dir string) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

func TestADiskThatIsFullLeavesNoBackup(t *testing.T) {
	t.Parallel()
	r, dir := redistest.Start(t), t.TempDir()
	some(t, r, 5000)
	p, out := started(t, redisAt(r), "ulimit -f 100; ", "backup", filepath.Join(dir, "x.backup"))
	if err := p.Wait(); status(err) != exitFailed || !strings.Contains(out.String(), "write the file") {
		t.Errorf("%v: %s", err, out)
	}
	if left := files(t, dir); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

func TestABackupThatIsKilledLeavesNoFileUnderItsName(t *testing.T) {
	t.Parallel()
	r, dir := redistest.Start(t), t.TempDir()
	some(t, r, 20000)
	slow := redistest.NewProxy(t, r.Addr())
	slow.SetLatency(redistest.ToClient, 20*time.Millisecond)
	host, port, _ := strings.Cut(slow.Addr(), ":")
	p, out := started(t, []string{"REDIS_HOST=" + host, "REDIS_PORT=" + port}, "", "backup", filepath.Join(dir, "x.backup"))
	testbed.Until(t, time.Minute, func() bool {
		for _, name := range files(t, dir) {
			if info, err := os.Stat(filepath.Join(dir, name)); err == nil && info.Size() > 100<<10 {
				return true
			}
		}
		return false
	}, out.String)
	if err := p.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = p.Wait()
	if left := files(t, dir); len(left) != 1 || !strings.HasPrefix(left[0], "x.backup.incomplete-") {
		t.Errorf("left: %v", left)
	}
}

func TestAScheduleEndsOnRequest(t *testing.T) {
	t.Parallel()
	r, dir := redistest.Start(t), filepath.Join(t.TempDir(), "made")
	some(t, r, 100)
	metrics := filepath.Join(t.TempDir(), "m.prom")
	p, out := started(t, redisAt(r), "", "backup", "--every", "1s", "--keep", "2", "--dir", dir, "--metrics-file", metrics, "--gzip")
	testbed.Until(t, time.Minute, func() bool {
		text, err := os.ReadFile(metrics)
		return err == nil && strings.Contains(string(text), `runs_total{result="success"} 4`)
	}, func() string { return "no fourth backup" })
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := p.Wait(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	left := files(t, dir)
	if len(left) != 3 || !strings.HasSuffix(left[0], ".backup.gz") || !strings.HasSuffix(left[1], ".backup.gz") || left[2] != "last-success" {
		t.Errorf("left: %v: %s", left, out)
	}
}

func TestARestoreThatIsStoppedGoesOn(t *testing.T) {
	t.Parallel()
	from, to, dir := redistest.Start(t), redistest.Start(t), t.TempDir()
	some(t, from, 2000)
	name := filepath.Join(dir, "x.backup")
	(&session{t: t, environ: redisAt(from)}).run(exitOK, "backup", name)
	p, out := started(t, redisAt(to), "", "restore", name, "--rate", "500")
	testbed.Until(t, time.Minute, func() bool { return to.Do("DBSIZE") != int64(0) }, func() string { return "nothing is restored" })
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := p.Wait(); status(err) != exitFailed {
		t.Errorf("%v: %s", err, out)
	}
	if n := to.Do("DBSIZE"); n == int64(2000) {
		t.Error("it was not stopped")
	}
	if said := (&session{t: t, environ: redisAt(to)}).run(exitOK, "restore", name, "--resume"); !strings.HasPrefix(said, "restored 2000, existed already 0") {
		t.Errorf("%s, after %s", said, out)
	}
	if left := files(t, dir); len(left) != 1 {
		t.Errorf("left: %v", left)
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]int64{"64MiB": 64 << 20, "1KB": 1000, "5": 5, "7B": 7, "2GiB": 2 << 30} {
		if got, err := parseBytes(text); err != nil || got != want {
			t.Errorf("%s: %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "MiB", "-1", "1.5MiB", "x", "99999999999GiB"} {
		if n, err := parseBytes(text); err == nil {
			t.Errorf("%q is %d", text, n)
		}
	}
}
