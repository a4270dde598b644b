//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache/config"
	"github.com/evercache/evercache/internal/drill"
	"github.com/evercache/evercache/redistest"
)

// drilled runs evercache drill as another terminal would.
func (d *playing) drilled(typed string, args ...string) (stdout, stderr string, status int) {
	d.Helper()
	cmd := d.command()
	cmd.Args = append([]string{"evercache", "drill"}, args...)
	cmd.Env = append(cmd.Env, d.exported()...)
	cmd.Stdin = strings.NewReader(typed)
	var out, told bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &told
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		d.Fatal(err)
	}
	return out.String(), told.String(), cmd.ProcessState.ExitCode()
}

func TestADrillOnASetOfDev(t *testing.T) {
	t.Parallel()
	d := newPlayground(t).start("--password", "--tls")
	secret := d.password()
	dir := t.TempDir()
	var files []string
	args := []string{"--trigger", "kill", "--compare", "--for", "6s", "--max-gap", "1m", "-o", "json"}
	for _, name := range []string{"drill.md", "drill.svg", "drill.json"} {
		files = append(files, filepath.Join(dir, name))
		args = append(args, "--report", files[len(files)-1])
	}
	out, told, status := d.drilled("no\n", args...)
	if status != exitUsage || out != "" || !strings.Contains(told, "not confirmed") {
		t.Fatalf("status %d: %s%s", status, out, told)
	}
	out, told, status = d.drilled("yes\n", args...)
	var r drill.Report
	if err := json.Unmarshal([]byte(out), &r); err != nil || status != exitOK {
		t.Fatalf("status %d, %v: %s%s", status, err, out, told)
	}
	ever, plain := r.Clients[0], r.Clients[1]
	if r.Outcome != drill.Passed || ever.FailedReads+ever.MissingReads != 0 || *ever.Lost != 0 || *ever.Undone != 0 || plain.FailedWrites == 0 {
		t.Errorf("%s", out)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil || !strings.Contains(string(text), "evercache") {
			t.Errorf("%s: %v, %s", f, err, text)
		}
		out += string(text)
	}
	if strings.Contains(out+told, secret) {
		t.Error("the password was printed")
	}
	d.until("the killed server is back", func() bool { return !strings.Contains(d.must("status"), "dead") })

	// Its gates decide the status: writes did wait for the next master.
	out, told, status = d.drilled("", "--trigger", "hook", "--for", "1s", "--yes", "--max-gap", "1ms", "true")
	if status != exitFailed || !strings.Contains(out, "gate gap") || !strings.Contains(out, "missed") {
		t.Errorf("status %d: %s%s", status, out, told)
	}
}

// password is what the servers of the run ask for.
func (d *playing) password() string {
	d.Helper()
	for _, entry := range d.exported() {
		if file, ok := strings.CutPrefix(entry, "REDIS_PASSWORD_FILE="); ok {
			text, err := os.ReadFile(file)
			if err != nil {
				d.Fatal(err)
			}
			return strings.TrimSpace(string(text))
		}
	}
	d.Fatal("it has no password")
	return ""
}

// Nobody's set is broken but that of evercache dev.
func TestADrillKillsNothingOfOthers(t *testing.T) {
	t.Parallel()
	set := redistest.StartSentinel(t)
	p := newPlayground(t)
	environ := append(p.environ, "REDIS_SENTINEL_ENABLED=true", "REDIS_SENTINEL_MASTER_NAME="+set.MasterName(), "REDIS_SENTINELS="+strings.Join(set.Addrs(), ","))
	refused := func(want string) {
		t.Helper()
		for _, trigger := range []string{drill.Kill, drill.Stop} {
			text, status := runHere(environ, "drill", "--trigger", trigger, "--yes", "--force")
			if status != exitUsage || !strings.Contains(text, "is for a set of evercache dev only: "+want) {
				t.Errorf("status %d: %s", status, text)
			}
		}
	}
	refused("nothing runs")
	d := p.start()
	refused("the settings lead to another set")
	d.must("quit")
	d.ends(exitOK)
	for _, n := range set.Nodes() {
		if !n.Running() {
			t.Errorf("%s has ended", n.Addr())
		}
	}
}

