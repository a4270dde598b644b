package revoke_test

import (
	"testing"
	"time"

	"github.com/evercache/evercache/redistest"
	"github.com/evercache/evercache/revoke"
)

// A test that starts with an empty Redis need not wait: Init says that nothing was
// lost there.
func TestInitMakesAProcessOfAnEmptyRedisReadyAtOnce(t *testing.T) {
	t.Parallel()
	p := start(t, single(redistest.Start(t)), revoke.Policy{})
	if _, err := revoke.Init(t.Context(), p.client, revoke.Policy{}); err != nil {
		t.Fatal(err)
	}
	late := lateness(t)
	began := time.Now()
	p.waitReady()
	if took := time.Since(began); took > 2*time.Second+late() {
		t.Errorf("ready %v after Init", took)
	}
	if hasFinding(p, "revocations-first-use") {
		t.Error("the list was taken as it was")
	}
}
