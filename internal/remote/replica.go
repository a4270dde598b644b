package remote

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"github.com/evercache/evercache/trace"
)

// Replica is a connection to a replica of a master, for reads alone. Each read asks for
// the heartbeat's key of this process first: the number there tells how far the replica
// had come at least when it read the value. Whether that is far enough is not decided
// here. A Replica that has broken stays broken; its owner dials another.
type Replica struct {
	Addr string
	Zone string // where it runs, by its own word; "": it does not tell

	db        int
	cmd       *wire
	obs       Observer
	deadlines deadlines
	noRanges  ban         // GET instead of GETRANGE
	noEnds    atomic.Bool // PTTL and TIME instead of PEXPIRETIME: the server is older than 7.0, or its ACL forbids that
	broken    atomic.Bool
}

// Copy is what a replica holds of a key.
type Copy struct {
	Barrier uint64 // the number of the last barrier that it holds; 0: none
	Data    []byte // must not be modified
	Ends    int64  // when the key ends, in milliseconds of Unix time; 0: never
	Long    bool   // the value is longer than is read here
	Err     error  // IsNil: no such key
}

// ErrNotReplica means that a node is no replica any more.
var ErrNotReplica = errors.New("the node is not a replica")

// ErrCrowded means that as many questions to a replica wait for an answer as may.
var ErrCrowded = errors.New("too many questions to the replica wait for an answer")

// mostAsked bounds the questions that wait: rueidis lets a caller who finds its ring full
// wait past every deadline.
const mostAsked = 1<<9 - 2

// copies is the shape of the connection. It carries no value beyond span.
var copies = shape{ring: 9, read: 64 << 10, write: 8 << 10}

