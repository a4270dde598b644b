package backup

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/remote"
	"github.com/evercache/evercache/internal/sentinel"
	"github.com/evercache/evercache/internal/slot"
	"github.com/evercache/evercache/internal/survey"
)

// master is a connection to one that takes writes.
type master struct {
	addr     string
	node     *survey.Node
	link     *remote.Link
	ahead    time.Duration // its clock, of ours
	attached int           // replicas that follow it
	living   int           // servers of the set that may be promoted, whether they follow it or not
	keys     int64
	evicted  int64 // keys, since its start
	// silent are replicas that answer nobody, though the master still counts them. asked is
	// when the set was asked about them.
	silent int
	asked  time.Time
}

// now is its time, in Unix milliseconds.
func (m *master) now() int64 { return time.Now().Add(m.ahead).UnixMilli() }

// set is the masters of the target, as they are at this moment.
type set struct {
	survey.Target
	masters []*master
	owner   map[uint16]*master // in a Cluster
	wrote   bool               // something other than a trial
	evicted int64              // keys that the masters have thrown away, and that nobody has counted yet
	notice  func(string)       // is told what is worth a line
}

func newSet(t survey.Target) *set { return &set{Target: t, notice: func(string) {}} }

func (s *set) connected() bool { return len(s.masters) > 0 }

func (s *set) close() {
	for _, m := range s.masters {
		m.link.Close()
	}
	s.masters, s.owner = nil, nil
}

func (s *set) masterOf(key string) *master {
	if s.owner == nil {
		return s.masters[0]
	}
	return s.owner[slot.Of(key)]
}

// connect finds the masters and connects to them, unless it is.
func (s *set) connect(ctx context.Context) error {
	if s.connected() {
		return nil
	}
	all, err := shardsOf(survey.Take(ctx, s.Target))
	if err != nil {
		return err
	}
	if s.Mode == health.ModeCluster {
		s.owner = map[uint16]*master{}
	}
	for _, sh := range all {
		if sh.rival != "" {
			s.close()
			return fmt.Errorf("%s: %s", sh.master.Addr, sh.rival)
		}
		m, err := s.dial(ctx, sh)
		if err != nil {
			s.close()
			return fmt.Errorf("%s: %w", sh.master.Addr, err)
		}
		s.masters = append(s.masters, m)
		if sh.slots != nil {
			for n := range sh.slots.All() {
				s.owner[n] = m
			}
		}
	}
	return nil
}

func (s *set) dial(ctx context.Context, sh shard) (*master, error) {
	link, err := remote.DialValues(ctx, s.NodeConfig(addr(sh.master), dialLimit))
	if err != nil {
		return nil, err
	}
	m := &master{addr: sh.master.Addr, node: sh.master, link: link, living: sh.promotable()}
	before := time.Now()
	replies, err := link.Once(ctx, answerLimit, []string{"TIME"}, []string{"DBSIZE"})
	if err == nil {
		err = m.look(ctx)
	}
	if err != nil {
		link.Close()
		return nil, err
	}
	if ms, ok := millis(replies[0].Value); ok {
		m.ahead = time.UnixMilli(ms).Sub(before)
	}
	m.keys, _ = replies[1].Value.(int64)
	return m, nil
}

// look asks whether it is a master, and who follows it.
func (m *master) look(ctx context.Context) error {
	replies, err := m.link.Once(ctx, answerLimit, []string{"INFO", "replication"}, []string{"INFO", "stats"})
	if err != nil {
		return err
	}
	for _, r := range replies {
		if r.Err != nil {
			return r.Err
		}
	}
	text := strings.TrimPrefix(replies[0].Text(), "txt:")
	repl, err := sentinel.ParseReplication(text)
	if err != nil {
		return err
	}
	if repl.Role != sentinel.RoleMaster {
		return errors.New("it is not a master")
	}
	m.attached = int(infoNumber(text, "connected_slaves")) // also those that are still being filled
	m.evicted = infoNumber(replies[1].Text(), "evicted_keys")
	return nil
}

// infoNumber is a number in an answer to INFO; 0: there is none.
func infoNumber(text, name string) (n int64) {
	for line := range strings.Lines(text) {
		if v, ok := strings.CutPrefix(line, name+":"); ok {
			n, _ = strconv.ParseInt(strings.TrimSpace(v), 10, 64)
		}
	}
	return n
}

// wanted is how many replicas have to have what was written: all that follow, and all that
// may be promoted. One that was just promoted follows no more, while the master that it
// replaces still takes writes, for a second: what that has taken is lost. And a master that
// was just promoted has no followers yet, but the one that it replaces is to follow it.
//
// One that answers nobody is left out after a while. The master counts it for a minute more
// (repl-timeout), but nobody promotes what does not answer, and when it comes back it takes
// from the master what it lacks.
func (m *master) wanted() int { return max(m.attached-m.silent, m.living, 0) }

const (
	confirmEach  = 500 * time.Millisecond
	confirmAgain = 2 * time.Second // then the set is asked whether it still is the master
	silentMost   = 8 * time.Second // how long a replica that answers nobody is waited for
)

