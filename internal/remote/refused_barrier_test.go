package remote

import (
	"strconv"
	"testing"

	"github.com/evercache/evercache/internal/redisproc"
)

// WAIT speaks of the last write of its connection: when the barrier is refused,
// that is an earlier one, and says nothing of what it should cover.
func TestARefusedBarrierIsHeldByNobody(t *testing.T) {
	p := startRedis(t, redisproc.Options{Config: []string{"maxmemory-policy noeviction", "repl-diskless-sync-delay 0"}})
	replica := startRedis(t, redisproc.Options{})
	host, port := "127.0.0.1", strconv.Itoa(p.Port())
	ask(t, replica, "REPLICAOF", host, port)
	n := dial(t, p.Addr(), nil)
	eventually(t, patience, "the replica holds a barrier", func() bool {
		b, err := n.Barrier(t.Context(), 1)
		return err == nil && b.Acked == 1
	})
	ask(t, p, "CONFIG", "SET", "maxmemory", "1")
	b, err := n.Barrier(t.Context(), 1)
	wantKind(t, err, OOM)
	if b.Acked != 0 {
		t.Errorf("a barrier that was refused is held by %d replicas", b.Acked)
	}
}
