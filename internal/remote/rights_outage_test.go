package remote

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/evercache/evercache/internal/acl"
	"github.com/evercache/evercache/internal/redisproc"
)

// Whatever happens to a server exactly at a question about rights, the node stays in
// use, and it is asked again.
func TestNothingIsGivenUpByAQuestionAboutRights(t *testing.T) {
	for _, tt := range []struct {
		name       string
		begin, end func(*testing.T, *redisproc.Process)
	}{
		{
			"SIGSTOP",
			func(t *testing.T, p *redisproc.Process) { must(t, p.Pause()) },
			func(t *testing.T, p *redisproc.Process) { must(t, p.Resume()) },
		},
		{
			"LOADING",
			func(t *testing.T, p *redisproc.Process) {
				ask(t, p, "DEBUG", "POPULATE", "20000", "filler", "100")
				go func() { _, _ = p.Do(context.Background(), "DEBUG", "RELOAD") }()
				eventually(t, patience, "it loads", func() bool { return refuses(p, "LOADING", "GET", "a") })
			},
			func(t *testing.T, p *redisproc.Process) {
				eventually(t, patience, "it has loaded", func() bool { return !refuses(p, "LOADING", "GET", "a") })
			},
		},
		{
			"READONLY",
			func(t *testing.T, p *redisproc.Process) {
				ask(t, p, "REPLICAOF", "127.0.0.1", "1")
				if !refuses(p, "READONLY", "SET", "a", "v") {
					t.Error("it takes writes")
				}
			},
			func(t *testing.T, p *redisproc.Process) { ask(t, p, "REPLICAOF", "NO", "ONE") },
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := startRedis(t, redisproc.Options{Config: []string{"enable-debug-command yes", "key-load-delay 100", "loading-process-events-interval-bytes 1024"}})
			ask(t, p, "ACL", "SETUSER", "app", "on", ">one", "~*", "&*", "+@all")
			cuts := &acl.Cuts{}
			n := dialAsking(t, p, cuts, 200*time.Millisecond)
			tt.begin(t, p)
			for range 3 {
				n.rights.asked, n.rights.round = time.Time{}, nil
				n.askRights(t.Context())
			}
			tt.end(t, p)
			n.rights.round = nil
			ask(t, p, "ACL", "SETUSER", "app", "-ttl", "-getbit")
			eventually(t, patience, "its rights are known", func() bool {
				n.rights.asked = time.Time{}
				for range len(trials)/rightsAtOnce + 1 {
					n.askRights(t.Context())
				}
				return fmt.Sprint(n.Missing()) == "[{GETBIT true}]"
			})
			eventually(t, patience, "it answers a heartbeat", func() bool { return beat(t, n) == nil })
			wantClosed(t, n)
		})
	}
}

// A server that is killed at a question costs nothing: the next connection is asked.
func TestAServerThatIsKilledAtAQuestionAboutRightsIsAskedAgain(t *testing.T) {
	t.Parallel()
	p := startRedis(t, redisproc.Options{})
	ask(t, p, "ACL", "SETUSER", "app", "on", ">one", "~*", "&*", "+@all")
	cuts := &acl.Cuts{}
	n := dialAsking(t, p, cuts, patience)
	must(t, p.Pause())
	over := make(chan struct{})
	go func() {
		defer close(over)
		n.rights.asked = time.Time{}
		n.askRights(t.Context())
	}()
	sent := n.beat.conn.asked.Load()
	eventually(t, patience, "it is asked", func() bool { return n.beat.conn.asked.Load() > sent || n.beat.conn.waits(time.Now()) > 0 })
	must(t, p.Kill())
	<-over
	must(t, p.Start(t.Context()))
	ask(t, p, "ACL", "SETUSER", "app", "on", ">one", "~*", "&*", "+@all", "-get")
	n = dialAsking(t, p, cuts, long)
	askAll(t, n)
	if got := fmt.Sprint(n.Missing()); got != "[{GET true}]" {
		t.Errorf("missing on the next connection: %s", got)
	}
}

// dialAsking dials a node whose questions about rights have so long.
func dialAsking(t *testing.T, p *redisproc.Process, cuts *acl.Cuts, limit time.Duration) *Node {
	t.Helper()
	h := heartbeat
	h.Cuts = cuts
	n, err := Dial(t.Context(), as(p, "app"), h, observer(func(string, time.Duration, Kind) {}))
	if err != nil {
		t.Fatal(err)
	}
	n.heartbeat.Timeout = limit
	t.Cleanup(n.Abandon)
	return n
}

func refuses(p *redisproc.Process, reply string, args ...string) bool {
	_, err := p.Do(context.Background(), args...)
	return err != nil && strings.Contains(err.Error(), reply)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
