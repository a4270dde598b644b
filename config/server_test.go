package config

import (
	"testing"
	"time"
)

func TestOnlyAReachableListenerWaitsBeforeItsEnd(t *testing.T) {
	const open = "EVERCACHE_INSECURE=true"
	for _, tt := range []struct {
		name string
		env  []string
		want time.Duration
		line Line
	}{
		{"loopback", nil, 0, Line{"EVERCACHE_SHUTDOWN_DELAY", "", "default"}},
		{"reachable", []string{"EVERCACHE_LISTEN=:3000", open}, 3 * time.Second, Line{"EVERCACHE_SHUTDOWN_DELAY", "3s", "EVERCACHE_LISTEN"}},
		{"a default gives way", []string{"EVERCACHE_LISTEN=:3000", open, "EVERCACHE_DRAIN_TIMEOUT=4s"}, 2 * time.Second, Line{"EVERCACHE_SHUTDOWN_DELAY", "2s", "EVERCACHE_LISTEN"}},
		{"set on loopback", []string{"EVERCACHE_SHUTDOWN_DELAY=5"}, 5 * time.Second, Line{"EVERCACHE_SHUTDOWN_DELAY", "5", "env"}},
		{"set to none", []string{"EVERCACHE_LISTEN=:3000", open, "EVERCACHE_SHUTDOWN_DELAY=0s"}, 0, Line{"EVERCACHE_SHUTDOWN_DELAY", "0s", "env"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := accept(t, tt.env...)
			if cfg.Server.ShutdownDelay != tt.want {
				t.Errorf("ShutdownDelay = %v, want %v", cfg.Server.ShutdownDelay, tt.want)
			}
			if got := lineOf(t, cfg, "EVERCACHE_SHUTDOWN_DELAY"); got != tt.line {
				t.Errorf("line %v, want %v", got, tt.line)
			}
		})
	}
}

func TestTheDelayLeavesHalfOfTheDrainTimeout(t *testing.T) {
	expectLines(t, refuse(t, "EVERCACHE_SHUTDOWN_DELAY=6s"),
		"EVERCACHE_SHUTDOWN_DELAY: 6s is longer than half of EVERCACHE_DRAIN_TIMEOUT (10s); lower it, or raise EVERCACHE_DRAIN_TIMEOUT")
	expectLines(t, refuse(t, "EVERCACHE_SHUTDOWN_DELAY=6s", "EVERCACHE_DRAIN_TIMEOUT=soon"),
		`EVERCACHE_DRAIN_TIMEOUT: "soon" is not a duration; write 250ms, 90s, 5m or 1h30m, or whole seconds`)
}