// Who may not begin a failover is told so before the traffic.
func TestADrillIsRefusedWhereTheFailoverIsForbidden(t *testing.T) {
	t.Parallel()
	set := redistest.StartSentinel(t)
	for _, x := range set.Sentinels() {
		x.Do("ACL", "SETUSER", "default", "-sentinel|failover")
	}
	environ := []string{"REDIS_SENTINEL_ENABLED=true", "REDIS_SENTINEL_MASTER_NAME=" + set.MasterName(), "REDIS_SENTINELS=" + strings.Join(set.Addrs(), ",")}
	text, status := runHere(environ, "drill", "--trigger", "failover", "--yes", "--force")
	if status != exitUsage || !strings.Contains(text, "nothing was done") || !strings.Contains(text, "the ACL forbids SENTINEL FAILOVER to our user") {
		t.Errorf("status %d: %s", status, text)
	}
}

func TestTheSetThatDevRunsIsRecognized(t *testing.T) {
	for _, c := range []struct {
		exports string
		environ []string
		want    bool
	}{
		{"unset X\nexport REDIS_HOST=127.0.0.1\nexport REDIS_PORT=7000\n", []string{"REDIS_HOST=127.0.0.1", "REDIS_PORT=7000"}, true},
		{"export REDIS_HOST=127.0.0.1\nexport REDIS_PORT=7000\n", []string{"REDIS_HOST=127.0.0.1", "REDIS_PORT=7001"}, false},
		{"export REDIS_CLUSTER_NODES=127.0.0.1:1,127.0.0.1:2\n", []string{"REDIS_CLUSTER_NODES=127.0.0.1:2,127.0.0.1:1"}, true},
		{"export REDIS_CLUSTER_NODES=127.0.0.1:1,127.0.0.1:2\n", []string{"REDIS_CLUSTER_NODES=127.0.0.1:1"}, false},
		{"export REDIS_CLUSTER_NODES=127.0.0.1:1\n", []string{"REDIS_HOST=127.0.0.1"}, false},
		{"export REDIS_SENTINELS=127.0.0.1:1,127.0.0.1:2,127.0.0.1:3\nexport REDIS_SENTINEL_MASTER_NAME=mymaster\n", []string{"REDIS_SENTINEL_ENABLED=true", "REDIS_SENTINEL_MASTER_NAME=mymaster", "REDIS_SENTINELS=127.0.0.1:1,127.0.0.1:2,127.0.0.1:3"}, true},
		{"export REDIS_SENTINELS=127.0.0.1:1,127.0.0.1:2,127.0.0.1:3\nexport REDIS_SENTINEL_MASTER_NAME=mymaster\n", []string{"REDIS_SENTINEL_ENABLED=true", "REDIS_SENTINEL_MASTER_NAME=other", "REDIS_SENTINELS=127.0.0.1:1,127.0.0.1:2,127.0.0.1:3"}, false},
		{"", nil, false},
	} {
		cfg, err := config.FromEnv(c.environ)
		if err != nil {
			t.Fatal(err)
		}
		if sameSet(c.exports, cfg) != c.want {
			t.Errorf("%q and %q: want %v", c.exports, c.environ, c.want)
		}
	}
}

func TestTheEndOfWhatAHookPrintsIsKept(t *testing.T) {
	var out tail
	cmd := exec.CommandContext(t.Context(), "sh", "-c", "head -c 100000 /dev/zero | tr '\\0' x; echo; echo done: well; echo '  and more'; echo")
	cmd.Stdout = &out
	if err := cmd.Run(); err != nil || out.lastLine() != "done: well" || len(out.b) > 16<<10 {
		t.Errorf("%v, %q, %d bytes", err, out.lastLine(), len(out.b))
	}
	if got := (&tail{}).lastLine(); got != "" {
		t.Errorf("%q", got)
	}
}

func TestWhatBecomesOfAHook(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ script, said, fault string }{
		{"echo done", "sh ended well: done", ""},
		{"sleep 8 & echo begun", "sh ended well: begun", ""}, // what is left in the background is its own affair
		{"echo no; exit 3", "", "sh: exit status 3: no"},
		{"exec sleep 60", "", "within --for"},
	} {
		ctx, end := context.WithTimeout(t.Context(), 5*time.Second)
		said, err := (&drillFlags{hook: []string{"sh", "-c", c.script}}).runHook(invocation{environ: os.Environ()})(ctx)
		end()
		if said != c.said || (err == nil) != (c.fault == "") || err != nil && !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%s: %q, %v; want %q, %q", c.script, said, err, c.said, c.fault)
		}
	}
}
