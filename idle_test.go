package evercache

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/redistest"
)

// idleEnv names the sentinels and the master, for the process that is measured: this
// test binary, in which nothing else runs.
const idleEnv = "EVERCACHE_IDLE_CLIENTS"

// idleHeap is what an idle client may take, in KiB. It takes 0.9 MiB in Sentinel mode,
// half of it for the connection of all commands. A single connection with rueidis' own
// sizes would add 1.3 MiB.
const idleHeap = 1800

// TestIdleClients opens clients and says what each takes, when a test has started it,
// and does nothing else.
func TestIdleClients(t *testing.T) {
	name, sentinels, ok := strings.Cut(os.Getenv(idleEnv), " ")
	if !ok {
		return
	}
	const clients = 4
	before := heap()
	for range clients {
		c := open(t, Options{MasterName: name, Sentinels: strings.Fields(sentinels), CloseTimeout: time.Second})
		cacheOf[string](t, c, "idle", Policy{})
		waitUntil(t, 30*time.Second, func() bool {
			h := c.Health()
			return h.State == health.Connected && h.Sentinel.Stage == "clear" && !h.Sentinel.Provisional && h.Feed.Coherent
		}, func() string { return fmt.Sprintf("it does not settle: %+v", c.Health()) })
	}
	fmt.Println("KiB:", (heap()-before)/1024/clients)
}

// heap is what is in use once all garbage is gone: what a pool holds goes with the
// second collection.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestSentinelAnIdleClientIsSmall(t *testing.T) {
	t.Parallel()
	set := redistest.StartSentinel(t, redistest.WithDownAfter(20*time.Second))
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestIdleClients$")
	cmd.Env = append(os.Environ(), idleEnv+"="+set.MasterName()+" "+strings.Join(set.Addrs(), " "))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var kib int
	_, after, _ := strings.Cut(string(out), "KiB:")
	if _, err := fmt.Sscan(after, &kib); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if kib > idleHeap {
		t.Errorf("an idle client takes %d KiB, want at most %d", kib, idleHeap)
	}
}
