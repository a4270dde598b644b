package check

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The templates, the scripts and the users of deploy/compose, through everything
// that moves a master.
func TestTheSetFailsOver(t *testing.T) {
	t.Parallel()
	s := newSet(t, nil)
	s.start()
	d := serve(t, s.environment())
	d.awaitUp(s.master())
	w := d.write("demo")

	crashed := s.master()
	crashed.kill()
	s.awaitMaster(crashed)
	crashed.start()
	crashed.awaitHealthy()
	now := s.awaitMaster(crashed)

	s.sentinels[2].kill()
	time.Sleep(time.Second) // so that the two others miss it
	if out, err := s.sentinels[0].ask("SENTINEL", "FAILOVER", "mymaster"); err != nil {
		t.Fatalf("%s %v", out, err)
	}
	s.awaitMaster(now)
	s.sentinels[2].start()
	s.sentinels[2].awaitHealthy()
	now = s.awaitMaster(nil)
	d.awaitUp(now)
	w.end()

	if lost := w.missing(now, s.prefix, "demo"); len(lost) > 0 {
		t.Errorf("%d of %d acknowledged writes are not on the master, the first: %s", len(lost), len(w.acked), lost[0])
	}
	if n := d.health().Redis.Sentinel.FailoverCount; n < 2 {
		t.Errorf("%d failovers counted, want 2 or more", n)
	}
	eventually(t, 10*time.Second, "nothing is found wrong", func() error {
		for _, f := range d.health().Findings {
			if f.Severity != "info" {
				return fmt.Errorf("%+v", f)
			}
		}
		return nil
	})
	for _, r := range s.refusals() {
		t.Errorf("somebody was refused something: %s", r)
	}
	if status := d.end(t); status != 0 {
		t.Errorf("evercache ends with status %d; its log:\n%s", status, tail(d.log.String()))
	}
}

// The default of Docker is to start a container again at once, sooner than any
// sentinel notices. A master that has lost its data meanwhile must not come back
// as one.
func TestAMasterThatLostItsDataDoesNotEmptyTheSet(t *testing.T) {
	t.Parallel()
	s := newSet(t, nil)
	s.start()
	master := s.awaitMaster(nil)
	master.write("precious", "1")
	if n := master.must("WAIT", "2", "5000"); n != "2" {
		t.Fatalf("%s replicas have it", n)
	}
	master.kill()
	master.lose()
	master.start()
	now := s.awaitMaster(master)
	if v := now.must("GET", "precious"); v != "1" {
		t.Errorf("the new master holds %q", v)
	}
	master.awaitHealthy()
	if v := master.must("GET", "precious"); v != "1" || !strings.Contains(master.log.String(), "this node has no data") {
		t.Errorf("the old master holds %q; its log:\n%s", v, tail(master.log.String()))
	}
}

// After the machine was started again no sentinel may be there yet to ask.
func TestAFirstNodeThatLostItsDataLooksForOthers(t *testing.T) {
	t.Parallel()
	s := newSet(t, nil)
	first, other := s.redis[0], s.redis[1]
	first.start()
	other.start()
	other.awaitHealthy()
	first.write("precious", "1")
	first.must("WAIT", "1", "5000")
	first.kill()
	first.lose()
	first.start()
	eventually(t, 10*time.Second, "it hesitates", func() error {
		if !strings.Contains(first.log.String(), "another one has") {
			return errNotYet
		}
		return nil
	})
	if v := other.must("GET", "precious"); v != "1" {
		t.Errorf("the other node holds %q", v)
	}
	permit := filepath.Join(first.dir, "start-empty")
	if err := os.WriteFile(permit, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	first.awaitHealthy() // it was told to
}

// Redis reads its append-only file as the default user, whose rights count for what
// was written together.
func TestARestartKeepsWhatAScriptWroteWithSeveralCommands(t *testing.T) {
	t.Parallel()
	s := newSet(t, nil)
	n := s.redis[0]
	n.start()
	n.awaitHealthy()
	n.must("CONFIG", "SET", "min-replicas-to-write", "0") // it has none
	script := "redis.call('HSET', KEYS[1], 'f', 'v') redis.call('ZADD', KEYS[2], 1, 'm') return 1"
	if out, err := n.as("evercache", "redis-password", "EVAL", script, "2", "shop:~h", "shop:~z"); err != nil || out != "1" {
		t.Fatalf("%q, %v", out, err)
	}
	n.kill()
	n.start()
	n.awaitHealthy()
	if found := n.must("EXISTS", "shop:~h", "shop:~z"); found != "2" {
		t.Errorf("%s of 2 keys are there after a restart", found)
	}
	for _, r := range s.refusals() {
		t.Errorf("somebody was refused something: %s", r)
	}
}

// lose empties the volume.
func (n *node) lose() {
	n.set.t.Helper()
	files, err := filepath.Glob(filepath.Join(n.dir, "*"))
	if err != nil || len(files) == 0 {
		n.set.t.Fatalf("nothing to lose in %s: %v", n.dir, err)
	}
	for _, f := range files {
		if err := os.RemoveAll(f); err != nil {
			n.set.t.Fatal(err)
		}
	}
}
