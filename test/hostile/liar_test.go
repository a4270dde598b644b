package hostile_test

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/internal/chaos"
	"github.com/evercache/evercache/internal/testkit"
	"github.com/evercache/evercache/redistest"
)

// liar is a sentinel that logs everybody in and then answers what it likes.
type liar struct {
	addr   string
	wg     sync.WaitGroup // those who publish
	lie    atomic.Pointer[lie]
	told   atomic.Int64 // answers to a question's first command
	master *redistest.Server
}

// lie makes an answer as it is sent, and what is published meanwhile.
type lie struct {
	name    string
	answer  func(words []string) string
	channel string
	message string
}

func startLiar(t *testing.T, master *redistest.Server) *liar {
	t.Helper()
	l := &liar{master: master}
	l.lie.Store(&lies[0])
	t.Cleanup(l.wg.Wait)
	l.addr = testkit.Listen(t, l.serve)
	return l
}

func (l *liar) serve(conn net.Conn) {
	in, out := bufio.NewReader(conn), &locked{Writer: conn}
	for {
		_ = conn.SetDeadline(time.Now().Add(3 * time.Second)) // the subscriber pings; nobody else is silent for long
		words, err := testkit.Command(in)
		if err != nil {
			return
		}
		if _, err := io.WriteString(out, l.answer(words)); err != nil {
			return
		}
		if words[0] == "PSUBSCRIBE" {
			l.wg.Go(func() { l.publish(out) })
		}
	}
}