// DialReplica connects to a replica, logs in, and asks what it is. A node of a Cluster
// has to be the one of Config.NodeID.
func DialReplica(ctx context.Context, c Config, limit time.Duration, obs Observer) (*Replica, error) {
	c.watched, c.Cluster = true, c.Cluster || c.NodeID != ""
	c.Track, c.shape = nil, copies
	w, err := dialWire(ctx, c)
	if err != nil {
		return nil, err
	}
	w.places.most = mostAsked
	r := &Replica{Addr: c.Addr, db: c.DB, cmd: w, obs: obs}
	bounded, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if err := r.introduce(bounded, c); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// introduce asks the node who it is, and says that answers of a replica will do.
func (r *Replica) introduce(ctx context.Context, c Config) error {
	if c.NodeID != "" {
		id, err := clusterID(ctx, r.cmd)
		switch {
		case err != nil:
			return wrap("ask for the node id", err)
		case id != c.NodeID:
			return &Error{Kind: Other, Op: "ask for the node id", Err: ErrOtherNode}
		}
	}
	replies := r.cmd.DoMulti(ctx,
		r.cmd.B().Role().Build(),
		r.cmd.B().Arbitrary("HELLO").Build(),
		r.cmd.B().Info().Section("server").Build())
	if role, err := roleOf(replies[0]); err == nil && role != "slave" {
		return &Error{Kind: Other, Op: "ask for the role", Err: fmt.Errorf("%w: %.16q", ErrNotReplica, role)}
	} else if err != nil && !answered(err) {
		return wrap("ask for the role", err)
	}
	server := serverOf(replies[1], replies[2])
	if err := server.usable(c.Cluster); err != nil {
		return err
	}
	r.Zone = zoneOf(replies[1], replies[2])
	if server.Before(7, 0) {
		r.noEnds.Store(true)
	}
	if c.Cluster {
		return wrap("READONLY", r.cmd.Do(ctx, r.cmd.B().Readonly().Build()).Error())
	}
	return nil
}

// answered reports whether err is a reply of the server.
func answered(err error) bool {
	_, ok := errors.AsType[*rueidis.RedisError](err)
	return ok
}

// zoneOf is the availability_zone that HELLO or INFO server tells (Valkey 8); "": neither.
func zoneOf(hello, info rueidis.RedisResult) string {
	zone := ""
	if v, err := hello.ToAny(); err == nil {
		zone = wordsOf(v)["availability_zone"]
	}
	if text, err := info.ToString(); err == nil && zone == "" {
		zone = infoField(text, "availability_zone")
	}
	return zone
}

// Close gives the connection up at once.
func (r *Replica) Close() {
	r.broken.Store(true)
	r.cmd.abandon()
}

// Broken reports whether the connection is of no use any more.
func (r *Replica) Broken() bool { return r.broken.Load() || r.cmd.conn.over.Load() }

// Silent is how long the replica has not answered although it was asked.
func (r *Replica) Silent(now time.Time) time.Duration { return r.cmd.conn.waits(now) }

// Read reads up to MaxBatch keys in one pipeline, behind the barrier. The error is about
// the whole of it.
func (r *Replica) Read(ctx context.Context, barrier string, keys []string, limit time.Duration) ([]Copy, error) {
	if !r.cmd.enter() {
		return nil, &Error{Kind: Crowded, Op: "read", Err: ErrCrowded}
	}
	start := time.Now()
	seen := observe(ctx, r.obs, trace.Call{Name: "replica_get", Addr: r.Addr, DB: r.db, Replica: true, Keys: len(keys)})
	bounded, cancel := r.deadlines.bound(ctx, start, limit)
	defer cancel()
	q := r.inquiry(barrier, keys)
	replies := r.cmd.Client.DoMulti(bounded, q.cmds...)
	err := replies[0].NonRedisError()
	r.cmd.leave(bounded, err)
	if err == nil {
		err = replies[0].Error() // of a barrier that may not be read, or whose slot is elsewhere
	}
	if q.ranges && rangesForbidden(err) {
		r.noRanges.set()
	}
	if IsNil(err) {
		err = nil
	}
	k := KindOf(err)
	if k == Timeout && ctx.Err() != nil && time.Since(start) < limit {
		k = Canceled
	}
	took, said := time.Since(start), err
	r.obs.Command("replica_get", took, k)
	if err != nil {
		err = &Error{Kind: k, Op: "read", Err: told(err)}
	}
	seen.end(took, k, said, err)
	if k == Conn {
		r.broken.Store(true)
	}
	if err != nil {
		return nil, err
	}
	return r.copies(q, replies, len(keys)), nil
}

// inquiry is a pipeline: the barrier, the time where it is needed, and two commands for
// each key.
type inquiry struct {
	cmds   []rueidis.Completed
	first  int // of the keys' commands
	ranges bool
	ends   bool
}

func (r *Replica) inquiry(barrier string, keys []string) inquiry {
	q := inquiry{ranges: !r.noRanges.holds(), ends: !r.noEnds.Load()}
	q.cmds = make([]rueidis.Completed, 0, 2+2*len(keys))
	q.cmds = append(q.cmds, r.cmd.glimpseOf(barrier, q.ranges)) // first: what is read behind it is not older
	if !q.ends {
		q.cmds = append(q.cmds, r.cmd.B().Time().Build())
	}
	q.first = len(q.cmds)
	for _, key := range keys {
		if q.ranges {
			q.cmds = append(q.cmds, r.cmd.B().Getrange().Key(key).Start(0).End(span-1).Build())
		} else {
			q.cmds = append(q.cmds, r.cmd.B().Get().Key(key).Build())
		}
		if q.ends {
			q.cmds = append(q.cmds, r.cmd.B().Pexpiretime().Key(key).Build())
		} else {
			q.cmds = append(q.cmds, r.cmd.B().Pttl().Key(key).Build())
		}
	}
	return q
}

// glimpseOf is glimpse, or GET where GETRANGE is forbidden.
func (w *wire) glimpseOf(key string, ranges bool) rueidis.Completed {
	if ranges {
		return w.glimpse(key)
	}
	return w.B().Get().Key(key).Build()
}

// copies understands the answers.
func (r *Replica) copies(q inquiry, replies []rueidis.RedisResult, n int) []Copy {
	all := make([]Copy, n)
	text, _ := replies[0].ToString()
	held := barrierIn(text)
	now := int64(0)
	if !q.ends {
		now = timeOf(replies[1])
	}
	for i := range all {
		all[i] = r.copy(q, replies[q.first+2*i], replies[q.first+2*i+1], now)
		all[i].Barrier = held
	}
	return all
}

// barrierIn is the number of a barrier; 0: there is none.
func barrierIn(text string) uint64 {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

func (r *Replica) copy(q inquiry, get, end rueidis.RedisResult, now int64) (c Copy) {
	if q.ranges && rangesForbidden(get.Error()) {
		r.noRanges.set()
	}
	if k := KindOf(end.Error()); q.ends && (k == Lacks || k == NoPerm) {
		r.noEnds.Store(true)
	}
	if c.Data, c.Err = get.AsBytes(); c.Err == nil && len(c.Data) == 0 {
		c.Err = errNil // or it is empty: the master knows
	}
	ms, err := end.AsInt64()
	switch {
	case c.Err != nil:
	case err != nil:
		c.Err = err
	case ms == -2, ms == 0 && !q.ends:
		c.Err = errNil
	case ms < 0:
	case q.ends:
		c.Ends = ms
	case now == 0:
		c.Err = errNoTime
	default: // TIME was answered before PTTL, so this is the end or a little earlier
		c.Ends = now + ms
	}
	c.Long = len(c.Data) >= span
	if c.Err != nil {
		c.Err = told(c.Err)
	}
	return c
}

var errNoTime = errors.New("the replica tells neither when a key ends nor its time")

// timeOf is what TIME was answered with, in milliseconds; 0: nothing of use.
func timeOf(r rueidis.RedisResult) int64 {
	words, err := r.AsStrSlice()
	if err != nil || len(words) != 2 {
		return 0
	}
	s, err1 := strconv.ParseInt(words[0], 10, 64)
	us, err2 := strconv.ParseInt(words[1], 10, 64)
	if err1 != nil || err2 != nil || s <= 0 || s > 1<<40 || us < 0 || us >= 1_000_000 {
		return 0
	}
	return s*1000 + us/1000
}

// BarrierKey is where the next barrier of the node is written.
func (n *Node) BarrierKey() string { return n.beatsUnder() }
