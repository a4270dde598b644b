package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/testbed"
	"github.com/evercache/evercache/redistest"
)

// The exit status says how bad it is. A set that is well takes less than two seconds.
func TestTheDoctorsExitStatus(t *testing.T) {
	t.Parallel()
	const password = "canary-of-the-command"
	set := redistest.StartSentinel(
		t, redistest.WithPersistence(), redistest.WithDownAfter(2*time.Second), redistest.WithPassword(password),
		redistest.WithConfig("min-replicas-to-write 1"),
	)
	lateness := testbed.Lateness(t)
	doctor := func(want int, more ...string) string {
		t.Helper()
		var out, complaint bytes.Buffer
		environ := append([]string{
			"REDIS_SENTINEL_ENABLED=true", "REDIS_SENTINELS=" + strings.Join(set.Addrs(), ","), "REDIS_SENTINEL_MASTER_NAME=" + set.MasterName(),
			"REDIS_PASSWORD=" + password, "EVERCACHE_READ_TIMEOUT=30s", "EVERCACHE_DIAL_TIMEOUT=30s",
		}, more...)
		if got := run([]string{"doctor", "-o", "json", "--timeout", "60s"}, invocation{environ: environ, stdout: &out, stderr: &complaint}); got != want {
			t.Errorf("exit status %d, want %d: %s%s", got, want, &out, &complaint)
		}
		if strings.Contains(out.String()+complaint.String(), password) {
			t.Errorf("the password is shown: %s%s", &out, &complaint)
		}
		return out.String()
	}
	var report struct {
		Status string
		TookMS int
	}
	if err := json.Unmarshal([]byte(doctor(exitOK)), &report); err != nil || report.Status != "ok" {
		t.Errorf("status %q, %v", report.Status, err)
	}
	t.Logf("it took %d ms", report.TookMS)
	if took, late := time.Duration(report.TookMS)*time.Millisecond, lateness(); took > 2*time.Second+10*late {
		t.Errorf("it took %v on a machine that is late by %v", took, late)
	}
	set.Sentinels()[0].Do("SENTINEL", "SET", set.MasterName(), "quorum", "1")
	doctor(1)
	set.Nodes()[0].Do("CONFIG", "SET", "masterauth", "")
	doctor(2)
	doctor(2, "REDIS_SENTINEL_MASTER_NAME=canteen")
	doctor(2, fmt.Sprintf("REDIS_PASSWORD=%s-wrong", password))
}

func TestColoursAreForTerminals(t *testing.T) {
	t.Parallel()
	for _, environ := range [][]string{nil, {"NO_COLOR=1"}, {"TERM=dumb"}} {
		if doctorColours(invocation{environ: environ, stdout: new(bytes.Buffer)}) {
			t.Errorf("a buffer gets colours with %v", environ)
		}
	}
}
