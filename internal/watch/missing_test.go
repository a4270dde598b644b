package watch

import (
	"slices"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/redisproc"
	"github.com/evercache/evercache/internal/remote"
	"github.com/evercache/evercache/internal/sentinel"
)

func TestANodeThatLacksAQuestionIsAskedTheOther(t *testing.T) {
	for _, command := range []string{"ROLE", "INFO"} {
		p, err := redisproc.Start(t.Context(), redisproc.Options{Config: []string{`rename-command ` + command + ` ""`}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.Close() })
		var l missing
		q := &prober{config: remote.Config{Addr: p.Addr(), DialTimeout: 5 * time.Second}, missing: &l}
		t.Cleanup(q.close)
		o, err := q.probe(t.Context())
		if err != nil || o.Fault != sentinel.FaultNone || !slices.Contains(l.list(), command) {
			t.Errorf("without %s: %v, %v, missing %v", command, o.Fault, err, l.list())
		}
	}
}
