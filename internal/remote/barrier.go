package remote

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"github.com/evercache/evercache/internal/censor"
)

// Book numbers the barriers of a process, which has one for all its nodes, and
// learns what a node holds of them.
type Book interface {
	// NextBarrier is called right before a barrier is sent to the node. Numbers
	// rise for as long as the process lives. Not ok: the node is not the master
	// any more, and a barrier would vouch there for what it has never seen.
	NextBarrier(*Node) (number uint64, ok bool)
	// Found is called for each node that is dialled, before anything is written
	// there, and sets the node's Epoch.
	Found(*Node, Held)
	// Replaced is called when a node has another dataset than at its last barrier,
	// before the next one counts. holds is the last barrier of ours that it had; 0: none.
	Replaced(n *Node, holds uint64)
	// Marked tells the marker of the node's dataset, whoever wrote it: when it is dialled,
	// after Found, and after each barrier that it takes.
	Marked(n *Node, marker string)
}

// Held is what a node held when it was dialled.
type Held struct {
	Addr    string
	Barrier uint64 // the last of ours that it has; 0: none
	Dataset string // the marker of its dataset; "": it has none
	// Nobody can tell: the ACL forbids to ask, somebody has overwritten the key, or no
	// barrier was known to be under it.
	BarrierUnknown, DatasetUnknown bool
	// Fresh: no barrier was known to be under the key that was asked for. That there is
	// none does not show that the dataset is another.
	Fresh bool
	// Earlier are the last barriers that it has of Heartbeat.Earlier, by key.
	Earlier map[string]uint64
	// Evictions is what it says of them.
	Evictions Evictions
}

// Barrier is what came back of a numbered write that waited for replicas.
type Barrier struct {
	N      uint64 // written, or only counted where the node does not take it
	SentAt time.Time
	// Written: the node has taken it.
	Written bool
	Acked   int    // what WAIT said
	Wrote   string // INFO replication right after the write; "": not asked for
	Info    string // INFO replication after the wait
	// All: WAIT has counted as many replicas as are online in Info, and they are those
	// of the barrier before. Else the next barrier asks for Wrote, which tells them apart.
	All   bool
	Proof error // why WAIT or INFO are missing, such as an ACL
	// Late is how much of the time that it took was this process's own: it was busy.
	Late time.Duration

	Key    string  // it was written under
	Behind []Reply // to what Heartbeat.Behind asked; nil where nothing was
}

// barrierWait bounds the WAIT of a barrier on the server.
const barrierWait = 50 * time.Millisecond

// Barrier is the heartbeat: it writes the heartbeat key with a rising number
// and waits, on the heartbeat's own connection, for that many replicas. What
// survives of the master's writes is a prefix of them, so the number that a
// later master holds tells which of ours it has. It takes the server's time as
// well. One caller at a time.
func (n *Node) Barrier(ctx context.Context, replicas int) (Barrier, error) {
	if err := n.lookAgain(ctx); err != nil {
		return Barrier{SentAt: time.Now()}, err
	}
	b, err := n.beatOnce(ctx, replicas)
	if n.beatLate(err, b.SentAt) && ctx.Err() == nil {
		b, err = n.beatOnce(ctx, replicas) // we were busy; of a server that hangs the silence goes on
	}
	if err == nil {
		n.askRights(ctx)
	}
	return b, err
}

// beatLate reports whether a heartbeat timed out because this process was busy.
func (n *Node) beatLate(err error, sent time.Time) bool {
	return KindOf(err) == Timeout && n.beat.ourTime(waited{took: time.Since(sent), limit: n.heartbeat.Timeout}, alone)
}

func (n *Node) beatOnce(ctx context.Context, replicas int) (Barrier, error) {
	b := Barrier{SentAt: time.Now(), Key: n.beatsUnder()}
	bounded, cancel := context.WithTimeout(ctx, n.heartbeat.Timeout)
	defer cancel()
	var err error
	var ok bool
	b.N, ok = n.heartbeat.Book.NextBarrier(n)
	if !ok {
		b.Proof = errPassed
	}
	wrote := ok && !n.noBeat.holds()
	if !wrote {
		err = n.beat.Do(bounded, n.beat.B().Ping().Build()).Error()
	} else {
		err = n.barrier(bounded, &b, replicas)
	}
	k, now := KindOf(err), time.Now()
	if k == OK {
		b.Late = n.beat.lateBy(b.SentAt, now)
		n.lastBeat.Store(&beaten{now, max(0, now.Sub(b.SentAt)-b.Late-waitOf(replicas))})
	}
	n.obs.Command("heartbeat", now.Sub(b.SentAt), k)
	switch {
	case k == OK && wrote:
		n.refused.Store(nil)
		n.noBeat.lift()
		n.twins.beaten.Store(&written{b.Key, b.N})
		b.Written = true
	case k == OK:
	case k == NoPerm:
		n.noBeat.set()
		return b, nil
	case k.Puzzling(): // no answer
	case k.Refused():
		n.refused.Store(&k)
		b.Acked = 0 // WAIT spoke of an earlier write: nobody has this one
	case k == Conn: // both connections go together
		n.judge(k, 0, 0, wrap("heartbeat", err))
	}
	return b, wrap("heartbeat", err)
}