// publish also says what makes every sentinel be asked at once.
func (l *liar) publish(out io.Writer) {
	for {
		lie := l.lie.Load()
		hint := fmt.Sprintf("master mymaster %s %d quorum 2", l.master.Host(), l.master.Port())
		if _, err := io.WriteString(out, published(lie.channel, lie.message)+published("+monitor", hint)); err != nil {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func published(channel, message string) string {
	return ">4\r\n" + testkit.Bulk("pmessage") + testkit.Bulk("*") + testkit.Bulk(channel) + testkit.Bulk(message)
}

// locked lets two goroutines write whole pieces.
type locked struct {
	mu sync.Mutex
	io.Writer
}

func (w *locked) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.Writer.Write(p)
}

func (l *liar) answer(words []string) string {
	switch strings.ToUpper(words[0]) {
	case "HELLO":
		return "%6\r\n" + testkit.Bulk("server") + testkit.Bulk("redis") + testkit.Bulk("version") + testkit.Bulk("7.0.15") + testkit.Bulk("proto") + ":3\r\n" +
			testkit.Bulk("id") + ":7\r\n" + testkit.Bulk("mode") + testkit.Bulk("sentinel") + testkit.Bulk("modules") + "*0\r\n"
	case "CLIENT":
		return "+OK\r\n"
	case "PSUBSCRIBE":
		return ">3\r\n" + testkit.Bulk("psubscribe") + testkit.Bulk("*") + ":1\r\n"
	case "PING": // of the subscriber
		return "+PONG\r\n"
	}
	if words[len(words)-1] == "MYID" {
		l.told.Add(1)
	}
	return l.lie.Load().answer(words)
}

// always gives one answer to everything.
func always(answer string) func([]string) string {
	return func([]string) string { return answer }
}

// names answers well-formed, about a master at host and port.
func names(host, port string) func([]string) string {
	instance := func(kind string) string {
		return testkit.List(
			"name", "mymaster", "ip", host, "port", port, "runid", strings.Repeat("a", 40), "flags", kind,
			"num-other-sentinels", "2", "quorum", "2", "config-epoch", "0", "slave-priority", "100", "master-link-status", "ok",
		)
	}
	return func(words []string) string {
		switch strings.ToUpper(words[len(words)-1]) {
		case "MYID":
			return testkit.Bulk(strings.Repeat("f", 40))
		case "SENTINEL":
			return testkit.Bulk("sentinel_tilt:maybe\r\n")
		}
		switch strings.ToUpper(words[min(1, len(words)-1)]) { // a link that is silent for a while says PING
		case "GET-MASTER-ADDR-BY-NAME":
			return testkit.List(host, port)
		case "MASTER":
			return instance("master")
		case "REPLICAS":
			return "*1\r\n" + instance("slave")
		case "PING":
			return "+PONG\r\n"
		}
		return "*1\r\n" + instance("sentinel")
	}
}

func noise([]string) string {
	b := make([]byte, 1+rand.N(200))
	for i := range b {
		b[i] = byte(rand.N(256))
	}
	return string(b)
}

var lies = []lie{
	{"other types", always(":7\r\n"), "+switch-master", "mymaster"},
	{"nulls", always("_\r\n"), "+switch-master", "mymaster 127.0.0.1 6379 127.0.0.1 0"},
	{"empty lists", always("*0\r\n"), "+try-failover", "master mymaster 127.0.0.1 0"},
	{"lists in lists", always(strings.Repeat("*1\r\n", 12) + ":1\r\n"), "+switch-master", "mymaster ? ? ? ?"},
	{"an absurd list", always("*99999999999\r\n"), "+new-epoch", "99999999999999999999"},
	{"an absurd string", always("$99999999999\r\nx"), "+odown", strings.Repeat("x", 5000)},
	{"a length that is none", always("$-7\r\n"), "+sdown", ""},
	{"noise", noise, "\x00\xff", "\r\n\x00"},
	{"port 0", names("127.0.0.1", "0"), "+switch-master", "mymaster 127.0.0.1 6379 127.0.0.1 0"},
	{"a port beyond all", names("127.0.0.1", "65536"), "+switch-master", "mymaster 127.0.0.1 6379 127.0.0.1 65536"},
	{"no host", names("", "6379"), "+switch-master", "mymaster 127.0.0.1 6379  6379"},
	{"an unspecified host", names("0.0.0.0", "6379"), "+switch-master", "mymaster 127.0.0.1 6379 0.0.0.0 6379"},
	{"a host that is none", names("a b\r\nc", "6379"), "+failover-state-\x00", "master mymaster 127.0.0.1 -1"},
	{"another master only", always("-ERR No such master with that name\r\n"), "+switch-master", "other 127.0.0.1 6379 127.0.0.1 6380"},
	{"nobody there", names("127.0.0.1", "1"), "+switch-master", "mymaster 127.0.0.1 6379 127.0.0.1 1"},
}

// TestSentinelALiarAmongTheSentinelsIsIgnored: whatever a sentinel answers and
// publishes, the master that the others name is kept, nothing is dialled that
// has no port, and a failover is followed all the same.
func TestSentinelALiarAmongTheSentinelsIsIgnored(t *testing.T) {
	testkit.Scenario(t, func(t *testing.T) chaos.Summary {
		set := redistest.StartSentinel(t, redistest.WithDownAfter(2*time.Second))
		l := startLiar(t, set.Master())
		d := testkit.Prepare(t, set, func(o *evercache.Options) { o.Sentinels = append([]string{l.addr}, o.Sentinels...) })
		d.Connect()
		d.Wait("no master that is confirmed", func() bool {
			s := d.Client.Health().Sentinel
			return s.Agreeing == 3 && !s.Provisional
		})
		d.Old = set.Master()
		d.Load(d.Seed())
		for i := range lies {
			l.lie.Store(&lies[i])
			told := l.told.Load()
			d.Wait("nobody asks the liar", func() bool { return l.told.Load() >= told+3 })
			believesNothing(d, lies[i].name)
		}
		d.WantFailovers()
		f := d.Finding("sentinel-nonsense")
		if !strings.Contains(f.Detail, l.addr) {
			d.Errorf("the finding does not name the liar: %+v", f)
		}
		return d.FailsOver("planned", d.Set.Failover)
	})
}

func believesNothing(d *testkit.Drill, lie string) {
	d.Helper()
	s := d.Client.Health().Sentinel
	if s.CurrentMaster != d.Old.Addr() || s.Provisional || s.FailoverCount > 0 {
		d.Fatalf("%s: master %q, provisional %v", lie, s.CurrentMaster, s.Provisional)
	}
	for _, n := range s.Nodes {
		if host, port, err := net.SplitHostPort(n.Addr); err != nil || host == "" || port == "0" {
			d.Errorf("%s: node %q", lie, n.Addr)
		}
	}
	for _, n := range s.Sentinels {
		if host, port, err := net.SplitHostPort(n.Addr); err != nil || host == "" || port == "0" {
			d.Errorf("%s: sentinel %q", lie, n.Addr)
		}
	}
}
