package sentinel_test

import (
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/redistest"
)

// TestSentinelADataPortThatWantsAPasswordIsCalledOne: it refuses the login as a
// sentinel does, and it is no sentinel.
func TestSentinelADataPortThatWantsAPasswordIsCalledOne(t *testing.T) {
	t.Parallel()
	plain, secure := redistest.Start(t, redistest.WithPassword("of-redis")), redistest.Start(t, redistest.WithPassword("of-redis"), redistest.WithTLS())
	locked := redistest.StartSentinel(t, redistest.WithReplicas(1), redistest.WithSentinelPassword("of-sentinels")).Addrs()
	for name, tt := range map[string]struct {
		o    evercache.Options
		code string
		says string
	}{
		"no password":      {evercache.Options{Sentinels: []string{plain.Addr(), "127.0.0.1:1", "127.0.0.1:2"}}, health.CodeSentinelNotSentinel, "Redis server with data"},
		"another password": {evercache.Options{Sentinels: []string{plain.Addr(), "127.0.0.1:1", "127.0.0.1:2"}, SentinelPassword: "of-sentinels"}, health.CodeSentinelNotSentinel, "Redis server with data"},
		"its password":     {evercache.Options{Sentinels: []string{plain.Addr(), "127.0.0.1:1", "127.0.0.1:2"}, SentinelPassword: "of-redis"}, health.CodeSentinelNotSentinel, "not a sentinel"},
		"TLS":              {evercache.Options{Sentinels: []string{secure.Addr(), "127.0.0.1:1", "127.0.0.1:2"}, SentinelTLS: secure.TLSConfig()}, health.CodeSentinelNotSentinel, "Redis server with data"},
		"a sentinel":       {evercache.Options{Sentinels: locked, SentinelPassword: "mistaken"}, health.CodeSentinelAuth, "WRONGPASS"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tt.o.MasterName = "mymaster"
			client, err := evercache.Open(t.Context(), tt.o)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { client.Close() })
			for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
				var found health.Finding
				for _, f := range client.Health().Findings {
					if f.Code == tt.code {
						found = f
					} else if f.Code == health.CodeSentinelAuth {
						t.Fatalf("it is called a sentinel: %+v", f)
					}
				}
				if strings.Contains(found.Detail, tt.says) {
					return
				}
				if time.Now().After(end) {
					t.Fatalf("no %s that says %q: %+v", tt.code, tt.says, client.Health().Findings)
				}
			}
		})
	}
}
