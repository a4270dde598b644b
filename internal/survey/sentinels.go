package survey

import (
	"context"
	"fmt"

	"github.com/evercache/evercache/internal/censor"
	"github.com/evercache/evercache/internal/remote"
	"github.com/evercache/evercache/internal/sentinel"
	"github.com/evercache/evercache/internal/shard"
	"github.com/evercache/evercache/internal/watch"
)

// sentinelSettings are asked for with SENTINEL CONFIG GET (Redis 6.2).
var sentinelSettings = []string{"resolve-hostnames", "announce-hostnames"}

// askSentinel fills in what one sentinel says.
func (t Target) askSentinel(ctx context.Context, s *Sentinel) {
	if err := t.hearSentinel(ctx, s); err != nil {
		s.Fault = sentinelFault(s.Addr, err)
	}
}

func (t Target) hearSentinel(ctx context.Context, s *Sentinel) error {
	l := t.sentinel
	if s.Anonymous {
		l = l.anonymous()
	}
	c := l.config(s.dialed(), t.perServer())
	c.Sentinel = true
	i, err := meet(ctx, t.perServer(), &s.Server, c)
	if err != nil {
		return err
	}
	defer i.Close()
	if _, _, err := i.timed(ctx, "PING"); err != nil {
		return err
	}
	name := t.MasterName
	r, err := i.ask(ctx,
		[]string{"INFO"},
		[]string{"SENTINEL", "MYID"},
		[]string{"SENTINEL", "GET-MASTER-ADDR-BY-NAME", name},
		[]string{"SENTINEL", "MASTER", name},
		[]string{"SENTINEL", "REPLICAS", name},
		[]string{"SENTINEL", "SENTINELS", name},
		[]string{"SENTINEL", "CKQUORUM", name},
		[]string{"SENTINEL", "MASTERS"})
	if err != nil {
		return err
	}
	if r[0].Err == nil {
		s.Info = parseInfo(text(r[0]))
	}
	s.Masters = names(parseList(r[7].Value))
	if err := refusal(r[2:6]); err != nil {
		return err
	}
	s.ID = censor.Text(text(r[1]), 40)
	s.Named = named(r[2].Value)
	s.Master = parseFields(r[3].Value)
	s.Replicas, s.Peers = parseList(r[4].Value), parseList(r[5].Value)
	if s.Quorum = censor.Text(text(r[6]), maxValue); r[6].Err != nil {
		s.Quorum = censor.Text(r[6].Err.Error(), maxValue)
	}
	return t.furtherSentinel(ctx, i, s)
}

// furtherSentinel asks what older sentinels do not know.
func (t Target) furtherSentinel(ctx context.Context, i *interview, s *Sentinel) error {
	var questions [][]string
	for _, name := range sentinelSettings {
		questions = append(questions, []string{"SENTINEL", "CONFIG", "GET", name})
	}
	r, err := i.ask(ctx, questions...)
	if err != nil {
		return err
	}
	s.Settings = Fields{}
	for _, reply := range r {
		for name, value := range parseFields(reply.Value) {
			s.Settings.set(name, value)
		}
	}
	return i.askRights(ctx, sentinelTrials, false)
}

// refusal is why the answers about the master are of no use; nil: they are.
func refusal(replies []remote.Reply) error {
	for _, r := range replies {
		switch k := remote.KindOf(r.Err); {
		case k == remote.OK, k == remote.Nil:
		case k == remote.Lacks:
			return fmt.Errorf("%w: %w", watch.ErrNotSentinel, r.Err)
		case sentinel.ReplyFault(r.Err.Error()) == sentinel.FaultNoMaster:
			return watch.ErrUnknownMaster
		default:
			return r.Err
		}
	}
	return nil
}

// sentinelFault sorts why a sentinel does not answer.
func sentinelFault(addr string, err error) *Fault {
	a, _ := sentinel.SplitAddr(addr)
	return &Fault{
		Kind:   remote.KindOf(err),
		Reason: shard.ReasonOf(&watch.SentinelError{Sentinel: a, Err: err}),
		Text:   censor.Text(err.Error(), maxError), Connected: !remote.NeverConnected(err),
	}
}

// maxError bounds the text of a Fault.
const maxError = 400

// named reads the answer to GET-MASTER-ADDR-BY-NAME; "": no address.
func named(v any) string {
	words, _ := v.([]any)
	if len(words) != 2 {
		return ""
	}
	return address(word(words[0]), word(words[1]))
}

// names are those of the masters of SENTINEL MASTERS.
func names(masters []Fields) []string {
	var all []string
	for _, m := range masters {
		if m["name"] != "" {
			all = append(all, m["name"])
		}
	}
	return sorted(all)
}
