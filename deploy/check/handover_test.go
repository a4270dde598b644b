package check

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// plain writes as a client without evercache does: it asks a sentinel for the master
// when its own is gone or refuses, and nothing is sent again for it.
type plain struct {
	s     *set
	user  string
	word  string
	stop  chan struct{}
	done  sync.WaitGroup
	acked []string
	held  time.Duration // the longest time between two acknowledged writes
}

func (s *set) plainWriter() *plain {
	s.t.Helper()
	p := &plain{s: s, user: "evercache", word: read(s.t, filepath.Join(s.secrets, "redis-password")), stop: make(chan struct{})}
	p.done.Go(p.write)
	return p
}

func (p *plain) write() {
	var c net.Conn
	var r *bufio.Reader
	last := time.Now()
	for i := 0; ; {
		select {
		case <-p.stop:
			return
		default:
		}
		if c == nil {
			var err error
			if c, r, err = p.dial(); err != nil {
				time.Sleep(10 * time.Millisecond)
				continue
			}
		}
		key := fmt.Sprintf("%splain:k%d", p.s.prefix, i)
		answer, err := command(c, r, "SET", key, key)
		if err != nil || answer != "+OK" {
			_ = c.Close()
			c = nil
			continue
		}
		p.acked, p.held, last = append(p.acked, key), max(p.held, time.Since(last)), time.Now()
		i++
		time.Sleep(time.Millisecond)
	}
}

// dial finds the master by asking every node which it is.
func (p *plain) dial() (net.Conn, *bufio.Reader, error) {
	for _, n := range p.s.redis {
		c, err := net.DialTimeout("tcp", n.addr(), time.Second)
		if err != nil {
			continue
		}
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		r := bufio.NewReader(c)
		if answer, err := command(c, r, "AUTH", p.user, p.word); err == nil && answer == "+OK" {
			if role, err := command(c, r, "ROLE"); err == nil && role == "master" {
				return c, bufio.NewReader(c), p.drainRole(c, r)
			}
		}
		_ = c.Close()
	}
	return nil, nil, errors.New("no master")
}

// drainRole reads what is left of an answer to ROLE, by a PING behind it.
func (p *plain) drainRole(c net.Conn, r *bufio.Reader) error {
	if _, err := c.Write([]byte("*1\r\n$4\r\nPING\r\n")); err != nil {
		return err
	}
	for {
		line, err := r.ReadString('\n')
		if err != nil || line == "+PONG\r\n" {
			return err
		}
	}
}

// command sends one and returns the first line of its answer, of an array the first
// element.
func command(c net.Conn, r *bufio.Reader, args ...string) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(args))
	for _, a := range args {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(a), a)
	}
	if _, err := c.Write([]byte(b.String())); err != nil {
		return "", err
	}
	line, err := r.ReadString('\n')
	for err == nil && (line[0] == '*' || line[0] == '$') {
		line, err = r.ReadString('\n')
	}
	return strings.TrimSpace(line), err
}

// missing counts what was acknowledged and the master does not hold.
func (p *plain) missing(n *node) (lost int) {
	p.s.t.Helper()
	close(p.stop)
	p.done.Wait()
	if len(p.acked) < 100 {
		p.s.t.Fatalf("only %d writes were acknowledged", len(p.acked))
	}
	for i, v := range strings.Split(n.must(append([]string{"MGET"}, p.acked...)...), "\n") {
		if v != p.acked[i] {
			lost++
		}
	}
	return lost
}

// endPod ends a node as Kubernetes does: preStop, SIGTERM, SIGKILL after the rest of 60 s.
func (n *node) endPod() {
	n.set.t.Helper()
	if n.kind != "sentinel" {
		if out, err := n.handover(); err != nil {
			n.set.t.Errorf("handover.sh: %s %v", out, err)
		} else if out != "" {
			n.set.t.Log(out)
		}
	}
	_ = n.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-n.exited:
	case <-time.After(20 * time.Second):
		n.set.t.Errorf("%s %s is still there 20 s after SIGTERM; its log:\n%s", n.kind, n.port, tail(n.log.String()))
		n.kill()
	}
}

// handover runs the preStop hook and returns what it says.
func (n *node) handover(environ ...string) (string, error) {
	script := "handover.sh"
	if n.kind == "cluster" {
		script = "cluster-handover.sh"
	}
	cmd := exec.Command("sh", filepath.Join(n.set.scripts, "pod.sh"), script)
	cmd.Env = append(append([]string{"PATH=" + os.Getenv("PATH")}, n.environ...), environ...)
	out, err := cmd.CombinedOutput() // it ends by itself: that is what is tested
	return strings.TrimSpace(string(out)), err
}

