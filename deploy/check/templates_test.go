package check

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A template that is wrong stops the node, and the log says why.
func TestFaultsOfTheTemplatesAreFound(t *testing.T) {
	t.Parallel()
	for _, planted := range []struct{ what, kind, file, old, text, want string }{
		{"a setting that Redis does not know", "redis", "redis.conf.tmpl", "appendonly yes", "appendonyl yes", ">>> 'appendonyl yes'"},
		{"a value that Redis does not take", "redis", "redis.conf.tmpl", "maxmemory-policy noeviction", "maxmemory-policy lfu", "argument"},
		{"a setting that Sentinel does not know", "sentinel", "sentinel.conf.tmpl", "parallel-syncs", "parallel-sync", "Unrecognized sentinel configuration statement"},
		{"settings in the wrong order", "sentinel", "sentinel.conf.tmpl", "sentinel monitor", "#", "No such master"},
		{"a command that does not exist", "redis", "redis-users.acl.tmpl", "+pttl", "+ptll", "Unknown command or category name"},
		{"a subcommand that does not exist", "sentinel", "sentinel-users.acl.tmpl", "+sentinel|masters", "+sentinel|mastres", "Unknown command or category name"},
		{"a comment of another form", "redis", "redis-users.acl.tmpl", "user default off", "; user default off", "should start with user keyword"},
		{"a blank that nothing fills in", "redis", "redis.conf.tmpl", "@MAXMEMORY@", "@MAX_MEMORY@", "nothing is known to fill in"},
	} {
		t.Run(planted.what, func(t *testing.T) {
			t.Parallel()
			s := newSet(t, replace(t, planted.file, planted.old, planted.text))
			n := s.redis[0]
			if planted.kind == "sentinel" { // it looks for a master first
				n.start()
				n.awaitHealthy()
				n = s.sentinels[0]
			}
			n.start()
			select {
			case <-n.exited:
			case <-time.After(15 * time.Second):
				t.Fatalf("it goes on; its log:\n%s", &n.log)
			}
			if !strings.Contains(n.log.String(), planted.want) {
				t.Errorf("its log does not say %q:\n%s", planted.want, &n.log)
			}
		})
	}
}

func TestAPasswordThatWouldBreakTheTemplatesIsRefused(t *testing.T) {
	t.Parallel()
	for what, word := range map[string]string{"of other characters": "a|b ~* +@all", "none": ""} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			s := newSet(t, nil)
			if err := os.WriteFile(filepath.Join(s.secrets, "redis-password"), []byte(word), 0o600); err != nil {
				t.Fatal(err)
			}
			n := s.redis[0]
			n.start()
			select {
			case <-n.exited:
			case <-time.After(15 * time.Second):
				t.Fatal("it goes on")
			}
			if log := n.log.String(); word != "" && strings.Contains(log, word) || !strings.Contains(log, "redis-password") && !strings.Contains(log, "REDIS_PASSWORD") {
				t.Errorf("its log:\n%s", log)
			}
		})
	}
}

func TestNoFileOfANodeIsReadByOthers(t *testing.T) {
	t.Parallel()
	s := newSet(t, nil)
	n := s.redis[0]
	n.start()
	n.awaitHealthy()
	for _, name := range []string{"redis.conf", "users.acl"} {
		info, err := os.Stat(filepath.Join(n.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", name, info.Mode())
		}
	}
}