// safe waits until all replicas have what was written to a master. A replica may hang, be
// filled or go away: the master is asked who follows it, and the set who the master is.
func (s *set) safe(ctx context.Context, m *master, patience time.Duration) error {
	before := m.evicted
	if err := m.look(ctx); err != nil {
		return err
	}
	s.evicted += max(0, m.evicted-before)
	if m.silent > 0 && time.Since(m.asked) > confirmAgain { // it may be back
		if err := s.still(ctx, m, true); err != nil {
			return err
		}
	}
	asked := time.Now()
	for began := time.Now(); ; {
		wanted := m.wanted()
		if wanted == 0 {
			return nil
		}
		replies, err := m.link.Once(ctx, answerLimit+confirmEach, []string{"WAIT", strconv.Itoa(wanted), strconv.Itoa(int(confirmEach.Milliseconds()))})
		if err != nil {
			return err
		}
		if replies[0].Err != nil {
			return replies[0].Err
		}
		if n, _ := replies[0].Value.(int64); n >= int64(wanted) {
			return nil
		}
		if time.Since(began) > patience {
			return &refusal{fmt.Errorf("its replicas have not followed for %v: what was sent last may be lost by a failover; look at them, then go on with --resume", patience)}
		}
		if time.Since(asked) > confirmAgain {
			if err := s.still(ctx, m, time.Since(began) > silentMost); err != nil {
				return err
			}
			asked = time.Now()
		}
		if err := m.look(ctx); err != nil {
			return err
		}
	}
}

// still asks the set whether it is the master. A replica that has lost its link for so long
// is not waited for: it follows nobody, and is not the next master. hung: nor is one that
// answers nobody.
func (s *set) still(ctx context.Context, m *master, hung bool) error {
	seen := survey.Take(ctx, s.Target)
	all, err := shardsOf(seen)
	if err != nil {
		return err
	}
	for _, sh := range all {
		if sh.master.Addr == m.addr && sh.master.Info["run_id"] == m.node.Info["run_id"] {
			if sh.rival != "" {
				return errors.New(sh.rival)
			}
			m.living, m.asked = sh.linked()+sh.replaced, time.Now()
			if hung {
				s.leaveOut(m, silentOf(seen, sh))
			}
			return nil
		}
	}
	return errors.New("it is not the master any more")
}

// leaveOut notes which replicas are not waited for.
func (s *set) leaveOut(m *master, silent []string) {
	if len(silent) > m.silent {
		s.notice(fmt.Sprintf("%s: the replica %s answers nobody, and is not waited for. Until it answers again, what is restored is on fewer servers", m.addr, strings.Join(silent, ", ")))
	}
	m.silent = len(silent)
}

// silentOf are the servers that a master counts as its replicas and that answer neither it nor
// us.
func silentOf(seen *survey.Survey, sh shard) (all []string) {
	for _, r := range sh.master.Role.Replicas {
		if n := seen.Node(r.Addr); n != nil && n.Fault != nil && r.Lag >= silentMost/2 {
			all = append(all, n.Addr)
		}
	}
	return all
}

// takes tries a payload on every master, under a key that is removed again.
func (s *set) takes(ctx context.Context, rec Record) error {
	for _, m := range s.masters {
		scratch := s.KeyPrefix + "~restore:" + rand.Text()[:10]
		if s.owner != nil {
			scratch = s.KeyPrefix + "~restore:{" + slot.TagFor(s.slotOf(m)) + "}" + rand.Text()[:10]
		}
		replies, err := m.link.Once(ctx, timeFor(rec.size()),
			[]string{"RESTORE", scratch, "10000", string(rec.Payload)}, []string{"UNLINK", scratch})
		if err != nil {
			return fmt.Errorf("%s: %w", m.addr, err)
		}
		if err := replies[0].Err; err != nil {
			return s.refuses(m, rec, err)
		}
	}
	return nil
}

// refuses is why a master does not take a payload.
func (s *set) refuses(m *master, rec Record, err error) error {
	who, sofar := fmt.Sprintf("%s (version %s)", m.addr, m.node.Info["redis_version"]), "Nothing was written."
	if s.wrote {
		sofar = "What came before it was written."
	}
	switch _, lasting, again := new(item).after(err); {
	case again:
		return fmt.Errorf("%s: %w", m.addr, err)
	case lasting:
		return lastingError(err)
	case strings.Contains(err.Error(), "DUMP payload"):
		return &refusal{fmt.Errorf("%s does not take payloads of RDB version %d: they are of a newer server than this one. %s Restore into a server at least as new as the source", who, rec.RDBVersion(), sofar)}
	}
	return &refusal{fmt.Errorf("%s does not take a payload of this file: %w. %s The server may lack a module that the source had", who, err, sofar)}
}

// slotOf is some slot of a master.
func (s *set) slotOf(m *master) uint16 {
	for n, of := range s.owner {
		if of == m {
			return n
		}
	}
	return 0
}