// waitOf is what a heartbeat may wait for replicas.
func waitOf(replicas int) time.Duration {
	if replicas == 0 {
		return 0
	}
	return barrierWait
}

var errPassed = errors.New("another dial of the master has begun since")

// barrier sends it in one pipeline. WAIT is sent as an arbitrary command:
// rueidis would move its own to another connection, where it waits for nothing.
func (n *Node) barrier(ctx context.Context, b *Barrier, replicas int) error {
	cmds := rueidis.Commands{
		n.askTime(),
		n.beat.glimpse(b.Key),
		n.beat.glimpse(cmp.Or(n.heartbeat.Marker, b.Key)),
		n.beat.B().Set().Key(b.Key).Value(fmt.Sprint(b.N)).Px(n.heartbeat.TTL).Build(),
		n.beat.B().Arbitrary("WAIT", strconv.Itoa(replicas), strconv.FormatInt(barrierWait.Milliseconds(), 10)).Build(),
		n.beat.B().Info().Section("replication").Build(),
	}
	waited := 4
	if n.apart {
		cmds = slices.Insert(cmds, waited, n.beat.B().Info().Section("replication").Build())
		waited++
	}
	r := n.beat.DoMulti(ctx, append(cmds, n.behind()...)...)
	now := time.Now()
	n.timed(b.SentAt, now, r[0])
	b.Behind = repliesOf(r[len(cmds):])
	n.lacks.heard("WAIT", r[waited].Error())
	n.lacks.heard("INFO", r[waited+1].Error())
	acked, err := r[waited].AsInt64()
	b.Acked, b.Proof = int(acked), err
	if n.apart {
		if b.Wrote, err = r[4].ToString(); err != nil {
			b.Proof = err
		}
	}
	if b.Info, err = r[waited+1].ToString(); err != nil {
		b.Proof = err
	}
	n.countReplicas(b)
	if err := r[3].Error(); err != nil {
		return err
	}
	n.compareDataset(ctx, b, r[1], r[2])
	return nil
}

// countReplicas looks whether the number that WAIT has said tells which replicas have
// the barrier.
func (n *Node) countReplicas(b *Barrier) {
	was := n.online
	n.online = onlineIn(b.Info)
	b.All = b.Proof == nil && b.Acked >= len(n.online) && slices.Equal(was, n.online)
	n.apart = !b.All
}

// onlineIn are the replicas that INFO replication lists as being in sync, as it names them.
func onlineIn(info string) (names []string) {
	for line := range strings.Lines(info) {
		replica, fields, _ := strings.Cut(line, ":")
		if !strings.HasPrefix(replica, "slave") || !strings.Contains(fields, "state=online") {
			continue
		}
		name, _, _ := strings.Cut(fields, ",state=")
		names = append(names, name)
	}
	return names
}

// behind are the questions behind a barrier.
func (n *Node) behind() (cmds rueidis.Commands) {
	if n.heartbeat.Behind == nil {
		return nil
	}
	for _, words := range n.heartbeat.Behind() {
		cmds = append(cmds, n.beat.B().Arbitrary(words...).Build())
	}
	return cmds
}

// SetHeartbeatKey has the next barriers written under another key. What the node holds
// under it is not known: the first barrier there tells nothing of its dataset.
func (n *Node) SetHeartbeatKey(key string) { n.beatKey.Store(&key) }

// beatsUnder is the key that the next barrier is written under.
func (n *Node) beatsUnder() string {
	if key := n.beatKey.Load(); key != nil {
		return *key
	}
	return n.heartbeat.Key
}

// askTime asks for the server's time: of INFO where TIME is missing.
func (n *Node) askTime() rueidis.Completed {
	if n.lacks.noTime.Load() {
		return n.beat.B().Info().Section("server").Build()
	}
	return n.beat.B().Time().Build()
}

// timed keeps what an askTime told that was sent and answered between two moments.
func (n *Node) timed(sent, answered time.Time, r rueidis.RedisResult) {
	if n.lacks.noTime.Load() {
		info, _ := r.ToString()
		us, err := strconv.ParseInt(infoField(info, "server_time_usec"), 10, 64)
		if err == nil && us > 0 && us < 1<<60 {
			n.clock.heard(sent, answered, time.UnixMicro(us))
		}
		return
	}
	reply, err := r.AsStrSlice()
	n.lacks.heard("TIME", err)
	if k := KindOf(err); k == NoPerm || k.Puzzling() {
		n.lacks.noTime.Store(true)
	}
	if err != nil || len(reply) != 2 {
		return
	}
	s, err1 := strconv.ParseInt(reply[0], 10, 64)
	us, err2 := strconv.ParseInt(reply[1], 10, 64)
	if err1 != nil || err2 != nil || us < 0 || us >= 1_000_000 || s < 0 || s > 1<<40 {
		return
	}
	n.clock.heard(sent, answered, time.Unix(s, us*1000))
}

