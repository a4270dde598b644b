package daemon

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/evercache/evercache/redistest"
)

// The blocks that existing monitors read, of a set that has just started.
func TestHealthInSentinelMode(t *testing.T) {
	set := redistest.StartSentinel(t)
	s := serveAPI(t, "REDIS_SENTINEL_ENABLED=true", "REDIS_SENTINEL_MASTER_NAME="+set.MasterName(),
		"REDIS_SENTINELS="+strings.Join(set.Addrs(), " , "))
	s.becomes("up")
	var h struct {
		Redis struct {
			Message, Mode string
			Sentinel      struct {
				Enabled       bool
				MasterName    string
				Sentinels     []struct{ Port int }
				CurrentMaster *struct {
					Host string
					Port int
				}
				FailoverCount int
				LastFailover  *string
			}
		}
	}
	if err := json.Unmarshal([]byte(s.do("GET", "/health", "").body), &h); err != nil {
		t.Fatal(err)
	}
	got, master := h.Redis.Sentinel, set.Master()
	if h.Redis.Mode != "sentinel" || h.Redis.Message != "Redis is healthy (Sentinel mode)" {
		t.Errorf("redis = %+v", h.Redis)
	}
	if !got.Enabled || got.MasterName != set.MasterName() || len(got.Sentinels) != 3 || got.FailoverCount != 0 || got.LastFailover != nil {
		t.Errorf("sentinel = %+v", got)
	}
	if m := got.CurrentMaster; m == nil || m.Host != master.Host() || m.Port != master.Port() {
		t.Errorf("currentMaster = %+v, want %s", m, master.Addr())
	}
}