// newPods is a set whose scripts run as in pods: by pod.sh, which looks names up.
func newPods(t *testing.T, edit func(string)) *set {
	t.Helper()
	s := newSet(t, func(scripts string) {
		pod := read(t, filepath.Join(kubernetes, "pod/pod.sh"))
		if err := os.WriteFile(filepath.Join(scripts, "pod.sh"), []byte(pod), 0o600); err != nil {
			t.Fatal(err)
		}
		if edit != nil {
			edit(scripts)
		}
	})
	for _, n := range s.nodes() {
		n.pod = true
		n.environ = append(n.environ, "ADDRESSES="+filepath.Join(t.TempDir(), "addresses"), "LOOKUP_LIMIT=2")
	}
	return s
}

// A rolling restart ends each node in turn, the highest first, and waits until it is
// ready; then the master is killed.
func TestARollingRestartLosesNoWrite(t *testing.T) {
	t.Parallel()
	s := newPods(t, nil)
	s.start()
	d := serve(t, s.environment())
	s.settle(d)
	through, direct := d.write("demo"), s.plainWriter()
	for i := 2; i >= 0; i-- {
		n := s.redis[i]
		was := s.master()
		began := time.Now()
		n.endPod()
		t.Logf("node %d, master %v: it ended within %v", i, was == n, time.Since(began))
		n.start()
		n.awaitHealthy()
		now := s.awaitMaster(nil)
		if was == n && now == n {
			t.Errorf("node %d is the master again: nobody took over", i)
		}
	}
	for _, n := range s.sentinels {
		n.endPod()
		n.start()
		n.awaitHealthy()
	}
	now := s.awaitMaster(nil)
	if lost := direct.missing(now); lost > 0 {
		t.Errorf("%d of %d writes of a plain client are lost", lost, len(direct.acked))
	}
	t.Logf("a plain client: %d writes, at most %v without one", len(direct.acked), direct.held)

	now.kill()
	s.awaitMaster(now)
	now.start()
	now.awaitHealthy()
	next := s.settle(d)
	through.end()
	if lost := through.missing(next, s.prefix, "demo"); len(lost) > 0 {
		t.Errorf("%d of %d acknowledged writes are not on the master, the first: %s", len(lost), len(through.acked), lost[0])
	}
	for _, r := range s.refusals() {
		t.Errorf("somebody was refused something: %s", r)
	}
}

// A handover never keeps a node from its end, whatever is missing.
func TestAHandoverEndsInTime(t *testing.T) {
	t.Parallel()
	s := newPods(t, nil)
	s.start()
	master := s.awaitMaster(nil)
	hurried := func(n *node) (string, time.Duration) {
		began := time.Now()
		out, err := n.handover("HANDOVER_LIMIT=3")
		if err != nil {
			t.Errorf("handover.sh: %v: %s", err, out)
		}
		return out, time.Since(began)
	}
	for _, n := range s.redis {
		if n != master {
			if out, _ := hurried(n); out != "" {
				t.Errorf("a replica: %s", out)
			}
		}
	}
	for _, n := range s.redis { // replicas that get nothing any more
		if n != master {
			n.signal(syscall.SIGSTOP)
		}
	}
	master.write("late", "1")
	out, took := hurried(master)
	if !strings.Contains(out, "replicas do not get all") || took > 15*time.Second {
		t.Errorf("replicas that hang: %v, %s", took, out)
	}
	for _, n := range s.redis {
		if n != master {
			n.signal(syscall.SIGCONT)
		}
	}
	for _, n := range s.sentinels {
		n.kill()
	}
	out, took = hurried(master)
	if !strings.Contains(out, "the sentinels name nobody") || took > 15*time.Second {
		t.Errorf("without sentinels: %v, %s", took, out)
	}
	if v, err := master.ask("SET", "after", "1"); err != nil {
		t.Errorf("writes are still held back: %s %v", v, err)
	}
}

// What many recipes do: SENTINEL FAILOVER, and no more. The old master takes writes until
// the sentinels demote it.
func TestWithoutAHandoverWritesAreLost(t *testing.T) {
	t.Parallel()
	s := newPods(t, nil)
	s.start()
	direct := s.plainWriter()
	master := s.awaitMaster(nil)
	eventually(t, 20*time.Second, "some writes", func() error {
		if n := master.must("DBSIZE"); len(n) < 3 {
			return errNotYet
		}
		return nil
	})
	if out, err := s.sentinels[0].ask("SENTINEL", "FAILOVER", "mymaster"); err != nil {
		t.Fatalf("%s %v", out, err)
	}
	now := s.awaitMaster(master)
	if lost := direct.missing(now); lost == 0 {
		t.Error("nothing is lost: the test of the handover proves nothing")
	}
}
