package backup

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/internal/survey"
	"github.com/evercache/evercache/internal/testbed"
	"github.com/evercache/evercache/redistest"
)

func TestMain(m *testing.M) { testbed.Main(m, 4) }

func serverTarget(s *redistest.Server) survey.Target {
	return survey.TargetOf(evercache.Options{Addr: s.Addr(), KeyPrefix: "app:"})
}

func sentinelTarget(s *redistest.Sentinel) survey.Target {
	return survey.TargetOf(evercache.Options{Sentinels: s.Addrs(), MasterName: s.MasterName(), KeyPrefix: "app:"})
}

func clusterTarget(c *redistest.Cluster) survey.Target {
	return survey.TargetOf(evercache.Options{ClusterNodes: c.Addrs(), KeyPrefix: "app:"})
}

// taken takes a backup, and wants it whole.
func taken(t *testing.T, target survey.Target, o Options) (string, Summary) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "x.backup")
	if _, err := Take(t.Context(), target, name, false, o); err != nil {
		t.Fatal(err)
	}
	return name, whole(t, name)
}

func whole(t *testing.T, name string) Summary {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s, err := Verify(t.Context(), f, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// restoreFrom brings a file back.
func restoreFrom(ctx context.Context, t *testing.T, target survey.Target, name string, o RestoreOptions) (Counts, error) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if o.Patience == 0 {
		o.Patience = time.Minute
	}
	return Restore(ctx, target, f, o)
}

// fill writes n strings with one script.
func fill(do func(args ...string) any, prefix string, n int) {
	do("EVAL", `for i = 1, tonumber(ARGV[2]) do redis.call('SET', ARGV[1] .. i, 'value-' .. i) end`, "0", prefix, fmt.Sprint(n))
}

// count counts keys.
func count(do func(args ...string) any, pattern string) int {
	keys, _ := do("KEYS", pattern).([]any)
	return len(keys)
}

// file writes records to memory.
func file(t testing.TB, zip bool, sections ...[]Record) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := NewWriter(&b, Header{Evercache: "test", Mode: "standalone"}, zip)
	if err != nil {
		t.Fatal(err)
	}
	for _, records := range sections {
		if err := w.Section(Section{RedisVersion: "7.0.15", RDBVersion: 10}); err != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			if err := w.Record(r); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.EndSection(7, time.Unix(1e9, 0)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Close(0, 0, time.Unix(1e9, 0)); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// payload is something as long as DUMP's, of an RDB version.
func payload(text string, rdb byte) []byte {
	return []byte("\x00" + text + string(rune(rdb)) + "\x00" + strings.Repeat("c", 8))
}

func someRecords(n int) []Record {
	var all []Record
	for i := range n {
		all = append(all, Record{Key: fmt.Sprintf("key-%d", i), ExpireAt: int64(i % 3), Payload: payload(strings.Repeat("v", i%7), 10)})
	}
	return all
}

func addrTarget(addr string) survey.Target { return survey.TargetOf(evercache.Options{Addr: addr}) }

func passwordTarget(s *redistest.Server, password string) survey.Target {
	return survey.TargetOf(evercache.Options{Addr: s.Addr(), Password: evercache.Secret(password)})
}