// find asks what the node holds before anything is written there, and for its
// role. It is all that a dial asks before the first barrier.
func (n *Node) find(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, n.heartbeat.Timeout)
	defer cancel()
	if err := n.isExpected(ctx); err != nil {
		return err
	}
	sent := time.Now()
	r := n.beat.DoMulti(ctx,
		n.beat.B().Time().Build(),
		n.beat.B().Role().Build(),
		n.beat.glimpse(n.heartbeat.Key),
		n.beat.glimpse(cmp.Or(n.heartbeat.Marker, n.heartbeat.Key)),
		n.beat.B().Info().Section("replication").Build(),
		n.beat.B().Arbitrary("HELLO").Build(),
		n.beat.B().Info().Section("server").Build())
	answered := time.Now()
	for i, command := range []string{1: "ROLE", 4: "INFO", 5: "HELLO"} {
		if command != "" {
			n.lacks.heard(command, r[i].Error())
		}
	}
	if err := n.isMaster(ctx, r[1], r[4]); err != nil {
		return err
	}
	n.server = serverOf(r[5], r[6])
	if err := n.server.usable(n.clustered()); err != nil {
		return err
	}
	n.timed(sent, answered, r[0])
	if n.lacks.noTime.Load() {
		n.timed(sent, answered, r[6])
	}
	n.closeLeft(ctx)
	held := Held{Addr: n.Addr, Fresh: n.heartbeat.Fresh}
	var err error
	if held.Evictions, err = n.askEvictions(ctx); err != nil {
		return wrap("ask for evictions", err)
	}
	if err := n.holdsAtFirst(ctx, &held, r[2], r[3]); err != nil {
		return wrap("ask for barrier", err)
	}
	if ctx.Err() != nil { // another dial may be under way already
		return wrap("ask for barrier", context.Cause(ctx))
	}
	if err := n.findEarlier(ctx, &held); err != nil {
		return err
	}
	n.heartbeat.Book.Found(n, held)
	if held.Dataset == "" && !held.DatasetUnknown {
		held.Dataset = n.mark(ctx)
	}
	n.marked(held.Dataset)
	return nil
}

// findEarlier asks for the barriers of processes that are gone.
func (n *Node) findEarlier(ctx context.Context, held *Held) error {
	if n.heartbeat.Earlier == nil {
		return nil
	}
	held.Earlier = map[string]uint64{}
	for _, key := range n.heartbeat.Earlier() {
		s, err := n.beat.glance(ctx, key)
		switch k := KindOf(err); {
		case err == nil:
			held.Earlier[key], _ = strconv.ParseUint(strings.TrimSpace(s), 10, 64)
		case k == Nil || k == NoPerm || k == Logical: // it vouches for nothing
		default:
			return wrap("ask for barrier", err)
		}
	}
	return nil
}

// isMaster judges what the node says of its role. Where ROLE is missing INFO
// says it too, and where both are the heartbeat's write will tell.
func (n *Node) isMaster(ctx context.Context, answer, info rueidis.RedisResult) error {
	role, err := roleOf(answer)
	if k := KindOf(err); k == NoPerm || k.Puzzling() {
		text, _ := info.ToString()
		role, err = first(infoField(text, "role"), "master"), nil
	}
	switch {
	case err != nil:
		return wrap("ask role", err)
	case role == "master":
		return nil
	case role == "sentinel":
		return ErrSentinel
	}
	if other, err := roleOf(n.cmd.Do(ctx, n.b().Role().Build())); err == nil && other == "master" {
		return errApart()
	}
	return &Error{Kind: ReadOnly, Op: "ask role", Err: fmt.Errorf("the server is a %s, not a master", censor.Quote(role, 20))}
}

// ErrSentinel means that a sentinel answers where a server with data should.
var ErrSentinel = &Error{Kind: Other, Op: "ask role", Err: errors.New("a sentinel answers, not a server that holds data")}

// roleOf is what an answer to ROLE begins with.
func roleOf(r rueidis.RedisResult) (string, error) {
	reply, err := r.ToArray()
	if err != nil || len(reply) == 0 {
		return "", err
	}
	return reply[0].ToString()
}

// lone is the book of a node that nobody keeps one for.
type lone struct{ n uint64 }

func (b *lone) NextBarrier(*Node) (uint64, bool) {
	b.n++
	return b.n, true
}

func (b *lone) Found(*Node, Held)      {}
func (b *lone) Replaced(*Node, uint64) {}
func (b *lone) Marked(*Node, string)   {}
