package switchover

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/evercache/evercache/internal/survey"
)

// Leftover is what a switchover that was killed has left behind: a lower replica-priority of
// one node. It is noted on the master before the priority is changed.
type Leftover struct {
	Node string `json:"node"`
	Low  int64  `json:"low"` // what the switchover has set
	Own  int64  `json:"own"` // what it was before
}

// noteLives is how long the note lives where nobody takes it away.
const noteLives = 7 * 24 * time.Hour

func noteKey(t survey.Target) string { return t.KeyPrefix + "~switchover" }

// parseLeftover reads a note. Not ok: it makes no sense.
func parseLeftover(text string) (l Leftover, ok bool) {
	if len(text) > 1024 || json.Unmarshal([]byte(text), &l) != nil {
		return Leftover{}, false
	}
	const most = 1 << 31
	return l, l.Node != "" && l.Low >= 1 && l.Low < most && l.Own >= 1 && l.Own < most
}

// FindLeftover reads the note on the master of a Sentinel set; nil: there is none, or what it
// says is no more so.
func FindLeftover(ctx context.Context, t survey.Target, s *survey.Survey) *Leftover {
	master, ok := s.Leads()
	if !ok {
		return nil
	}
	srv := node(t, *master)
	defer srv.close()
	reply, err := srv.do(ctx, "GET", noteKey(t))
	if err != nil || reply.Value == nil {
		return nil
	}
	l, ok := parseLeftover(reply.Text())
	n := s.Node(l.Node)
	if !ok || n == nil || n.Config["replica-priority"] != strconv.FormatInt(l.Low, 10) {
		return nil
	}
	l.Node = n.Addr
	return &l
}

// tidy puts back what an earlier switchover has left.
func (r *run) tidy(ctx context.Context, master *server, nodes []survey.Node) error {
	left := r.plan.Leftover
	if left == nil {
		return nil
	}
	for _, n := range nodes {
		if n.Addr != left.Node {
			continue
		}
		s := node(r.Target, n)
		defer s.close()
		if _, err := s.do(ctx, "CONFIG", "SET", "replica-priority", strconv.FormatInt(left.Own, 10)); err != nil {
			return fmt.Errorf("an earlier switchover has left replica-priority %d, and it cannot be set back to %d: %w", left.Low, left.Own, err)
		}
		r.step("%s has replica-priority %d again: an earlier switchover was interrupted, and had left %d", n.Addr, left.Own, left.Low)
		r.forget(ctx, master)
	}
	return nil
}

// note writes down on the master what is about to be changed. It is needed only where this
// program is killed, so a failure is told and no more.
func (r *run) note(ctx context.Context, master *server) {
	text, err := json.Marshal(Leftover{r.plan.To, r.plan.priority, r.plan.restore})
	if err == nil {
		_, err = master.do(ctx, "SET", noteKey(r.Target), string(text), "EX", strconv.Itoa(int(noteLives.Seconds())))
	}
	if err != nil {
		r.step("should this be killed, set replica-priority of %s back to %d by hand: it cannot be noted on the master: %v", r.plan.To, r.plan.restore, err)
	}
}

// forget takes the note away.
func (r *run) forget(ctx context.Context, master *server) {
	if _, err := master.do(ctx, "DEL", noteKey(r.Target)); err != nil {
		r.step("the note of it ends by itself: %v", err)
	}
}
