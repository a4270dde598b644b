package evercache

import (
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/findings"
	"github.com/evercache/evercache/internal/redisproc"
	"github.com/evercache/evercache/internal/remote"
)

// What an outage keeps cannot be put back by a user who may not GET, though each write
// of its own goes through: the finding says so before.
func TestAUserWhoMayNotReadIsToldWhatIsLost(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	redisDo(t, p, "ACL", "SETUSER", "app", "on", ">one", "~*", "&*", "+@all", "-get")
	client := open(t, Options{Addr: p.Addr(), Username: "app", Password: "one"})
	connect(t, client, 20*time.Second)
	waitFinding(t, client, "redis-command-missing")
	for _, f := range client.Health().Findings {
		if f.Code == "redis-command-missing" && (!strings.HasSuffix(f.Title, "forbids commands that evercache uses: GET") ||
			!strings.Contains(f.Detail, "kept writes become deletes") || !strings.Contains(f.Fix, "+get")) {
			t.Errorf("%+v", f)
		}
	}
}

// Each is named with what is lost without it; EVAL is what runs scripts.
func TestEveryCommandThatIsAskedForHasItsLoss(t *testing.T) {
	for _, command := range remote.Tried() {
		f := findings.Of(findings.Input{Now: time.Now(), Master: &findings.Master{NeverEvicts: true, Version: "7.0.15", Missing: []findings.Command{{Name: command, Forbidden: true}}}})[0]
		if !strings.Contains(f.Title, command) || !strings.Contains(f.Detail, command+": ") || !strings.Contains(f.Fix, "+"+strings.ToLower(command)) {
			t.Errorf("%+v", f)
		}
		if command != "EVAL" && !findings.KnowsLoss(command) {
			t.Errorf("%s has no loss of its own", command)
		}
	}
}
